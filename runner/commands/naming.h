/*
 * naming.h - copies whose objects are named one by one: by several words, by wildcards, by
 * --file_list, by --from_file. Each is a `next` of struct storage_copy.
 *
 * Wildcards are the shell's: * and ? stay within one folder, [] is a choice. What a pattern names
 * lands under the part of its name behind the last '/' before the first wildcard: of
 * "s3://b/logs/2026-??/x.log" the names are "2026-01/x.log" and so on. With --recursive a folder
 * that matches is taken with all below it.
 */
#ifndef RUNNER_NAMING_H
#define RUNNER_NAMING_H

#include "runner/commands/copy_view.h"

#include <glob.h>
#include <stdio.h>

/* Embeds the view first: the hooks' context is that of `next` as well. */
struct naming {
    struct copy_view view;
    bool recursive;
    bool moves;
    bool is_bare;                  /* only names are wanted: there is no destination */
    char source[STORAGE_PATH_MAX]; /* of the item that was given last */
    char destination[STORAGE_PATH_MAX];
    struct storage_info info;
    struct storage_error failure;
    uint64_t named;

    /* words and wildcards */
    const char *const *words; /* as typed; all of the view's source place */
    size_t word_count, next_word;
    struct storage_lister *lister;
    char pattern[STORAGE_PATH_MAX]; /* "": all that is listed */
    size_t root;                    /* bytes of a key that are not part of its name */
    glob_t matches;
    size_t next_match;

    /* files of lines */
    FILE *file;
    const char *file_name;
    uint64_t line;
    char *text; /* the line; getline's */
    size_t text_size;
    bool is_held;                /* the line is of another pair of places: not yet used */
    struct storage_url from, to; /* what the held line says */
    uint64_t bad_lines;
};

/* Whether a word of the command line names by wildcards. */
bool naming_is_pattern(const char *word);

/* `next` of a copy, context being a struct naming. */
enum storage_code naming_next_word(void *context, struct storage_item *item,
                                   struct storage_error *err);
enum storage_code naming_next_listed(void *context, struct storage_item *item,
                                     struct storage_error *err);
enum storage_code naming_next_pair(void *context, struct storage_item *item,
                                   struct storage_error *err);

/* Opens FILE of --file_list or --from_file, "-" being stdin. Logs a failure and returns its code.
 */
enum exit_code naming_open_file(struct naming *naming, const char *file);
/* Reads the first line of a pair file that can be used, and holds it; false at its end. */
bool naming_hold_pair(struct naming *naming);

void naming_release(struct naming *naming); /* the view too */

#endif
