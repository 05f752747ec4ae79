jobferry_test(test_s3 MINIO LIBS storage LABELS minio)
jobferry_test(test_sign LIBS storage)
jobferry_test(test_url LIBS storage)
