/* Where buckets are: endpoints, regions, addressing, and redirects that may not lead away. */
#include "storage/s3/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void endpoints_become_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *endpoint, *region, *bucket;
        enum storage_addressing addressing;
        const char *host; /* of a request */
        const char *in_region;
        bool is_https, is_obs;
    } cases[] = {
        {NULL, NULL, "bkt", 0, "bkt.s3.us-east-1.amazonaws.com", "us-east-1", true, false},
        {"", "eu-west-1", "bkt", 0, "bkt.s3.eu-west-1.amazonaws.com", "eu-west-1", true, false},
        {NULL, "cn-north-1", "bkt", 0, "bkt.s3.cn-north-1.amazonaws.com.cn", "cn-north-1", true,
         false},
        {NULL, NULL, "a.b.c", 0, "s3.us-east-1.amazonaws.com", "us-east-1", true, false},
        {"s3.amazonaws.com", NULL, "bkt", 0, "bkt.s3.amazonaws.com", "us-east-1", true, false},
        {"https://s3-eu-west-1.amazonaws.com", NULL, "bkt", 0, "bkt.s3-eu-west-1.amazonaws.com",
         "eu-west-1", true, false},
        {"https://s3.dualstack.us-west-2.amazonaws.com/", NULL, "bkt", 0,
         "bkt.s3.dualstack.us-west-2.amazonaws.com", "us-west-2", true, false},
        {"https://obs.cn-north-4.myhuaweicloud.com", NULL, "bkt", 0,
         "bkt.obs.cn-north-4.myhuaweicloud.com", "cn-north-4", true, true},
        {"obs.cn-north-4.myhuaweicloud.com:443", "cn-x-1", "bkt", 0,
         "bkt.obs.cn-north-4.myhuaweicloud.com", "cn-x-1", true, true},
        {"HTTPS://BKT.OBS.CN-North-4.MyHuaweiCloud.com", NULL, "bkt", 0,
         "bkt.obs.cn-north-4.myhuaweicloud.com", "cn-north-4", true, true},
        {"https://obs.eu-de.otc.t-systems.com", NULL, "bkt", 0, "obs.eu-de.otc.t-systems.com",
         "eu-de", true, false},
        {"https://obs.eu-de.otc.t-systems.com", NULL, "bkt", STORAGE_ADDRESSING_VIRTUAL,
         "bkt.obs.eu-de.otc.t-systems.com", "eu-de", true, false},
        {"https://oss-cn-hangzhou.aliyuncs.com", NULL, "bkt", 0, "bkt.oss-cn-hangzhou.aliyuncs.com",
         "us-east-1", true, false},
        {"http://minio:9000", NULL, "bkt", 0, "minio:9000", "us-east-1", false, false},
        {"http://127.0.0.1:80/", NULL, "bkt", 0, "127.0.0.1", "us-east-1", false, false},
        {"http://127.0.0.1:443", NULL, "bkt", 0, "127.0.0.1:443", "us-east-1", false, false},
        {"https://[::1]:9000", NULL, "bkt", 0, "[::1]:9000", "us-east-1", true, false},
        {"https://[::1]", NULL, "bkt", 0, "[::1]", "us-east-1", true, false},
        {"https://notamazonaws.com", NULL, "bkt", 0, "notamazonaws.com", "us-east-1", true, false},
        {"https://s3.us-west-2.amazonaws.com", NULL, "bkt", STORAGE_ADDRESSING_PATH,
         "s3.us-west-2.amazonaws.com", "us-west-2", true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_access access = {.endpoint = cases[i].endpoint,
                                        .region = cases[i].region,
                                        .addressing = cases[i].addressing};
        struct endpoint endpoint;
        struct storage_error err = {0};
        struct buf host;
        buf_init(&host, 1024);
        if (endpoint_resolve(&endpoint, cases[i].bucket, &access, &err) != STORAGE_OK) {
            fail_msg("%s: %s", cases[i].endpoint, err.message);
        }
        endpoint_add_host(&host, &endpoint, cases[i].bucket);
        assert_string_equal(host.data, cases[i].host);
        assert_string_equal(endpoint.region, cases[i].in_region);
        assert_int_equal(endpoint.is_https, cases[i].is_https);
        assert_int_equal(endpoint.is_obs, cases[i].is_obs);
        buf_release(&host);
    }
}

static void malformed_endpoints_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "http://",       "https:///x",
        "ftp://host",    "http://host/prefix",
        "http://host?x", "http://host:port",
        "http://host:",  "http://host:123456",
        "http://ho st",  "http://a\r\nX: y",
        "http://[::1",   "http://[::1]9000",
        "http://h%6fst", "http://AKIA:hush@host",
        "host/prefix",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_access access = {.endpoint = cases[i]};
        struct endpoint endpoint;
        struct storage_error err = {0};
        if (endpoint_resolve(&endpoint, "bkt", &access, &err) != STORAGE_USAGE) {
            fail_msg("%s was taken", cases[i]);
        }
        assert_true(err.message[0] && err.hint[0]);
        assert_null(strstr(err.message, "hush"));
    }
    struct endpoint endpoint;
    struct storage_access access = {.endpoint = "http://10.0.0.1:9000",
                                    .addressing = STORAGE_ADDRESSING_VIRTUAL};
    assert_int_equal(endpoint_resolve(&endpoint, "bkt", &access, NULL), STORAGE_USAGE);
    access = (struct storage_access){.region = "evil.example.com/"};
    assert_int_equal(endpoint_resolve(&endpoint, "bkt", &access, NULL), STORAGE_USAGE);
}

static void redirects_stay_in_the_domain(void **state)
{
    (void)state;
    static const struct {
        const char *from, *region, *host;
        bool changed;
        const char *to_host, *to_region;
    } cases[] = {
        {NULL, "eu-west-1", "", true, "s3.eu-west-1.amazonaws.com", "eu-west-1"},
        {NULL, "cn-north-1", "", true, "s3.cn-north-1.amazonaws.com.cn", "cn-north-1"},
        {NULL, "us-east-1", "", false, "s3.us-east-1.amazonaws.com", "us-east-1"},
        {NULL, "", "bkt.s3.eu-west-1.amazonaws.com", true, "s3.eu-west-1.amazonaws.com",
         "eu-west-1"},
        {NULL, "", "https://bkt.s3-us-west-2.amazonaws.com/key?x", true,
         "s3-us-west-2.amazonaws.com", "us-west-2"},
        {NULL, "", "bkt.s3.evil.com", false, "s3.us-east-1.amazonaws.com", "us-east-1"},
        {NULL, "", "s3.evilamazonaws.com", false, "s3.us-east-1.amazonaws.com", "us-east-1"},
        {NULL, "", "s3.amazonaws.com.evil.com", false, "s3.us-east-1.amazonaws.com", "us-east-1"},
        {NULL, "", "user@s3.eu-west-1.amazonaws.com", false, "s3.us-east-1.amazonaws.com",
         "us-east-1"},
        {NULL, "evil.com/", "", false, "s3.us-east-1.amazonaws.com", "us-east-1"},
        {NULL, "", "", false, "s3.us-east-1.amazonaws.com", "us-east-1"},
        {"https://obs.cn-north-1.myhuaweicloud.com", "", "bkt.obs.cn-north-4.myhuaweicloud.com",
         true, "obs.cn-north-4.myhuaweicloud.com", "cn-north-4"},
        {"http://minio:9000", "eu-central-7", "", true, "minio:9000", "eu-central-7"},
        {"http://minio:9000", "", "http://other:9000/", false, "minio:9000", "us-east-1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_access access = {.endpoint = cases[i].from};
        struct endpoint endpoint;
        assert_int_equal(endpoint_resolve(&endpoint, "bkt", &access, NULL), STORAGE_OK);
        bool changed = endpoint_redirect(&endpoint, "bkt", cases[i].region, cases[i].host);
        if (changed != cases[i].changed) {
            fail_msg("case %zu: %s", i, endpoint.host);
        }
        assert_string_equal(endpoint.host, cases[i].to_host);
        assert_string_equal(endpoint.region, cases[i].to_region);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_become_hosts),
        cmocka_unit_test(malformed_endpoints_are_refused),
        cmocka_unit_test(redirects_stay_in_the_domain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
