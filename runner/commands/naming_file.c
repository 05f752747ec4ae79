/*
 * naming_file.c - names from files of lines.
 *
 * --file_list: each line is a path below the source, as moxing's file_list has it. --from_file:
 * each line is a source and a destination, divided by blanks; a part that holds blanks is written
 * in double quotes, within which \" and \\ are a quote and a backslash. Empty lines are nothing,
 * and so are those of --from_file that begin with '#'. A line that cannot be meant is a failure of
 * its own, named by its number; the others go on.
 */
#include "runner/commands/naming.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/runner_banned.h"

enum exit_code naming_open_file(struct naming *naming, const char *file)
{
    struct app *app = naming->view.app;
    naming->file_name = file;
    naming->file = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    return naming->file ? EXIT_DONE
                        : app_fail(app, errno == ENOENT ? EXIT_MISSING : EXIT_DISK, "open %s: %s",
                                   file, strerror(errno));
}

/* The next line that holds something, without its end. */
static bool next_line(struct naming *naming)
{
    for (;;) {
        ssize_t length = getline(&naming->text, &naming->text_size, naming->file);
        if (length < 0) {
            return false;
        }
        naming->line++;
        while (length > 0 &&
               (naming->text[length - 1] == '\n' || naming->text[length - 1] == '\r')) {
            naming->text[--length] = '\0';
        }
        if ((size_t)length == strlen(naming->text) && length > 0) {
            return true;
        }
    }
}

/* Says that the present line is of no use. */
static void fail_line(struct naming *naming, enum storage_code code, const char *why)
{
    struct storage_error *err = &naming->failure;
    *err = (struct storage_error){.code = code};
    snprintf(err->operation, sizeof err->operation, "read line");
    snprintf(err->target, sizeof err->target, "%.1000s:%llu", naming->file_name,
             (unsigned long long)naming->line);
    snprintf(err->message, sizeof err->message, "%.1000s:%llu: %.900s", naming->file_name,
             (unsigned long long)naming->line, why);
}

/* ---- --file_list ---------------------------------------------------------------------------- */

enum storage_code naming_next_listed(void *context, struct storage_item *item,
                                     struct storage_error *err)
{
    struct naming *naming = context;
    const char *why = NULL;
    (void)err;
    if (!next_line(naming)) {
        return STORAGE_OK;
    }
    naming->named++;
    *item = (struct storage_item){.source = naming->source, .destination = naming->destination};
    if (!storage_name_is_safe(naming->text, &why)) {
        fail_line(naming, STORAGE_HOSTILE, why);
        item->failure = &naming->failure;
    } else if (!storage_join(naming->source, sizeof naming->source, naming->view.source.url.key,
                             naming->text) ||
               !storage_join(naming->destination, sizeof naming->destination,
                             naming->view.destination.url.key, naming->text)) {
        fail_line(naming, STORAGE_USAGE, "the name is too long");
        item->failure = &naming->failure;
    }
    return STORAGE_OK;
}

/* ---- --from_file ---------------------------------------------------------------------------- */

/* Takes one part of the line at *at, in place; NULL: there is none, or its quote is not closed. */
static char *take_part(char **at)
{
    char *in = *at + strspn(*at, " \t");
    bool quoted = *in == '"';
    in += quoted;
    char *part = in;
    char *out = in;
    while (*in && (quoted ? *in != '"' : *in != ' ' && *in != '\t')) {
        in += quoted && *in == '\\' && (in[1] == '"' || in[1] == '\\');
        *out++ = *in++;
    }
    if (quoted && *in != '"') {
        return NULL;
    }
    *at = *in ? in + 1 : in;
    *out = '\0';
    return part == out ? NULL : part;
}

/* A destination that is a folder takes the source's own name. */
static bool complete_destination(struct naming *naming)
{
    struct stat status;
    const char *key = naming->to.key;
    size_t length = strlen(key);
    bool is_folder =
        length == 0 || key[length - 1] == '/' ||
        (naming->to.kind == STORAGE_LOCAL && stat(key, &status) == 0 && S_ISDIR(status.st_mode));
    const char *slash = strrchr(naming->from.key, '/');
    char joined[STORAGE_PATH_MAX];
    if (!is_folder) {
        return true;
    }
    if (!storage_join(joined, sizeof joined, key, slash ? slash + 1 : naming->from.key)) {
        return false;
    }
    snprintf(naming->to.key, sizeof naming->to.key, "%s", joined);
    return true;
}

/* Why the present line is no pair; NULL: it is, and from and to hold it. */
static const char *parse_pair(struct naming *naming)
{
    struct storage_error why;
    char *at = naming->text;
    char *source = take_part(&at);
    char *destination = source ? take_part(&at) : NULL;
    if (!destination || at[strspn(at, " \t")]) {
        return "a line is SOURCE DESTINATION, with quotes around one that holds blanks";
    }
    if (storage_url_parse(&naming->from, source, &why) ||
        storage_url_parse(&naming->to, destination, &why)) {
        snprintf(naming->source, sizeof naming->source, "%s", why.message);
        return naming->source;
    }
    if (!naming->from.key[0] || !complete_destination(naming)) {
        return "the source is no object, or the destination is too long";
    }
    return NULL;
}

bool naming_hold_pair(struct naming *naming)
{
    while (!naming->is_held && next_line(naming)) {
        const char *why = naming->text[0] == '#' ? NULL : parse_pair(naming);
        naming->is_held = naming->text[0] != '#' && !why;
        if (why) {
            fail_line(naming, STORAGE_USAGE, why);
            app_fail_storage(naming->view.app, &naming->failure);
            naming->bad_lines++;
        }
    }
    return naming->is_held;
}

static bool is_place(const struct storage_url *url, const struct place *place)
{
    return url->kind == place->url.kind && strcmp(url->bucket, place->url.bucket) == 0;
}

enum storage_code naming_next_pair(void *context, struct storage_item *item,
                                   struct storage_error *err)
{
    struct naming *naming = context;
    (void)err;
    if (naming_hold_pair(naming) && is_place(&naming->from, &naming->view.source) &&
        is_place(&naming->to, &naming->view.destination)) {
        snprintf(naming->source, sizeof naming->source, "%s", naming->from.key);
        snprintf(naming->destination, sizeof naming->destination, "%s", naming->to.key);
        *item = (struct storage_item){.source = naming->source, .destination = naming->destination};
        naming->is_held = false;
        naming->named++;
    }
    return STORAGE_OK;
}
