jobferry_test(test_url LIBS storage)
