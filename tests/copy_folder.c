/*
 * copy_folder.c - a program of ten lines on libjobferry-storage: copies SOURCE's contents to
 * DESTINATION, a folder or s3://bucket/prefix at $ENDPOINT with $KEY and $SECRET.
 */
#include <storage.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct storage_config config = {.access = {.access_key = getenv("KEY"),
                                               .secret_key = getenv("SECRET"),
                                               .endpoint = getenv("ENDPOINT")}};
    struct storage_url from, to;
    struct storage *source = NULL, *target = NULL;
    struct storage_error err = {0};
    struct storage_summary sum = {0};
    if (argc != 3 || storage_url_parse(&from, argv[1], &err) ||
        storage_url_parse(&to, argv[2], &err) || storage_open(&source, &from, &config, &err) ||
        storage_open(&target, &to, &config, &err) ||
        storage_copy(&(struct storage_copy){.source = source,
                                            .source_key = from.key,
                                            .destination = target,
                                            .destination_key = to.key,
                                            .recursive = true},
                     &sum, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    printf("%llu objects, %llu bytes\n", (unsigned long long)sum.objects,
           (unsigned long long)sum.bytes);
    storage_close(source);
    storage_close(target);
    return 0;
}
