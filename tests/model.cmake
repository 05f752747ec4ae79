jobferry_test(test_checkpoint LIBS model ZLIB::ZLIB LABELS model)
jobferry_test(test_checkpointer LIBS model LABELS model)
jobferry_test(test_dataset LIBS model ZLIB::ZLIB LABELS model SOURCES mnist_fixture.c)
jobferry_test(test_idx LIBS model ZLIB::ZLIB LABELS model SOURCES mnist_fixture.c)
