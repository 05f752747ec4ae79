/*
 * naming_rule.h - what a checkpoint's name says: which unit it belongs to, which epoch and step it
 * is.
 *
 * Several files of one step are one unit, published together. Without a pattern, files in a folder
 * below the checkpoint folder are one unit, a folder each; at the top, files that are equal up to
 * their epoch and step ("lenet-1_1875.ckpt", "lenet-1_1875.meta"); any other file is its own.
 */
#ifndef RUNNER_NAMING_RULE_H
#define RUNNER_NAMING_RULE_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    UNIT_NAME_MAX = 1024
};

/* POSIX extended regular expressions, held against the name below the checkpoint folder. */
struct naming_rule {
    regex_t step;  /* --step_pattern: one group is the step, two are epoch and step */
    regex_t group; /* --group_by: its groups together, or the whole match, name the unit */
    bool has_group;
};

struct unit_name {
    char key[UNIT_NAME_MAX]; /* equal for the files of one unit */
    uint64_t epoch, step;
    bool has_step;
    bool is_folder; /* the unit is a folder */
};

/*
 * Compiles the patterns; NULL is the default of each. False: why not is written to message. Release
 * what was made.
 */
bool naming_rule_init(struct naming_rule *rule, const char *step_pattern, const char *group_by,
                      char *message, size_t size);
void naming_rule_release(struct naming_rule *rule);

void naming_rule_read(const struct naming_rule *rule, const char *name, struct unit_name *unit);

/* "lenet" of "lenet-graph.meta", the file that belongs to every checkpoint "lenet-…"; false: the
 * name is no such thing. */
bool naming_rule_graph(const char *name, char *prefix, size_t size);

#endif
