/* Profile files and obsutil configurations, as a table of texts and what is read of them. */
#include "scratch.h"

#include "storage/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct reading {
    const char *text;
    const char *section; /* NULL: an obsutil configuration */
    bool found;
    const char *access_key; /* NULL: absent */
    const char *secret_key;
    const char *session_token;
};

static const struct reading readings[] = {
    {"[default]\naws_access_key_id = AK\naws_secret_access_key=SK\n", "default", true, "AK", "SK",
     NULL},
    {"[default]\r\naws_access_key_id = AK\t\r\naws_secret_access_key= SK \r\n", "default", true,
     "AK", "SK", NULL},
    {"[a]\naws_access_key_id=1\n[b]\naws_access_key_id=2\n", "b", true, "2", NULL, NULL},
    {"[profile b]\naws_access_key_id=2", "b", true, "2", NULL, NULL},
    {"[ profile  b ]\naws_access_key_id=2", "b", true, "2", NULL, NULL},
    {"[b]\n# aws_access_key_id=1\n;aws_access_key_id=2\naws_access_key_id=3 ;not a comment", "b",
     true, "3 ;not a comment", NULL, NULL},
    {"[b]\naws_access_key_id=1\naws_access_key_id=2", "b", true, "1", NULL, NULL},
    {"[b]\naws_access_key_id=\naws_session_token==x=", "b", true, NULL, NULL, "=x="},
    {"[b]\naws_access_key_id", "b", true, NULL, NULL, NULL},
    {"aws_access_key_id=1\n[c]\n", "b", false, NULL, NULL, NULL},
    {"[b\naws_access_key_id=1\n", "b", false, NULL, NULL, NULL},
    {"[bb]\naws_access_key_id=1\n", "b", false, NULL, NULL, NULL},
    {"", "b", false, NULL, NULL, NULL},
    {"endpoint=obs.cn-north-4.myhuaweicloud.com\nak=AK\nsk = SK\ntoken=T\nunknown=1", NULL, true,
     "AK", "SK", "T"},
    {"ak=\nsk=\n", NULL, false, NULL, NULL, NULL},
    {"[section]\nak=AK\n", NULL, false, NULL, NULL, NULL},
};

static void assert_text(size_t row, const char *got, const char *wanted)
{
    if ((got == NULL) != (wanted == NULL) || (got && strcmp(got, wanted) != 0)) {
        fail_msg("row %zu: %s instead of %s", row, got ? got : "nothing",
                 wanted ? wanted : "nothing");
    }
}

static bool read_text(struct storage_profile *profile, const char *folder, const char *text,
                      size_t size, const char *section)
{
    scratch_write(folder, "profile", text, size);
    const char *path = scratch_path(folder, "profile");
    return section ? storage_profile_read(profile, path, section)
                   : storage_profile_read_obsutil(profile, path);
}

static void the_table_is_read(void **state)
{
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        const struct reading *row = &readings[i];
        struct storage_profile profile = {0};
        if (read_text(&profile, *state, row->text, strlen(row->text), row->section) != row->found) {
            fail_msg("row %zu: found the wrong way", i);
        }
        assert_text(i, profile.access_key, row->access_key);
        assert_text(i, profile.secret_key, row->secret_key);
        assert_text(i, profile.session_token, row->session_token);
        assert_false(profile.is_encrypted);
        storage_profile_release(&profile);
        assert_null(profile.access_key);
    }
}

static void other_words_of_a_profile_are_read(void **state)
{
    static const char text[] =
        "[profile x]\nregion = eu-1\nendpoint_url = https://e\nca_bundle = /ca\n"
        "credential_process = \"/a b/c\" --d 'e f'\nrole_arn = arn:aws:iam::1:role/r\n"
        "role_session_name = s\nweb_identity_token_file = /t\nsource_profile = y\n";
    struct storage_profile profile = {0};
    assert_true(read_text(&profile, *state, text, sizeof text - 1, "x"));
    assert_string_equal(profile.region, "eu-1");
    assert_string_equal(profile.endpoint, "https://e");
    assert_string_equal(profile.ca_file, "/ca");
    assert_string_equal(profile.process, "\"/a b/c\" --d 'e f'");
    assert_string_equal(profile.role_arn, "arn:aws:iam::1:role/r");
    assert_string_equal(profile.session_name, "s");
    assert_string_equal(profile.token_file, "/t");
    assert_string_equal(profile.borrowed, "y");
    storage_profile_release(&profile);
}

/* Session tokens pass 1,400 bytes, which is where other readers cut them. */
static void long_values_are_whole(void **state)
{
    char text[9000] = "[x]\naws_session_token = ";
    size_t length = strlen(text);
    memset(text + length, 'T', 8000);
    struct storage_profile profile = {0};
    assert_true(read_text(&profile, *state, text, length + 8000, "x"));
    assert_int_equal(strlen(profile.session_token), 8000);
    storage_profile_release(&profile);
}

static void encrypted_keys_are_recognised(void **state)
{
    static const char *const texts[] = {
        "ak=AK\nsk=c2VjcmV0IHRoYXQgaXMgZW5jcnlwdGVkIGFuZCBwYWRkZWQ=\n",
        "ak=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0\nsk=SK\n",
    };
    for (size_t i = 0; i < 2; i++) {
        struct storage_profile profile = {0};
        assert_true(read_text(&profile, *state, texts[i], strlen(texts[i]), NULL));
        assert_true(profile.is_encrypted);
        storage_profile_release(&profile);
    }
}

static void what_cannot_be_read_has_no_sections(void **state)
{
    struct storage_profile profile = {0};
    size_t size = 1024 * 1024 + 1;
    char *text = calloc(1, size);
    memset(text, '\n', size);
    memcpy(text, "[x]", 3);
    assert_false(storage_profile_read(&profile, scratch_path(*state, "nowhere"), "x"));
    assert_false(storage_profile_read(&profile, *state, "x")); /* a folder */
    assert_false(read_text(&profile, *state, text, size, "x"));
    assert_true(read_text(&profile, *state, text, size - 1, "x"));
    storage_profile_release(&profile);
    free(text);
}

static int set_up(void **state)
{
    *state = scratch_make();
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(*state);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_table_is_read),
        TEST(other_words_of_a_profile_are_read),
        TEST(long_values_are_whole),
        TEST(encrypted_keys_are_recognised),
        TEST(what_cannot_be_read_has_no_sections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
