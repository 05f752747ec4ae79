/* Digests, MACs, their texts, CRC-32 and dates against published values. */
#include "storage/base/crc.h"
#include "storage/base/date.h"
#include "storage/base/digest.h"
#include "storage/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_hex(const void *data, size_t size, const char *hex)
{
    struct buf out;
    buf_init(&out, 1024);
    digest_add_hex(&out, data, size);
    assert_string_equal(out.data, hex);
    buf_release(&out);
}

/* RFC 1321 A.5, FIPS 180-4 examples ("abc"), and the empty message. */
static void digests_are_those_of_the_standards(void **state)
{
    (void)state;
    uint8_t out[SHA256_SIZE];
    assert_true(digest_md5(out, "abc", 3));
    assert_hex(out, MD5_SIZE, "900150983cd24fb0d6963f7d28e17f72");
    assert_true(digest_md5(out, "", 0));
    assert_hex(out, MD5_SIZE, "d41d8cd98f00b204e9800998ecf8427e");
    assert_true(digest_sha1(out, "abc", 3));
    assert_hex(out, SHA1_SIZE, "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_true(digest_sha256(out, "abc", 3));
    assert_hex(out, SHA256_SIZE,
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 2202 case 2 and RFC 4231 case 2: the same key and data; then a key longer than a block. */
static void macs_are_those_of_the_rfcs(void **state)
{
    (void)state;
    static const char data[] = "what do ya want for nothing?";
    uint8_t out[SHA256_SIZE];
    assert_true(digest_hmac_sha1(out, "Jefe", 4, data, strlen(data)));
    assert_hex(out, SHA1_SIZE, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    assert_true(digest_hmac_sha256(out, "Jefe", 4, data, strlen(data)));
    assert_hex(out, SHA256_SIZE,
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    uint8_t key[131];
    memset(key, 0xaa, sizeof key);
    static const char long_key[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    assert_true(digest_hmac_sha256(out, key, sizeof key, long_key, strlen(long_key)));
    assert_hex(out, SHA256_SIZE,
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void md5_in_pieces_is_md5(void **state)
{
    (void)state;
    uint8_t out[MD5_SIZE];
    struct md5 *md5 = md5_new();
    assert_non_null(md5);
    md5_add(md5, "a", 1);
    md5_add(md5, "", 0);
    md5_add(md5, "bc", 2);
    assert_true(md5_finish(md5, out));
    assert_hex(out, MD5_SIZE, "900150983cd24fb0d6963f7d28e17f72");
    md5_free(md5);
    md5_free(NULL);
}

/* RFC 4648 §10, and one that is longer than a piece of the encoder. */
static void base64_is_that_of_the_rfc(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    struct buf out;
    char back[64];
    buf_init(&out, 1024);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = strlen(cases[i][0]);
        buf_clear(&out);
        digest_add_base64(&out, cases[i][0], size);
        assert_string_equal(out.data, cases[i][1]);
        if (size > 0) {
            assert_true(digest_decode_base64(back, size, out.data));
            assert_memory_equal(back, cases[i][0], size);
        }
    }
    uint8_t zeros[50] = {0};
    buf_clear(&out);
    digest_add_base64(&out, zeros, sizeof zeros);
    assert_int_equal(out.length, 68);
    assert_int_equal(strspn(out.data, "A"), 67);
    buf_release(&out);
    static const char *const bad[] = {"",     "Zm9",      "Zm9v",      "Zm9vYg",   "Zm9vYg=",
                                      "Zm9=", "Zm=vYg==", "Zm9vYg===", "Zm9!Yg==", " m9vYg=="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(digest_decode_base64(back, 4, bad[i]));
    }
}

static void wiping_leaves_nothing(void **state)
{
    (void)state;
    char secret[8] = "secret";
    static const char zeros[8] = "";
    digest_wipe(secret, sizeof secret);
    assert_memory_equal(secret, zeros, sizeof zeros);
}

/* The check value of CRC-32/ISO-HDLC, and parts of uneven sizes folded into the whole. */
static void crc32_folds(void **state)
{
    (void)state;
    assert_int_equal(storage_crc32(0, "123456789", 9), 0xCBF43926);
    assert_int_equal(storage_crc32(storage_crc32(0, "1234", 4), "56789", 5), 0xCBF43926);
    assert_int_equal(storage_crc32(0, "", 0), 0);
    enum {
        SIZE = 100003
    };
    static uint8_t data[SIZE];
    for (size_t i = 0; i < SIZE; i++) {
        data[i] = (uint8_t)(i * i >> 3);
    }
    uint32_t whole = storage_crc32(0, data, SIZE);
    static const size_t cuts[] = {0, 1, 15, 16, 17, 4096, SIZE - 1, SIZE};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        uint32_t first = storage_crc32(0, data, cuts[i]);
        uint32_t second = storage_crc32(0, data + cuts[i], SIZE - cuts[i]);
        assert_int_equal(crc32_fold(first, second, SIZE - cuts[i]), whole);
    }
}

static void dates_are_written_as_stores_want_them(void **state)
{
    (void)state;
    char http[DATE_HTTP_SIZE];
    char amz[DATE_AMZ_SIZE];
    date_format_http(http, 1728720758);
    assert_string_equal(http, "Sat, 12 Oct 2024 08:12:38 GMT");
    date_format_amz(amz, 1728720758);
    assert_string_equal(amz, "20241012T081238Z");
    date_format_amz(amz, -5);
    assert_string_equal(amz, "19700101T000000Z");
    date_format_amz(amz, INT64_MAX);
    assert_string_equal(amz, "99991231T235959Z");
}

static void dates_are_read_or_refused(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_true(date_parse_http(&value, "Sat, 12 Oct 2024 08:12:38 GMT"));
    assert_true(value == 1728720758);
    static const char *const bad_http[] = {
        "",
        "Sat, 12 Oct 2024 08:12:38",
        "Sat, 12 Oct 2024 08:12:38 CET",
        "Sat, 12 Okt 2024 08:12:38 GMT",
        "Sat, 32 Oct 2024 08:12:38 GMT",
        "Sat, 12 Oct 2024 24:12:38 GMT",
        "Sat, 12 Oct 2024 08:12:38 GMT, again",
    };
    for (size_t i = 0; i < sizeof bad_http / sizeof *bad_http; i++) {
        assert_false(date_parse_http(&value, bad_http[i]));
    }
    assert_true(date_parse_iso(&value, "2024-10-12T08:12:38.5Z"));
    assert_true(value == INT64_C(1728720758500000000));
    assert_true(date_parse_iso(&value, "2024-10-12T08:12:38Z"));
    assert_true(value == INT64_C(1728720758000000000));
    assert_true(date_parse_iso(&value, "2024-10-12T08:12:38.12345678901234Z"));
    assert_true(value == INT64_C(1728720758123456789));
    static const char *const bad_iso[] = {"",
                                          "2024-10-12",
                                          "2024-10-12T08:12:38",
                                          "2024-13-12T08:12:38Z",
                                          "2024-10-12T08:12:38+01:00",
                                          "1969-10-12T08:12:38Z",
                                          "9999-10-12T08:12:38Z"};
    for (size_t i = 0; i < sizeof bad_iso / sizeof *bad_iso; i++) {
        assert_false(date_parse_iso(&value, bad_iso[i]));
    }
}

static void kept_times_go_there_and_back(void **state)
{
    (void)state;
    static const int64_t values[] = {0, 1, -1, 1234567890123456789, -1500000000, 1000000000};
    static const char *const texts[] = {"0.000000000",          "0.000000001",  "-0.000000001",
                                        "1234567890.123456789", "-1.500000000", "1.000000000"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[32];
        int64_t back = 7;
        date_format_decimal(text, sizeof text, values[i]);
        assert_string_equal(text, texts[i]);
        assert_true(date_parse_decimal(&back, text));
        assert_true(back == values[i]);
    }
    int64_t value = 0;
    assert_true(date_parse_decimal(&value, "5"));
    assert_true(value == 5000000000);
    static const char *const bad[] = {"", "-", ".5", "1e3", "1 ", "99999999999999999999", "0x1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(date_parse_decimal(&value, bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standards),
        cmocka_unit_test(macs_are_those_of_the_rfcs),
        cmocka_unit_test(md5_in_pieces_is_md5),
        cmocka_unit_test(base64_is_that_of_the_rfc),
        cmocka_unit_test(wiping_leaves_nothing),
        cmocka_unit_test(crc32_folds),
        cmocka_unit_test(dates_are_written_as_stores_want_them),
        cmocka_unit_test(dates_are_read_or_refused),
        cmocka_unit_test(kept_times_go_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
