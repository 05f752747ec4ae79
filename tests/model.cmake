jobferry_test(test_checkpoint LIBS model LABELS model SOURCES checkpoint_fixture.c)
jobferry_test(test_checkpoint_foreign LIBS model ZLIB::ZLIB LABELS model SOURCES checkpoint_fixture.c)
jobferry_test(test_checkpoint_settings LIBS model LABELS model SOURCES checkpoint_fixture.c)
jobferry_test(test_checkpointer LIBS model LABELS model threads)
jobferry_test(test_dataset LIBS model ZLIB::ZLIB LABELS model SOURCES mnist_fixture.c)
jobferry_test(test_digits LIBS model LABELS model)
jobferry_test(test_evaluate LIBS model ZLIB::ZLIB m LABELS model threads
  SOURCES mnist_fixture.c training_fixture.c)
jobferry_test(test_format LIBS model LABELS model)
jobferry_test(test_history LIBS model ZLIB::ZLIB PkgConfig::CAIRO m LABELS model
  SOURCES mnist_fixture.c training_fixture.c)
jobferry_test(test_idx LIBS model ZLIB::ZLIB LABELS model SOURCES mnist_fixture.c)
jobferry_test(test_kernels LIBS model ZLIB::ZLIB m LABELS model threads
  SOURCES mnist_fixture.c training_fixture.c)
jobferry_test(test_layers LIBS model LABELS model)
jobferry_test(test_lenet LIBS model LABELS model)
jobferry_test(test_mindspore LIBS model m LABELS model SOURCES lab_fixture.c)
jobferry_test(test_mnist LIBS model ZLIB::ZLIB LABELS model SOURCES mnist_fixture.c)
jobferry_test(test_optimizer LIBS model ZLIB::ZLIB m LABELS model threads
  SOURCES mnist_fixture.c training_fixture.c)
jobferry_test(test_order LIBS model LABELS model)
jobferry_test(test_picture LIBS model PkgConfig::CAIRO LABELS model)
jobferry_test(test_prefix LIBS model LABELS model)
jobferry_test(test_safetensors LIBS model LABELS model SOURCES checkpoint_fixture.c)
jobferry_test(test_metrics LIBS model LABELS model)
jobferry_test(test_pictures LIBS model PkgConfig::CAIRO LABELS model)
jobferry_test(test_picture_kinds LIBS model LABELS model)
jobferry_test(test_summary LIBS model ZLIB::ZLIB m LABELS model
  SOURCES mnist_fixture.c training_fixture.c)
jobferry_test(test_threads LIBS model ZLIB::ZLIB LABELS model threads SOURCES mnist_fixture.c)
jobferry_test(test_train LIBS model ZLIB::ZLIB LABELS model threads
  SOURCES mnist_fixture.c training_fixture.c)
jobferry_test(test_train_callbacks LIBS model ZLIB::ZLIB LABELS model threads
  SOURCES mnist_fixture.c training_fixture.c)

# Draws a set of more than ten classes for test_classes.sh.
add_executable(number_set number_set.c)
target_include_directories(number_set PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(number_set PRIVATE model project_flags)

# Writes a checkpoint for tests/mindspore/load_ours.py, which is run by hand.
add_executable(mindspore_ours mindspore_ours.c lab_fixture.c)
target_include_directories(mindspore_ours PRIVATE ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(mindspore_ours PRIVATE model project_flags m)

if(JOBFERRY_FUZZ)
  add_executable(fuzz_model fuzz_model.c)
  target_include_directories(fuzz_model PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(fuzz_model PRIVATE model project_flags)
  target_link_options(fuzz_model PRIVATE -fsanitize=fuzzer)
endif()

# What tests/bench/train.sh runs: `cmake --build … --target bench_train`.
add_executable(bench_network EXCLUDE_FROM_ALL bench/network.c)
target_include_directories(bench_network PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(bench_network PRIVATE model project_flags)
add_custom_target(bench_train DEPENDS bench_network jobferry)
foreach(kernels ${MODEL_KERNELS})
  set(bench bench_kernels_${kernels})
  add_executable(${bench} EXCLUDE_FROM_ALL bench/kernels.c)
  target_compile_definitions(${bench} PRIVATE KERNELS_SOURCE="model/kernels/${kernels}.c")
  target_compile_options(${bench} PRIVATE ${MODEL_KERNEL_OPTIONS_${kernels}})
  target_include_directories(${bench} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${bench} PRIVATE model project_flags m)
  add_dependencies(bench_train ${bench})
endforeach()
