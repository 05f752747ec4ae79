#include "runner/job/retention.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

/* ---- the option --------------------------------------------------------------------------------
 */

/* One rule: latest:N, best:loss:N, best:acc:N. */
static bool read_rule(struct retention_rule *rule, const char *text)
{
    static const struct {
        const char *head;
        enum retention_kind kind;
    } heads[] = {{"latest:", KEEP_LATEST},
                 {"best:loss:", KEEP_BEST_LOSS},
                 {"best:acc:", KEEP_BEST_ACCURACY},
                 {"best:accuracy:", KEEP_BEST_ACCURACY}};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t length = strlen(heads[i].head);
        if (strncmp(text, heads[i].head, length) == 0) {
            const char *number = text + length;
            rule->kind = heads[i].kind;
            rule->count = strtoull(number, NULL, 10);
            return number[0] && strspn(number, "0123456789") == strlen(number) &&
                   strlen(number) < 10 && rule->count > 0;
        }
    }
    return false;
}

bool retention_parse(struct retention *retention, const char *text, char *message, size_t size)
{
    memset(retention, 0, sizeof *retention);
    char *copy = strdup(text ? text : "");
    char *rest = NULL;
    bool ok = copy != NULL;
    for (char *one = ok ? strtok_r(copy, ",", &rest) : NULL; ok && one;
         one = strtok_r(NULL, ",", &rest)) {
        ok = retention->count < RETENTION_RULES_MAX &&
             read_rule(&retention->rules[retention->count], one);
        retention->count++;
    }
    free(copy);
    if (!ok) {
        snprintf(message, size,
                 "--keep_remote=%s: it is a list of latest:N, best:loss:N and best:acc:N", text);
    }
    return ok;
}

/* ---- choosing ----------------------------------------------------------------------------------
 */

/* Whether a is to stay rather than b, by a rule. A metric that is not known is the worst. */
static bool is_better(const struct retention_rule *rule, const struct manifest *a,
                      const struct manifest *b)
{
    if (rule->kind == KEEP_BEST_LOSS) {
        double left = isnan(a->loss) ? HUGE_VAL : a->loss;
        double right = isnan(b->loss) ? HUGE_VAL : b->loss;
        if (left != right) {
            return left < right;
        }
    } else if (rule->kind == KEEP_BEST_ACCURACY) {
        double left = isnan(a->accuracy) ? -HUGE_VAL : a->accuracy;
        double right = isnan(b->accuracy) ? -HUGE_VAL : b->accuracy;
        if (left != right) {
            return left > right;
        }
    }
    const uint64_t pairs[][2] = {{a->cumulative_step, b->cumulative_step},
                                 {a->epoch, b->epoch},
                                 {a->step, b->step},
                                 {a->attempt, b->attempt},
                                 {a->seq, b->seq}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (pairs[i][0] != pairs[i][1]) {
            return pairs[i][0] > pairs[i][1];
        }
    }
    return false;
}

/* Whether the rule can rank it. */
static bool is_known(const struct retention_rule *rule, const struct manifest *manifest)
{
    return rule->kind == KEEP_LATEST ||
           !isnan(rule->kind == KEEP_BEST_LOSS ? manifest->loss : manifest->accuracy);
}

/* Whether the rule cannot rank it, nor any later one of the run. */
static bool is_awaited(const struct retention_rule *rule, const struct ledger *ledger,
                       const struct manifest *manifest)
{
    static const struct retention_rule later = {.kind = KEEP_LATEST};
    bool awaited = !is_known(rule, manifest);
    for (size_t i = 0; awaited && i < ledger->count; i++) {
        const struct manifest *other = &ledger->records[i].manifest;
        awaited = strcmp(other->run, manifest->run) != 0 || !is_known(rule, other) ||
                  !is_better(&later, other, manifest);
    }
    return awaited;
}

const char *retention_unranked(const struct retention *retention, const struct ledger *ledger,
                               const char *run)
{
    for (size_t i = 0; i < retention->count; i++) {
        const struct retention_rule *rule = &retention->rules[i];
        size_t known = 0;
        size_t unknown = 0;
        for (size_t k = 0; k < ledger->count; k++) {
            const struct manifest *manifest = &ledger->records[k].manifest;
            bool is_ours = strcmp(manifest->run, run) == 0;
            known += is_ours && is_known(rule, manifest);
            unknown += is_ours && !is_known(rule, manifest);
        }
        if (known == 0 && unknown > 1) {
            return rule->kind == KEEP_BEST_LOSS ? "loss" : "acc";
        }
    }
    return NULL;
}

/* Whether fewer than the rule's number of the same run's are better. */
static bool is_kept_by(const struct retention_rule *rule, const struct ledger *ledger,
                       const struct manifest *manifest)
{
    uint64_t better = 0;
    if (!is_known(rule, manifest)) {
        return is_awaited(rule, ledger, manifest);
    }
    for (size_t i = 0; i < ledger->count && better < rule->count; i++) {
        const struct manifest *other = &ledger->records[i].manifest;
        better += strcmp(other->run, manifest->run) == 0 && is_better(rule, other, manifest);
    }
    return better < rule->count;
}

static bool is_kept(const struct retention *retention, const struct retention_job *job,
                    const struct ledger_record *record)
{
    if ((job->run && strcmp(record->manifest.run, job->run) != 0) ||
        strcmp(record->name, job->pointed[0]) == 0 || strcmp(record->name, job->pointed[1]) == 0) {
        return true;
    }
    for (size_t i = 0; i < retention->count; i++) {
        if (is_kept_by(&retention->rules[i], job->ledger, &record->manifest)) {
            return true;
        }
    }
    return retention->count == 0;
}

/* ---- deleting ----------------------------------------------------------------------------------
 */

static enum storage_code remove_name(const struct retention_job *job, const char *name,
                                     bool is_manifest, struct storage_error *err)
{
    char key[STORAGE_PATH_MAX];
    enum storage_code code = STORAGE_OK;
    if (!job->dry_run) {
        remote_key(job->remote, key, name);
        code = storage_remove(job->remote->store, key, err);
    }
    if (!code && job->told) {
        job->told(job->context, name, is_manifest);
    }
    return code;
}

enum storage_code retention_apply(const struct retention *retention,
                                  const struct retention_job *job, struct storage_error *err)
{
    struct ledger *ledger = job->ledger;
    enum storage_code code = STORAGE_OK;
    /* All are judged before any goes: ranks are among those that are there now. */
    bool *goes = calloc(ledger->count + 1, sizeof *goes);
    struct manifest *gone = calloc(ledger->count + 1, sizeof *gone);
    size_t gone_count = 0;
    if (!goes || !gone) {
        code = STORAGE_BUG;
        goto done;
    }
    for (size_t i = 0; i < ledger->count; i++) {
        goes[i] = !is_kept(retention, job, &ledger->records[i]);
    }
    for (size_t i = ledger->count; !code && i > 0; i--) {
        if (!goes[i - 1]) {
            continue;
        }
        if (!manifest_copy(&gone[gone_count], &ledger->records[i - 1].manifest)) {
            code = STORAGE_BUG;
            break;
        }
        code = remove_name(job, ledger->records[i - 1].name, true, err);
        if (!code) {
            gone_count++;
            ledger_remove(ledger, i - 1);
        } else {
            manifest_release(&gone[gone_count]);
        }
    }
    for (size_t i = 0; i < gone_count; i++) {
        for (size_t j = 0; !code && j < gone[i].file_count; j++) {
            if (!ledger_names_key(ledger, gone[i].files[j].key)) {
                code = remove_name(job, gone[i].files[j].key, false, err);
            }
        }
        manifest_release(&gone[i]);
    }
done:
    free(goes);
    free(gone);
    return code;
}
