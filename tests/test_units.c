/* Which files are one step, what manifests name, and which of them stay in the store. */
#include "runner/job/naming_rule.h"
#include "runner/job/retention.h"
#include "runner/job/unit_metrics.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- names ---------------------------------------------------------------------------------- */

static void names_tell_unit_epoch_and_step(void **state)
{
    (void)state;
    static const struct {
        const char *step, *group, *name, *key;
        uint64_t epoch, number;
        bool has_step;
    } cases[] = {
        {NULL, NULL, "lenet-1_1875.ckpt", "lenet-1_1875", 1, 1875, true},
        {NULL, NULL, "lenet-1_1875.meta", "lenet-1_1875", 1, 1875, true},
        {NULL, NULL, "lenet_1-2_20.ckpt", "lenet_1-2_20", 2, 20, true},
        {NULL, NULL, "lenet_1-10_1875.ckpt", "lenet_1-10_1875", 10, 1875, true},
        {NULL, NULL, "last.pt", "last.pt", 0, 0, false},
        {NULL, NULL, "model-00001-of-00004.safetensors", "model-00001-of-00004.safetensors", 0, 0,
         false},
        {NULL, NULL, "checkpoint-500/optimizer.pt", "checkpoint-500", 0, 0, false},
        {NULL, NULL, "a/b/m-3_7.pt", "a/b", 3, 7, true},
        {"checkpoint-([0-9]+)/", NULL, "checkpoint-500/optimizer.pt", "checkpoint-500", 0, 500,
         true},
        {"e([0-9]+)s([0-9]+)", NULL, "e4s17.pt", "e4s17", 4, 17, true},
        {NULL, "^(step[0-9]+)-", "step5-shard2.pt", "step5", 0, 0, false},
        {NULL, "^(step[0-9]+)-", "other.pt", "other.pt", 0, 0, false},
        {NULL, "^[a-z]+", "abc-1_2.pt", "abc", 1, 2, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct naming_rule rule;
        struct unit_name unit;
        char message[200];
        assert_true(
            naming_rule_init(&rule, cases[i].step, cases[i].group, message, sizeof message));
        naming_rule_read(&rule, cases[i].name, &unit);
        assert_string_equal(unit.key, cases[i].key);
        assert_int_equal(unit.epoch, cases[i].epoch);
        assert_int_equal(unit.step, cases[i].number);
        assert_int_equal(unit.has_step, cases[i].has_step);
        naming_rule_release(&rule);
    }
    struct naming_rule rule;
    char text[200];
    assert_false(naming_rule_init(&rule, "[0-9]+", NULL, text, sizeof text));
    assert_false(naming_rule_init(&rule, "(", NULL, text, sizeof text));
    assert_false(naming_rule_init(&rule, NULL, "(", text, sizeof text));
    assert_true(naming_rule_graph("lenet-graph.meta", text, sizeof text));
    assert_string_equal(text, "lenet");
    assert_false(naming_rule_graph("-graph.meta", text, sizeof text));
    assert_false(naming_rule_graph("lenet-1_2.meta", text, sizeof text));
}

/* ---- ledger --------------------------------------------------------------------------------- */

static void add(struct ledger *ledger, const char *run, uint64_t seq, uint64_t step,
                double accuracy, const char *file, const char *key)
{
    struct manifest manifest = {.attempt = 1,
                                .seq = seq,
                                .cumulative_step = step,
                                .loss = (double)NAN,
                                .accuracy = accuracy};
    char names[2][64];
    char name[64];
    snprintf(manifest.run, sizeof manifest.run, "%s", run);
    snprintf(names[0], sizeof names[0], "%s", file);
    snprintf(names[1], sizeof names[1], "%s", key);
    const struct manifest_file line = {.name = names[0], .key = names[1], .size = seq};
    const struct manifest_file shared = {.name = (char[]){"graph"}, .key = (char[]){"ckpt/graph"}};
    assert_true(manifest_add_file(&manifest, &line) && manifest_add_file(&manifest, &shared));
    snprintf(name, sizeof name, "%s/%d", run, (int)seq);
    assert_true(ledger_add(ledger, name, &manifest));
    manifest_release(&manifest);
}

static void the_newest_manifest_tells_of_a_name(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    assert_null(ledger_find(&ledger, "last"));
    for (uint64_t i = 1; i <= 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%d", (int)(i % 50));
        add(&ledger, "r", i, i, 0, name, name);
    }
    assert_int_equal(ledger_find(&ledger, "f7")->size, 157);
    for (size_t i = ledger.count; i > 0; i--) {
        if (ledger.records[i - 1].manifest.seq == 157) {
            ledger_remove(&ledger, i - 1);
        }
    }
    assert_int_equal(ledger_find(&ledger, "f7")->size, 107);
    add(&ledger, "r", 107, 107, 0, "other", "other"); /* written again: the old one is gone */
    assert_int_equal(ledger_find(&ledger, "f7")->size, 57);
    assert_int_equal(ledger.count, 199);
    assert_true(ledger_names_key(&ledger, "ckpt/graph"));
    assert_false(ledger_names_key(&ledger, "nothing"));
    ledger_release(&ledger);
}

/* ---- retention ------------------------------------------------------------------------------ */

static void note(void *context, const char *name, bool is_manifest)
{
    char *text = context;
    size_t used = strlen(text);
    snprintf(text + used, 1000 - used, "%s%s ", is_manifest ? "M:" : "", name);
}

static void what_rules_keep_stays(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *gone;
    } cases[] = {
        {"", ""},
        {"latest:2", "M:r/3 M:r/1 k1 k3 "}, /* 2 is pointed at, 4 and 5 are the newest */
        {"latest:1", "M:r/4 M:r/3 M:r/1 k1 k3 k4 "},
        {"best:acc:1", "M:r/5 M:r/4 M:r/1 k1 k4 k5 "}, /* 3 is the best; 4's is not known */
        {"latest:1,best:acc:2", "M:r/4 M:r/1 k1 k4 "},
        {"best:loss:1", ""}, /* nobody knows a loss: it ranks nothing */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ledger ledger = {0};
        struct retention retention;
        char message[200];
        char gone[1000] = "";
        add(&ledger, "q", 9, 1, 0, "old", "k3"); /* another run's names stay */
        add(&ledger, "r", 1, 10, 0.5, "a", "k1");
        add(&ledger, "r", 2, 20, 0.7, "b", "k2");
        add(&ledger, "r", 3, 30, 0.9, "c", "k3x");
        add(&ledger, "r", 4, 40, (double)NAN, "d", "k4");
        add(&ledger, "r", 5, 50, 0.8, "e", "k5");
        assert_true(retention_parse(&retention, cases[i].rules, message, sizeof message));
        const struct retention_job job = {.ledger = &ledger,
                                          .run = "r",
                                          .pointed = {"r/2", ""},
                                          .dry_run = true,
                                          .told = note,
                                          .context = gone};
        assert_int_equal(retention_apply(&retention, &job, NULL), STORAGE_OK);
        /* Data goes in the order in which its manifests went. */
        char *at = strstr(gone, "k3x");
        if (at) {
            memmove(at + 2, at + 3, strlen(at + 3) + 1);
        }
        size_t manifests = 0;
        for (const char *one = cases[i].gone; (one = strstr(one, "M:")); one++) {
            manifests++;
            char word[8];
            snprintf(word, sizeof word, "%.5s", one);
            assert_non_null(strstr(gone, word));
        }
        assert_int_equal(strlen(gone), strlen(cases[i].gone));
        assert_int_equal(ledger.count, 6 - manifests);
        ledger_release(&ledger);
    }
    struct retention retention;
    char message[200];
    static const char *const bad[] = {"latest",    "latest:0", "latest:-1", "best:1",
                                      "best:f1:2", "latest:x", "newest:1",  "latest:1;best:acc:1",
                                      "latest:1e3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(retention_parse(&retention, bad[i], message, sizeof message));
    }
}

static void a_metric_that_is_not_known_yet_is_awaited(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct retention retention;
    char message[200];
    char gone[1000] = "";
    add(&ledger, "q", 9, 90, 0.1, "old", "k9"); /* another run's metric makes none of ours late */
    add(&ledger, "r", 1, 10, (double)NAN, "a", "k1");
    add(&ledger, "r", 2, 20, (double)NAN, "b", "k2");
    assert_true(retention_parse(&retention, "latest:1,best:acc:1", message, sizeof message));
    const struct retention_job job = {.ledger = &ledger,
                                      .run = "r",
                                      .pointed = {"", ""},
                                      .told = note,
                                      .context = gone,
                                      .dry_run = true};
    assert_string_equal(retention_unranked(&retention, &ledger, "r"), "acc");
    assert_null(retention_unranked(&retention, &ledger, "q"));
    assert_int_equal(retention_apply(&retention, &job, NULL), STORAGE_OK);
    assert_string_equal(gone, "");
    /* The second's is known: the first had its time; the third has not. */
    add(&ledger, "r", 2, 20, 0.5, "b", "k2");
    add(&ledger, "r", 3, 30, (double)NAN, "c", "k3");
    add(&ledger, "r", 4, 40, (double)NAN, "d", "k4");
    assert_null(retention_unranked(&retention, &ledger, "r"));
    assert_int_equal(retention_apply(&retention, &job, NULL), STORAGE_OK);
    assert_string_equal(gone, "M:r/1 k1 ");
    ledger_release(&ledger);
}

/* Whose metrics a line of metrics.jsonl tells. */
static void lines_tell_metrics_of_checkpoints(void **state)
{
    (void)state;
    static const char lines[] =
        "{\"checkpoint\": \"m-1_5.pt\", \"acc\": 0.5, \"loss\": 2}\n"
        "nonsense\n[1]\n{\"checkpoint\": \"/\", \"acc\": 1}\n"
        "{\"epoch\": 2, \"accuracy\": 0.25}\n"
        "{\"checkpoint\": \"/w/ckpt/m-1_5.pt\", \"acc\": 0.75}\n"
        "{\"epoch\": 3, \"step\": 7, \"loss\": 0.5, \"name\": \"x\"}\n"
        "{\"checkpoint\": \"w/step-9/\", \"acc\": 0.9}\n"
        "{\"step\": 4, \"acc\": 0.1}\n"
        "{\"checkpoint\": \"m-1_6.pt\"}\n{\"checkpoint\": \"m-1_6.pt\", \"acc\": \"x\"}\n"
        "{\"checkpoint\": \"last.pt\", \"acc\": 0.3}\n{\"epoch\": 1, \"acc\": 0.";
    static const struct {
        const char *name, *key;
        uint64_t epoch, step, seq;
        double accuracy;
    } cases[] = {
        {"m-1_5.pt", "ckpt/m-1_5.pt", 1, 5, 1, 0.75}, /* the last line, by a path */
        {"m-2_9.pt", "ckpt/m-2_9.pt", 2, 9, 2, 0.25}, /* its epoch */
        {"am-1_5.pt", "ckpt/am-1_5.pt", 1, 50, 3, -1},
        {"step-9/a.pt", "ckpt/step-9/a.pt", 0, 1, 1, 0.9}, /* its folder */
        {"m-1_6.pt", "ckpt/m-1_6.pt", 1, 6, 3, -1},        /* no numbers */
        {"x.pt", "ckpt/x.pt", 0, 4, 4, -1},                /* a number of ours is no step */
        {"last.pt", "ckpt/last.pt", 0, 1, 1, 0.3},
        {"last.pt", ".jobferry/data/r/1-2/last.pt", 0, 2, 2, -1}, /* which of its versions? */
    };
    char *folder = scratch_make();
    scratch_write(folder, "metrics.jsonl", lines, sizeof lines - 1);
    struct unit_metrics *metrics = unit_metrics_read(scratch_path(folder, "metrics.jsonl"));
    assert_non_null(metrics);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64];
        char key[64];
        snprintf(name, sizeof name, "%s", cases[i].name);
        snprintf(key, sizeof key, "%s", cases[i].key);
        struct manifest_file file = {.name = name, .key = key};
        struct manifest manifest = {.epoch = cases[i].epoch,
                                    .step = cases[i].step,
                                    .seq = cases[i].seq,
                                    .loss = (double)NAN,
                                    .accuracy = (double)NAN,
                                    .files = &file,
                                    .file_count = 1};
        assert_int_equal(unit_metrics_fill(metrics, &manifest), cases[i].accuracy >= 0);
        assert_true(cases[i].accuracy >= 0 ? manifest.accuracy == cases[i].accuracy
                                           : isnan(manifest.accuracy));
    }
    struct manifest third = {.epoch = 3, .step = 7, .accuracy = 1};
    assert_true(unit_metrics_fill(metrics, &third));
    assert_true(third.loss == 0.5 && isnan(third.accuracy));
    unit_metrics_free(metrics);
    assert_null(unit_metrics_read(scratch_path(folder, "absent")));
    unit_metrics_free(NULL);
    scratch_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_tell_unit_epoch_and_step),
        cmocka_unit_test(the_newest_manifest_tells_of_a_name),
        cmocka_unit_test(what_rules_keep_stays),
        cmocka_unit_test(a_metric_that_is_not_known_yet_is_awaited),
        cmocka_unit_test(lines_tell_metrics_of_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
