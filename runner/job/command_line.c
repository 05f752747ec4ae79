#include "runner/job/command_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/runner_banned.h"

/* ---- URLs that stand after the dashes -------------------------------------------------------- */

/* Whether word is --NAME or --NAME=…, with '-' or '_'; *value is what follows '=', or NULL. */
static bool is_option(const char *word, const char *name, const char **value)
{
    size_t length = strlen(name);
    if (strncmp(word, "--", 2) != 0 || strlen(word + 2) < length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if ((word[2 + i] == '-' ? '_' : word[2 + i]) != name[i]) {
            return false;
        }
    }
    const char *rest = word + 2 + length;
    *value = *rest == '=' ? rest + 1 : NULL;
    return *rest == '=' || *rest == '\0';
}

/* Takes the option of this name out of the words; NULL: it is not among them. */
static const char *take_option(struct arguments *arguments, const char *name)
{
    for (size_t i = 1; i < arguments->after_dashes_count; i++) {
        const char *value = NULL;
        if (!is_option(arguments->after_dashes[i], name, &value)) {
            continue;
        }
        size_t used = value ? 1 : 2;
        if (i + used > arguments->after_dashes_count) {
            return NULL;
        }
        value = value ? value : arguments->after_dashes[i + 1];
        /* They go to the end, out of sight: whoever owns the words will free them all. */
        for (size_t turn = 0; turn < used; turn++) {
            char *word = arguments->after_dashes[i];
            size_t rest = arguments->after_dashes_count - i - 1;
            memmove(&arguments->after_dashes[i], &arguments->after_dashes[i + 1],
                    rest * sizeof arguments->after_dashes[0]);
            arguments->after_dashes[i + rest] = word;
        }
        arguments->after_dashes_count -= used;
        return value;
    }
    return NULL;
}

unsigned command_line_adopt(struct arguments *arguments, bool has_data, bool has_train)
{
    unsigned taken = 0;
    if (!has_data) {
        arguments->settings.data_url = take_option(arguments, "data_url");
        taken |= arguments->settings.data_url ? 1U : 0U;
    }
    if (!has_train) {
        arguments->settings.train_url = take_option(arguments, "train_url");
        taken |= arguments->settings.train_url ? 2U : 0U;
    }
    return taken;
}

/* ---- words ---------------------------------------------------------------------------------- */

/* What stands at text, when it is one of the names in braces; its length goes to *length. */
static const char *find_place(const char *text, const struct command_places *places, size_t *length)
{
    const struct {
        const char *name, *value;
    } known[] = {
        {"{data_dir}", places->data_dir},
        {"{ckpt_dir}", places->ckpt_dir},
        {"{output_dir}", places->output_dir},
        {"{resume_ckpt}", places->resume_ckpt},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        *length = strlen(known[i].name);
        if (strncmp(text, known[i].name, *length) == 0) {
            return known[i].value;
        }
    }
    return NULL;
}

/* A word with the names in braces replaced; what is put in is not looked at again. */
static char *replace(const char *word, const struct command_places *places)
{
    size_t size = 1;
    size_t length = 0;
    for (const char *at = word; *at; at += length) {
        const char *value = find_place(at, places, &length);
        size += value ? strlen(value) : 1;
        length = value ? length : 1;
    }
    char *out = malloc(size);
    size_t used = 0;
    for (const char *at = word; out && *at; at += length) {
        const char *value = find_place(at, places, &length);
        size_t put = value ? strlen(value) : 1;
        memcpy(out + used, value ? value : at, put);
        used += put;
        length = value ? length : 1;
    }
    if (out) {
        out[used] = '\0';
    }
    return out;
}

static char *join_option(const char *option, const char *value)
{
    size_t size = strlen(option) + strlen(value) + 1;
    char *word = malloc(size);
    if (word) {
        snprintf(word, size, "%s%s", option, value);
    }
    return word;
}

char **command_line_build(const struct arguments *arguments, const struct command_places *places)
{
    size_t room = arguments->after_dashes_count + arguments->unknown_count + 3;
    char **words = calloc(room, sizeof *words);
    size_t count = 0;
    bool good = words != NULL;
    for (size_t i = 0; good && i < arguments->after_dashes_count; i++) {
        /* The command itself is a name, not a text with places in it. */
        words[count] = i == 0 ? strdup(arguments->after_dashes[0])
                              : replace(arguments->after_dashes[i], places);
        good = words[count++] != NULL;
    }
    if (good && arguments->settings.append_urls) {
        words[count] = join_option("--data_url=", places->data_dir);
        words[count + 1] = join_option("--train_url=", places->ckpt_dir);
        good = words[count] && words[count + 1];
        count += 2;
    }
    for (size_t i = 0; good && i < arguments->unknown_count; i++) {
        words[count] = strdup(arguments->unknown[i]);
        good = words[count++] != NULL;
    }
    if (!good) {
        command_line_free(words);
        return NULL;
    }
    return words;
}

void command_line_free(char **words)
{
    for (size_t i = 0; words && words[i]; i++) {
        free(words[i]);
    }
    free((void *)words);
}

/* ---- where it lies -------------------------------------------------------------------------- */

static bool is_executable(const char *path, bool *found)
{
    struct stat status;
    bool is_file = stat(path, &status) == 0 && S_ISREG(status.st_mode);
    *found = *found || is_file || (errno == EACCES && !is_file);
    return is_file && access(path, X_OK) == 0;
}

int command_line_find(const char *name, char *path, size_t size)
{
    bool found = false;
    if (!name[0]) {
        return ENOENT;
    }
    if (strchr(name, '/')) {
        struct stat status;
        snprintf(path, size, "%s", name);
        if (is_executable(path, &found)) {
            return 0;
        }
        return found || stat(path, &status) == 0 ? EACCES : ENOENT;
    }
    const char *folders = getenv("PATH");
    folders = folders ? folders : "/usr/local/bin:/usr/bin:/bin";
    for (const char *at = folders;; at++) {
        size_t length = strcspn(at, ":");
        errno = 0;
        snprintf(path, size, "%.*s%s%s", (int)length, at, length ? "/" : "./", name);
        if (is_executable(path, &found)) {
            return 0;
        }
        at += length;
        if (!*at) {
            break;
        }
    }
    return found ? EACCES : ENOENT;
}
