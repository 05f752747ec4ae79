# Tests of the whole program, written in bash; $1 is the binary, what ARGS says follows. MinIO comes
# from with_minio.sh: plain with MINIO, with certificates with TLS.
function(program_test name)
  cmake_parse_arguments(T "MINIO;TLS" "TIMEOUT" "ARGS;LABELS" ${ARGN})
  set(command ${CMAKE_CURRENT_SOURCE_DIR}/${name}.sh $<TARGET_FILE:jobferry> ${T_ARGS})
  if(T_TLS)
    list(PREPEND command ${CMAKE_CURRENT_SOURCE_DIR}/with_minio.sh --tls)
    list(APPEND T_LABELS minio)
  elseif(T_MINIO)
    list(PREPEND command ${CMAKE_CURRENT_SOURCE_DIR}/with_minio.sh)
    list(APPEND T_LABELS minio)
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${command})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${T_TIMEOUT} SKIP_RETURN_CODE 77 LABELS "program;${T_LABELS}")
endfunction()

program_test(test_bad_data)
program_test(test_check MINIO)
program_test(test_checkpoints)
program_test(test_cleanup MINIO)
program_test(test_classes ARGS $<TARGET_FILE:number_set>)
program_test(test_cli)
program_test(test_command)
program_test(test_completion)
program_test(test_engine MINIO)
program_test(test_curve)
program_test(test_disk MINIO LABELS threads)
program_test(test_disk_errors MINIO ARGS $<TARGET_FILE:disk_faults>)
program_test(test_hostile ARGS $<TARGET_FILE:hostile_store> LABELS threads)
program_test(test_pid1 ARGS $<TARGET_FILE:tell_signals>)
program_test(test_records LABELS threads)
program_test(test_train_disk)
program_test(test_train_options)
program_test(test_requests MINIO)
program_test(test_slurm ARGS ${PROJECT_SOURCE_DIR}/docker/slurm/job.sbatch)
program_test(test_resume_changes)
program_test(test_retraining LABELS threads)
program_test(test_transfers MINIO)
program_test(test_infer)
program_test(test_interop MINIO)
program_test(test_sync_folders LABELS threads)
program_test(test_sync_rclone LABELS threads)
program_test(test_sync_s3 MINIO LABELS minio threads)
program_test(test_job MINIO TIMEOUT 900 LABELS threads)
program_test(test_publishing TIMEOUT 600 LABELS threads)
program_test(test_publishing_s3 MINIO ARGS $<TARGET_FILE:strip_conditions>)
program_test(test_network MINIO LABELS threads)
program_test(test_machine LABELS threads)
program_test(test_key_order MINIO)
program_test(test_install MINIO ARGS
  ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR} ${CMAKE_C_COMPILER} "${JOBFERRY_SANITIZE}")
program_test(test_tls TLS LABELS threads)
program_test(test_wire ARGS $<TARGET_FILE:hostile_store>)

add_executable(strip_conditions strip_conditions.c)
target_link_libraries(strip_conditions PRIVATE project_flags)

# A disk that fails on demand, for test_disk_errors.sh. It is loaded before the sanitizers, so without.
add_library(disk_faults MODULE disk_faults.c)
target_compile_definitions(disk_faults PRIVATE _GNU_SOURCE)
target_compile_options(disk_faults PRIVATE -Wall -Wextra -Wshadow -Wconversion -Werror)
target_link_libraries(disk_faults PRIVATE ${CMAKE_DL_LIBS})

# A store that no real one will be, for test_hostile.sh.
add_executable(hostile_store hostile_store.c)
target_link_libraries(hostile_store PRIVATE project_flags PkgConfig::MICROHTTPD)

jobferry_test(test_child LIBS runner SOURCES scratch.c)
jobferry_test(test_gate LIBS runner)
jobferry_test(test_log_file LIBS runner LABELS threads SOURCES scratch.c)
jobferry_test(test_lock LIBS runner PkgConfig::JANSSON LABELS threads SOURCES scratch.c)
jobferry_test(test_preflight LIBS runner LABELS threads SOURCES scripted_server.c)
jobferry_test(test_progress LIBS runner)
jobferry_test(test_publisher LIBS runner PkgConfig::JANSSON LABELS threads SOURCES scratch.c)
jobferry_test(test_report LIBS runner PkgConfig::JANSSON LABELS threads)
jobferry_test(test_tee LIBS runner LABELS threads SOURCES scratch.c)
jobferry_test(test_units LIBS runner SOURCES scratch.c)
jobferry_test(test_watch LIBS runner SOURCES scratch.c)

# Rules of the tree, as tests.
add_test(NAME check_includes COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_includes.sh)
add_test(NAME check_headers
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_headers.sh ${CMAKE_C_COMPILER})
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
  add_test(NAME check_style COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_style.sh)
  add_test(NAME check_tidy COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_tidy.sh ${PROJECT_BINARY_DIR})
  set_tests_properties(check_tidy PROPERTIES TIMEOUT 1800)
endif()

# Very many keys, and what they cost: for many_keys.sh, by hand.
add_executable(many_keys_store many_keys_store.c)
target_link_libraries(many_keys_store PRIVATE project_flags PkgConfig::MICROHTTPD)
add_executable(peak_memory peak_memory.c)
target_link_libraries(peak_memory PRIVATE project_flags)

# Jobs that are killed while their store is in trouble: chaos.sh, 30 of its rounds in every run.
add_executable(busy_store busy_store.c)
target_link_libraries(busy_store PRIVATE project_flags PkgConfig::MICROHTTPD)

# A child that tells the signals it gets, for test_pid1.sh.
add_executable(tell_signals tell_signals.c)
target_link_libraries(tell_signals PRIVATE project_flags)
add_test(NAME test_chaos COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/with_minio.sh
  ${CMAKE_CURRENT_SOURCE_DIR}/chaos.sh $<TARGET_FILE:jobferry> $<TARGET_FILE:busy_store> 30 1 4)
set_tests_properties(test_chaos PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77 LABELS "program;minio;threads")


# What is installed beside the command.
add_test(NAME test_library
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test_library.sh $<TARGET_FILE:jobferry-storage> ${CMAKE_C_COMPILER} ${PROJECT_SOURCE_DIR})
add_test(NAME test_pages
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test_pages.sh ${PROJECT_BINARY_DIR}/runner/pages $<TARGET_FILE:jobferry>)
set_tests_properties(test_library test_pages PROPERTIES LABELS program)
