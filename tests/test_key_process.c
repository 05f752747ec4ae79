/*
 * Keys that a command prints, and keys of files that change: real processes, real files.
 */
#include "scratch.h"

#include "storage/credentials/source.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DOCUMENT                                                                                \
    "{\\\"Version\\\":1,\\\"AccessKeyId\\\":\\\"PA\\\",\\\"SecretAccessKey\\\":\\\"PSECRET\\\"" \
    "%s}"

static enum storage_code ask(const struct storage_key_source *keys, const atomic_bool *stop,
                             struct credentials_keys **taken, struct storage_error *err)
{
    struct storage_config config = {.access.keys = *keys, .stop = stop};
    struct key_place place = {.region = "r"};
    struct credentials *credentials = NULL;
    *taken = NULL;
    enum storage_code code = credentials_open(&credentials, &config, &place, err);
    if (code == STORAGE_OK) {
        code = credentials_take(credentials, taken, err);
    }
    credentials_free(credentials);
    return code;
}

static enum storage_code ask_command(const char *command, struct credentials_keys **taken,
                                     struct storage_error *err)
{
    struct storage_key_source keys = {.kind = STORAGE_KEYS_PROCESS, .command = command};
    return ask(&keys, NULL, taken, err);
}

/* Writes a script into the folder; its path. */
static const char *write_script(const char *folder, const char *name, const char *body)
{
    char text[4096];
    int length = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", body);
    scratch_write(folder, name, text, (size_t)length);
    const char *path = scratch_path(folder, name);
    assert_int_equal(chmod(path, 0700), 0);
    return path;
}

static void assert_keys(const char *command, const char *token, int64_t expires)
{
    struct credentials_keys *keys = NULL;
    struct storage_error err;
    if (ask_command(command, &keys, &err) != STORAGE_OK) {
        fail_msg("%s: %s", command, err.message);
    }
    assert_string_equal(keys->access_key, "PA");
    assert_string_equal(keys->secret_key, "PSECRET");
    assert_string_equal(keys->session_token, token);
    assert_int_equal(keys->expires, expires);
    credentials_give(keys);
}

static void assert_fails(const char *command, enum storage_code code, const char *word)
{
    struct credentials_keys *keys = NULL;
    struct storage_error err;
    enum storage_code got = ask_command(command, &keys, &err);
    if (got != code || !strstr(err.message, word) || strstr(err.message, "SECRET")) {
        fail_msg("%s: %d: %s", command, (int)got, err.message);
    }
    assert_null(keys);
}

static void what_a_command_prints_is_taken(void **state)
{
    static const struct {
        const char *more;
        const char *token;
        int64_t expires;
    } cases[] = {
        {"", "", 0},
        {",\\\"SessionToken\\\":\\\"T\\\",\\\"Expiration\\\":\\\"2030-10-12T08:12:38Z\\\"", "T",
         1918023158},
        {",\\\"Expiration\\\":\\\"2030-10-12T16:12:38+08:00\\\"", "", 1918023158},
        {",\\\"Expiration\\\":\\\"2030-10-12T03:42:38.5-04:30\\\"", "", 1918023158},
        {",\\\"Expiration\\\":null", "", 0},
    };
    char body[1024];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int length = snprintf(body, sizeof body, "echo \"" DOCUMENT "\"", cases[i].more);
        assert_true(length > 0 && (size_t)length < sizeof body);
        assert_keys(write_script(*state, "script", body), cases[i].token, cases[i].expires);
    }
}

/* The words that arrive, one a line on stderr and exit 3, come back in the error. */
static void a_command_is_split_without_a_shell(void **state)
{
    static const struct {
        const char *arguments;
        const char *seen;
    } cases[] = {
        {" a  b\tc ", "<a><b><c>"},
        {" 'a b' \"c d\"", "<a b><c d>"},
        {" a\\ b 'c\\' \"d\\\"e\" \"f\\g\"", "<a b><c\\><d\"e><f\\g>"},
        {" a'b'\"c\" '' \"\"", "<abc><><>"},
        {" $HOME ~ * ; `ls` | & > x", "<$HOME><~><*><;><`ls`><|><&><>><x>"},
    };
    char command[4200];
    char expected[128];
    const char *path =
        write_script(*state, "a script", "for word; do printf '<%s>' \"$word\"; done >&2; exit 3");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(command, sizeof command, "'%s'%s", path, cases[i].arguments);
        snprintf(expected, sizeof expected, "exited with 3: %s", cases[i].seen);
        assert_fails(command, STORAGE_DENIED, expected);
    }
    assert_false(scratch_exists(*state, "x"));
}

static void a_commands_trouble_is_told(void **state)
{
    static const struct {
        const char *body;
        enum storage_code code;
        const char *word;
    } cases[] = {
        {"echo first >&2; printf 'second\\n\\n' >&2; exit 7", STORAGE_DENIED,
         "exited with 7: second"},
        {"yes first | head -n 1000 >&2; echo second >&2; exit 7", STORAGE_DENIED,
         "exited with 7: second"},
        {"kill -9 $$", STORAGE_DENIED, "signal 9"},
        {"echo SECRET", STORAGE_DENIED, "no JSON"},
        {"echo '[1]'", STORAGE_DENIED, "no JSON"},
        {"echo '{\"Version\":2,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}'", STORAGE_DENIED,
         "Version 1"},
        {"echo '{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}'", STORAGE_DENIED, "Version 1"},
        {"echo '{\"Version\":1,\"SecretAccessKey\":\"SECRET\"}'", STORAGE_DENIED, "access key"},
        {"echo '{\"Version\":1,\"AccessKeyId\":\"A\"}'", STORAGE_USAGE, "secret key"},
        {"yes SECRET", STORAGE_DENIED, "64 KiB"},
        {"", STORAGE_DENIED, "no JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(write_script(*state, "script", cases[i].body), cases[i].code, cases[i].word);
    }
    assert_fails(scratch_path(*state, "nowhere"), STORAGE_DENIED, "No such file");
    assert_fails("'open", STORAGE_USAGE, "quote");
    assert_fails("''", STORAGE_USAGE, "empty");
}

/* A stop ends the command and what it has started. */
static void a_stop_ends_the_command(void **state)
{
    struct storage_key_source keys = {.kind = STORAGE_KEYS_PROCESS};
    struct credentials_keys *taken = NULL;
    struct storage_error err;
    atomic_bool stop;
    atomic_init(&stop, true);
    keys.command = write_script(*state, "script", "sleep 600 & sleep 600");
    assert_int_equal(ask(&keys, &stop, &taken, &err), STORAGE_STOPPED);
    assert_null(taken);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void a_file_is_read_again_when_its_keys_are_refused(void **state)
{
    static const char before[] = "[x]\naws_access_key_id=A1\naws_secret_access_key=S1\n";
    static const char after[] =
        "[x]\naws_access_key_id=A2\naws_secret_access_key=S2\naws_session_token=T2\n";
    scratch_write(*state, "profile", before, sizeof before - 1);
    struct storage_config config = {.access.keys = {.kind = STORAGE_KEYS_FILE,
                                                    .file = scratch_path(*state, "profile"),
                                                    .section = "x"}};
    struct key_place place = {.region = "r"};
    struct credentials *credentials = NULL;
    struct credentials_keys *old = NULL;
    struct credentials_keys *newer = NULL;
    assert_int_equal(credentials_open(&credentials, &config, &place, NULL), STORAGE_OK);
    assert_int_equal(credentials_take(credentials, &old, NULL), STORAGE_OK);
    assert_string_equal(old->access_key, "A1");
    scratch_write(*state, "profile", after, sizeof after - 1);
    assert_true(credentials_renew(credentials, old, false));
    assert_int_equal(credentials_take(credentials, &newer, NULL), STORAGE_OK);
    assert_string_equal(newer->access_key, "A2");
    assert_string_equal(newer->session_token, "T2");
    unlink(scratch_path(*state, "profile"));
    assert_false(credentials_renew(credentials, newer, false));
    credentials_give(old);
    credentials_give(newer);
    credentials_free(credentials);
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
        TEST(what_a_command_prints_is_taken),
        TEST(a_command_is_split_without_a_shell),
        TEST(a_commands_trouble_is_told),
        TEST(a_stop_ends_the_command),
        TEST(a_file_is_read_again_when_its_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
