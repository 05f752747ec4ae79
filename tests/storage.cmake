jobferry_test(test_sign LIBS storage)
jobferry_test(test_url LIBS storage)
