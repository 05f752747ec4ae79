jobferry_test(test_checkpoint LIBS model ZLIB::ZLIB LABELS model)
