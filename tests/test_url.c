/* URLs, percent-encoding, joined and safe names, and the buffer they are written into. */
#include "storage/base/buf.h"
#include "storage/base/url.h"
#include "storage/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void urls_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum storage_kind kind;
        const char *bucket, *key, *formatted;
    } cases[] = {
        {"s3://demo/MNIST/train", STORAGE_S3, "demo", "MNIST/train", "s3://demo/MNIST/train"},
        {"obs://demo/a", STORAGE_S3, "demo", "a", "s3://demo/a"},
        {"OBS://demo/a", STORAGE_S3, "demo", "a", "s3://demo/a"},
        {"s3://demo", STORAGE_S3, "demo", "", "s3://demo/"},
        {"s3://demo/", STORAGE_S3, "demo", "", "s3://demo/"},
        {"s3://demo/a%20b+c?d#e", STORAGE_S3, "demo", "a%20b+c?d#e", "s3://demo/a%20b+c?d#e"},
        {"s3://demo//a", STORAGE_S3, "demo", "/a", "s3://demo//a"},
        {"s3://a.b-c_1/x", STORAGE_S3, "a.b-c_1", "x", "s3://a.b-c_1/x"},
        {"file:///tmp/x y", STORAGE_LOCAL, "", "/tmp/x y", "/tmp/x y"},
        {"/tmp/x", STORAGE_LOCAL, "", "/tmp/x", "/tmp/x"},
        {"data", STORAGE_LOCAL, "", "data", "data"},
        {".", STORAGE_LOCAL, "", ".", "."},
        {"a:b", STORAGE_LOCAL, "", "a:b", "a:b"},
        {"./a:/b", STORAGE_LOCAL, "", "./a:/b", "./a:/b"},
        {"1:/b", STORAGE_LOCAL, "", "1:/b", "1:/b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_url url;
        struct storage_error err = {0};
        if (storage_url_parse(&url, cases[i].text, &err) != STORAGE_OK) {
            fail_msg("%s: %s", cases[i].text, err.message);
        }
        assert_int_equal(url.kind, cases[i].kind);
        assert_string_equal(url.bucket, cases[i].bucket);
        assert_string_equal(url.key, cases[i].key);
        char text[128];
        storage_url_format(&url, text, sizeof text);
        assert_string_equal(text, cases[i].formatted);
    }
}

static void what_no_store_takes_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "obs:/bucket",
        "s3:bucket",
        "s3:/b",
        "obs:",
        "s3://",
        "s3:///key",
        "s3://ab/k",
        "s3://-abc/k",
        "s3://a..b/k",
        "s3://a b/k",
        "s3://abc:80/k",
        "https://a.b/c",
        "ftp://host/x",
        "gs://bucket/x",
        "file://x/y",
        "file:x",
        "hdfs:/x",
        "s3://user@b/k",
        "s3a://bucket/k",
        "C:/Users",
        "s3://\xc3\xbc\xc3\xbc/k",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_url url;
        struct storage_error err = {0};
        if (storage_url_parse(&url, cases[i], &err) != STORAGE_USAGE) {
            fail_msg("'%s' was taken", cases[i]);
        }
        assert_int_equal(err.code, STORAGE_USAGE);
        assert_true(strlen(err.message) > 0 && strlen(err.hint) > 0);
    }
}

static void limits_are_exact(void **state)
{
    (void)state;
    static char text[8192];
    struct storage_url url;
    static const struct {
        const char *prefix;
        size_t fill;
        enum storage_code code;
    } cases[] = {
        {"s3://demo/", STORAGE_KEY_MAX, STORAGE_OK},
        {"s3://demo/", STORAGE_KEY_MAX + 1, STORAGE_USAGE},
        {"s3://", STORAGE_BUCKET_MAX, STORAGE_OK},
        {"s3://", STORAGE_BUCKET_MAX + 1, STORAGE_USAGE},
        {"/", STORAGE_PATH_MAX - 2, STORAGE_OK},
        {"/", STORAGE_PATH_MAX - 1, STORAGE_USAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t prefix = (size_t)snprintf(text, sizeof text, "%s", cases[i].prefix);
        memset(text + prefix, 'x', cases[i].fill);
        text[prefix + cases[i].fill] = '\0';
        assert_int_equal(storage_url_parse(&url, text, NULL), cases[i].code);
    }
}

static void a_refusal_does_not_repeat_keys(void **state)
{
    (void)state;
    struct storage_url url;
    struct storage_error err;
    storage_url_parse(&url, "s3://AKIA:hushhush@bucket/key", &err);
    assert_null(strstr(err.message, "hushhush"));
    assert_null(strstr(err.target, "hushhush"));
    assert_non_null(strstr(err.message, "@bucket/key"));
}

static void encoding_is_that_of_rfc_3986(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    url_encode_path(&out, "dir/a b+c%d~-_.Z9?\xe1\x88\xb4\x01");
    assert_string_equal(out.data, "dir/a%20b%2Bc%25d~-_.Z9%3F%E1%88%B4%01");
    buf_clear(&out);
    url_encode_query(&out, "a/b=c&d");
    assert_string_equal(out.data, "a%2Fb%3Dc%26d");
    buf_release(&out);
}

static void decoding_undoes_encoding(void **state)
{
    (void)state;
    char all[256];
    for (int i = 1; i < 256; i++) {
        all[i - 1] = (char)i;
    }
    all[255] = '\0';
    struct buf out;
    buf_init(&out, 4096);
    url_encode_query(&out, all);
    assert_true(url_decode(out.data));
    assert_string_equal(out.data, all);
    buf_release(&out);

    char form[] = "a+b%2bc";
    assert_true(url_decode(form));
    assert_string_equal(form, "a b+c");
    static const char *const bad[] = {"%", "a%2", "%zz", "%00", "%2g"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[8];
        snprintf(text, sizeof text, "%s", bad[i]);
        assert_false(url_decode(text));
    }
}

static void joining_leaves_one_slash(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"", "b", "b"},      {"a", "b", "a/b"},       {"a/", "b", "a/b"}, {"a", "/b", "a/b"},
        {"a//", "b", "a/b"}, {"/", "b", "/b"},        {"a", "", "a/"},    {"", "", ""},
        {"", "/b", "/b"},    {"a/b", "c/", "a/b/c/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[16];
        assert_true(storage_join(out, sizeof out, cases[i][0], cases[i][1]));
        assert_string_equal(out, cases[i][2]);
    }
    char out[4];
    assert_true(storage_join(out, 4, "a", "b"));
    assert_false(storage_join(out, 3, "a", "b"));
}

static void hostile_names_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *why; /* a part of it; NULL: safe */
    } cases[] = {
        {"a", NULL},         {"a/b c/ü", NULL},      {"a/", NULL},           {"..a/b..", NULL},
        {".jobferry", NULL}, {"...", NULL},          {"a/.../b", NULL},      {"", "empty"},
        {"/", "absolute"},   {"/etc/passwd", "abs"}, {"..", ".."},           {"../x", ".."},
        {"a/../b", ".."},    {"a/..", ".."},         {"a/../", ".."},        {".", "'.'"},
        {"./a", "'.'"},      {"a/.", "'.'"},         {"a//b", "//"},         {"a//", "//"},
        {"a\nb", "control"}, {"a\x7f", "control"},   {"\x1b[2J", "control"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why = "unset";
        bool safe = storage_name_is_safe(cases[i].name, &why);
        if (safe != !cases[i].why || (why && !strstr(why, cases[i].why))) {
            fail_msg("'%s': %s", cases[i].name, why ? why : "taken");
        }
    }
    assert_false(storage_name_is_safe("..", NULL));
}

static void a_buffer_fails_once_and_stays_failed(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 5);
    assert_string_equal(buf.data, "");
    buf_text(&buf, "abc");
    buf_format(&buf, "%d", 45);
    assert_true(buf_ok(&buf));
    buf_char(&buf, '6');
    assert_false(buf_ok(&buf));
    assert_string_equal(buf.data, "abc45");
    buf_clear(&buf);
    assert_true(buf_ok(&buf));
    assert_string_equal(buf.data, "");
    buf_format(&buf, "%s", "123456");
    assert_false(buf_ok(&buf));
    buf_clear(&buf);
    buf_text(&buf, "xy");
    char *text = buf_detach(&buf);
    assert_string_equal(text, "xy");
    free(text);
    text = buf_detach(&buf);
    assert_string_equal(text, "");
    free(text);
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(what_no_store_takes_is_refused),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(a_refusal_does_not_repeat_keys),
        cmocka_unit_test(encoding_is_that_of_rfc_3986),
        cmocka_unit_test(decoding_undoes_encoding),
        cmocka_unit_test(joining_leaves_one_slash),
        cmocka_unit_test(hostile_names_are_named),
        cmocka_unit_test(a_buffer_fails_once_and_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
