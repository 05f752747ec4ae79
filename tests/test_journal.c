/*
 * The journal of a big copy: what was written is read, what was cut or changed is not believed, and
 * only one holds it.
 */
#include "scratch.h"
#include "storage/copy/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    PARTS = 7
};

static char *folder;

static int make_folder(void **state)
{
    (void)state;
    folder = scratch_make();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    scratch_remove(folder);
    return 0;
}

static const char *path(void)
{
    return scratch_path(folder, ".x.journal");
}

/* The file as text, malloc'ed. */
static char *read_text(size_t *size)
{
    char *bytes = scratch_read(folder, ".x.journal", size);
    assert_non_null(bytes);
    char *text = realloc(bytes, *size + 1);
    assert_non_null(text);
    text[*size] = '\0';
    return text;
}

static struct journal_head make_head(void)
{
    struct journal_head head = {.size = 123456789012,
                                .part_size = 8 << 20,
                                .mtime_ns = -5,
                                .needs_sync = true,
                                .etag = "0123-4",
                                .source = "https://store bucket with space/and\nline=+%20",
                                .token = ".x.abcdef.part"};
    return head;
}

static uint32_t crc_of(unsigned number)
{
    return 0x9e3779b9U * number;
}

/* Seven parts, not in order, with and without tags; the first four made durable. */
static void write_seven(void)
{
    static const unsigned order[PARTS] = {2, 1, 5, 3, 4, 7, 6};
    struct journal *journal = journal_open(path());
    assert_non_null(journal);
    assert_null(journal_head(journal));
    const struct journal_head head = make_head();
    assert_true(journal_start(journal, &head));
    for (size_t i = 0; i < PARTS; i++) {
        assert_true(
            journal_add(journal, order[i], crc_of(order[i]), order[i] % 2 ? "md5:00ff \n=" : ""));
        if (i == 3) {
            assert_true(journal_synced(journal, journal_count(journal)));
        }
    }
    journal_close(journal);
}

/* Counts the parts that are in, each of which must be as it was written. */
static unsigned count_parts(struct journal *journal)
{
    unsigned count = 0;
    for (unsigned i = 0; i <= PARTS + 1; i++) {
        struct journal_part part = journal_part(journal, i);
        count += part.is_done;
        if (part.is_done) {
            assert_in_range(i, 1, PARTS);
            assert_int_equal(part.crc32, crc_of(i));
            assert_string_equal(part.tag, i % 2 ? "md5:00ff \n=" : "");
        }
    }
    return count;
}

static void assert_head(const struct journal *journal)
{
    const struct journal_head *head = journal_head(journal);
    const struct journal_head wanted = make_head();
    assert_non_null(head);
    assert_int_equal(head->size, wanted.size);
    assert_int_equal(head->part_size, wanted.part_size);
    assert_int_equal(head->mtime_ns, wanted.mtime_ns);
    assert_int_equal(head->needs_sync, wanted.needs_sync);
    assert_string_equal(head->etag, wanted.etag);
    assert_string_equal(head->source, wanted.source);
    assert_string_equal(head->token, wanted.token);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    write_seven();
    for (int round = 0; round < 2; round++) { /* reading changes nothing */
        struct journal *journal = journal_open(path());
        assert_non_null(journal);
        assert_head(journal);
        assert_int_equal(count_parts(journal), PARTS);
        assert_int_equal(journal_count(journal), PARTS);
        journal_close(journal);
    }
    struct journal *journal = journal_open(path());
    const struct journal_head head = make_head();
    assert_true(journal_start(journal, &head)); /* a new head forgets the parts */
    assert_int_equal(count_parts(journal), 0);
    journal_remove(journal);
    assert_false(scratch_exists(folder, ".x.journal"));
}

/* Every length: what is whole before the cut is there, and what is added then stands behind it. */
static void a_torn_tail_is_as_if_never_written(void **state)
{
    (void)state;
    write_seven();
    size_t size = 0;
    char *whole = read_text(&size);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned lines = 0;
        for (size_t i = 0; i < cut; i++) {
            lines += whole[i] == '\n';
        }
        unsigned parts = lines == 0 ? 0 : lines <= 5 ? lines - 1 : lines - 2; /* one says sync */
        scratch_write(folder, ".x.journal", whole, cut);
        struct journal *journal = journal_open(path());
        assert_non_null(journal);
        assert_int_equal(journal_head(journal) != NULL, lines > 0);
        assert_int_equal(count_parts(journal), parts);
        bool added = lines > 0 && parts < PARTS;
        if (added) {
            assert_true(journal_add(journal, 6, crc_of(6), ""));
        }
        journal_close(journal);
        journal = journal_open(path());
        assert_int_equal(count_parts(journal), parts + added);
        journal_close(journal);
    }
    free(whole);
}

/* Every byte: the lines before the damage stay, no line from it on is believed. */
static void a_flipped_byte_is_not_believed(void **state)
{
    (void)state;
    write_seven();
    size_t size = 0;
    char *whole = read_text(&size);
    for (size_t at = 0; at < size; at++) {
        unsigned lines = 0;
        for (size_t i = 0; i < at; i++) {
            lines += whole[i] == '\n';
        }
        unsigned parts = lines == 0 ? 0 : lines <= 5 ? lines - 1 : lines - 2;
        char kept = whole[at];
        whole[at] = (char)(kept ^ (1 << at % 8));
        scratch_write(folder, ".x.journal", whole, size);
        whole[at] = kept;
        struct journal *journal = journal_open(path());
        assert_non_null(journal);
        assert_int_equal(journal_head(journal) != NULL, lines > 0);
        assert_int_equal(count_parts(journal), parts);
        journal_close(journal);
    }
    free(whole);
}

static void another_journals_lines_do_not_fit(void **state)
{
    (void)state;
    size_t size = 0;
    size_t other_size = 0;
    write_seven();
    char *first = read_text(&size);
    struct journal *journal = journal_open(path());
    struct journal_head head = make_head();
    head.size++;
    assert_true(journal_start(journal, &head));
    journal_close(journal);
    char *other = read_text(&other_size);
    const char *lines = strchr(first, '\n') + 1;
    size_t lines_size = size - (size_t)(lines - first);
    char *mixed = malloc(other_size + lines_size);
    memcpy(mixed, other, other_size);
    memcpy(mixed + other_size, lines, lines_size);
    scratch_write(folder, ".x.journal", mixed, other_size + lines_size);
    journal = journal_open(path());
    assert_non_null(journal_head(journal));
    assert_int_equal(count_parts(journal), 0);
    journal_close(journal);
    free(first);
    free(other);
    free(mixed);
}

/* Rewrites the head as of another boot, and all sums with it. */
static void pretend_another_boot(void)
{
    size_t size = 0;
    char *whole = read_text(&size);
    char *out = calloc(1, size + 1);
    size_t length = 0;
    uint32_t seed = 0;
    char *at = strstr(whole, "boot=");
    assert_non_null(at);
    at[5] = at[5] == '0' ? '1' : '0';
    for (char *line = whole; *line; line = strchr(line, '\n') + 1) {
        char *payload = line + 9;
        size_t payload_size = (size_t)(strchr(line, '\n') - payload);
        uint32_t sum = storage_crc32(line == whole ? 0 : seed, payload, payload_size);
        seed = line == whole ? sum : seed;
        length += (size_t)snprintf(out + length, size + 1 - length, "%08x %.*s\n", sum,
                                   (int)payload_size, payload);
    }
    assert_int_equal(length, size);
    scratch_write(folder, ".x.journal", out, size);
    free(whole);
    free(out);
}

static void after_another_boot_only_durable_parts_count(void **state)
{
    (void)state;
    write_seven();
    pretend_another_boot();
    for (int round = 0; round < 2; round++) { /* what was dropped stays so */
        struct journal *journal = journal_open(path());
        assert_head(journal);
        assert_int_equal(count_parts(journal), 4);
        assert_false(journal_part(journal, 4).is_done);
        assert_true(journal_part(journal, 5).is_done);
        journal_close(journal);
    }
    struct journal *journal = journal_open(path());
    struct journal_head head = make_head();
    head.needs_sync = false; /* a store's parts outlive every machine */
    assert_true(journal_start(journal, &head));
    assert_true(journal_add(journal, 2, crc_of(2), ""));
    journal_close(journal);
    pretend_another_boot();
    journal = journal_open(path());
    assert_int_equal(count_parts(journal), 1);
    journal_close(journal);
}

static void only_one_holds_it(void **state)
{
    (void)state;
    struct journal *journal = journal_open(path());
    assert_non_null(journal);
    assert_null(journal_open(path())); /* locks are the file's, not the process's */
    pid_t child = fork();
    if (child == 0) {
        _exit(journal_open(path()) ? 1 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    journal_close(journal);
    journal = journal_open(path());
    assert_non_null(journal);
    journal_remove(journal);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct journal *journal = journal_open(path());
    const struct journal_head head = make_head();
    char tag[JOURNAL_TAG_MAX + 1];
    memset(tag, 'x', sizeof tag - 1);
    tag[sizeof tag - 1] = '\0';
    assert_true(journal_start(journal, &head));
    assert_false(journal_add(journal, 0, 1, ""));
    assert_false(journal_add(journal, JOURNAL_PARTS_MAX + 1, 1, ""));
    assert_false(journal_add(journal, 1, 1, tag));
    assert_int_equal(journal_count(journal), 0);
    journal_close(journal);
    /* a folder, or no folder above it, holds no journal */
    mkdir(scratch_path(folder, "d.journal"), 0777);
    assert_null(journal_open(scratch_path(folder, "d.journal")));
    assert_null(journal_open(scratch_path(folder, "missing/x.journal")));
    /* a link is not followed to where it leads */
    assert_int_equal(symlink("victim", scratch_path(folder, "l.journal")), 0);
    assert_null(journal_open(scratch_path(folder, "l.journal")));
    assert_false(scratch_exists(folder, "victim"));
    assert_true(journal_is_name(".x.journal"));
    assert_true(journal_is_beside(".x.0123abcd.journal"));
    assert_false(journal_is_beside(".x.journal"));
    assert_false(journal_is_beside(".0123abcd.journal"));
    assert_false(journal_is_beside(".x.0123abcg.journal"));
    assert_false(journal_is_beside("x.0123abcd.journal"));
    assert_false(journal_is_name(".journal"));
    assert_false(journal_is_name("x.journals"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_torn_tail_is_as_if_never_written, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_flipped_byte_is_not_believed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(another_journals_lines_do_not_fit, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(after_another_boot_only_durable_parts_count, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(only_one_holds_it, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(nonsense_is_refused, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
