#include "runner/job/naming_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

/* Two numbers joined by _ or - before the suffix. */
static const char default_step[] = "([0-9]+)[_-]([0-9]+)(\\.[^/]*)?$";

enum {
    GROUPS_MAX = 8
};

static bool compile(regex_t *regex, const char *pattern, const char *option, char *message,
                    size_t size)
{
    char why[200];
    int failure = regcomp(regex, pattern, REG_EXTENDED);
    if (failure != 0) {
        regerror(failure, regex, why, sizeof why);
        snprintf(message, size, "--%s=%s: %s", option, pattern, why);
    }
    return failure == 0;
}

bool naming_rule_init(struct naming_rule *rule, const char *step_pattern, const char *group_by,
                      char *message, size_t size)
{
    memset(rule, 0, sizeof *rule);
    if (!compile(&rule->step, step_pattern ? step_pattern : default_step, "step_pattern", message,
                 size)) {
        return false;
    }
    if (rule->step.re_nsub < 1) {
        snprintf(message, size, "--step_pattern=%s: it has no group in parentheses for the step",
                 step_pattern);
        regfree(&rule->step);
        return false;
    }
    if (group_by && !compile(&rule->group, group_by, "group_by", message, size)) {
        regfree(&rule->step);
        return false;
    }
    rule->has_group = group_by != NULL;
    return true;
}

void naming_rule_release(struct naming_rule *rule)
{
    regfree(&rule->step);
    if (rule->has_group) {
        regfree(&rule->group);
    }
}

static uint64_t number_at(const char *name, const regmatch_t *match)
{
    return match->rm_so >= 0 ? strtoull(name + match->rm_so, NULL, 10) : 0;
}

/* The groups of --group_by that matched, joined; the whole match where it has none. */
static bool read_group(const struct naming_rule *rule, const char *name, char *key, size_t size)
{
    regmatch_t matches[GROUPS_MAX];
    size_t used = 0;
    if (!rule->has_group || regexec(&rule->group, name, GROUPS_MAX, matches, 0) != 0) {
        return false;
    }
    size_t first = rule->group.re_nsub > 0 ? 1 : 0;
    for (size_t i = first; i < GROUPS_MAX && i <= rule->group.re_nsub; i++) {
        if (matches[i].rm_so >= 0 && used < size) {
            used += (size_t)snprintf(key + used, size - used, "%s%.*s", used ? "|" : "",
                                     (int)(matches[i].rm_eo - matches[i].rm_so),
                                     name + matches[i].rm_so);
        }
    }
    return true;
}

void naming_rule_read(const struct naming_rule *rule, const char *name, struct unit_name *unit)
{
    regmatch_t matches[3];
    const char *slash = strrchr(name, '/');
    memset(unit, 0, sizeof *unit);
    unit->has_step = regexec(&rule->step, name, 3, matches, 0) == 0;
    if (unit->has_step) {
        bool has_epoch = rule->step.re_nsub >= 2 && matches[2].rm_so >= 0;
        unit->epoch = has_epoch ? number_at(name, &matches[1]) : 0;
        unit->step = number_at(name, has_epoch ? &matches[2] : &matches[1]);
    }
    if (read_group(rule, name, unit->key, sizeof unit->key)) {
        return;
    }
    unit->is_folder = slash != NULL;
    size_t length = strlen(name);
    if (slash) {
        length = (size_t)(slash - name);
    } else if (unit->has_step) {
        length = (size_t)matches[rule->step.re_nsub >= 2 && matches[2].rm_so >= 0 ? 2 : 1].rm_eo;
    }
    snprintf(unit->key, sizeof unit->key, "%.*s", (int)length, name);
}

bool naming_rule_graph(const char *name, char *prefix, size_t size)
{
    static const char tail[] = "-graph.meta";
    size_t length = strlen(name);
    if (length < sizeof tail || strcmp(name + length - (sizeof tail - 1), tail) != 0) {
        return false;
    }
    snprintf(prefix, size, "%.*s", (int)(length - (sizeof tail - 1)), name);
    return true;
}
