# Tests of the whole program, written in bash; $1 is the binary. MinIO comes from with_minio.sh.
function(program_test name)
  cmake_parse_arguments(T "MINIO" "TIMEOUT" "LABELS" ${ARGN})
  set(command ${CMAKE_CURRENT_SOURCE_DIR}/${name}.sh $<TARGET_FILE:jobferry>)
  if(T_MINIO)
    list(PREPEND command ${CMAKE_CURRENT_SOURCE_DIR}/with_minio.sh)
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${command})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${T_TIMEOUT} SKIP_RETURN_CODE 77 LABELS "program;${T_LABELS}")
endfunction()

program_test(test_bad_data)
program_test(test_cli)
program_test(test_job MINIO TIMEOUT 900)

# Rules of the tree, as tests.
add_test(NAME check_includes COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_includes.sh)
add_test(NAME check_headers
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_headers.sh ${CMAKE_C_COMPILER})
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
  add_test(NAME check_style COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_style.sh)
  add_test(NAME check_tidy COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/check_tidy.sh ${PROJECT_BINARY_DIR})
  set_tests_properties(check_tidy PROPERTIES TIMEOUT 1800)
endif()
