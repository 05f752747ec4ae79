jobferry_test(test_checkpoint LIBS model ZLIB::ZLIB LABELS model)
jobferry_test(test_checkpointer LIBS model LABELS model)
