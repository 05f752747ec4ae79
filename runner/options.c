#include "runner/options.h"

#include "runner/nearest.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runner/runner_banned.h"

/* Option names are compared with '-' and '_' as one. */
static bool name_equal(const char *table, const char *word, size_t length)
{
    if (strlen(table) != length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        char c = word[i] == '-' ? '_' : word[i];
        if (c != table[i]) {
            return false;
        }
    }
    return true;
}

static const struct option *find_long(const char *name, size_t length, unsigned commands)
{
    for (size_t i = 0; i < options_count; i++) {
        if ((options_table[i].commands & commands) != 0 &&
            name_equal(options_table[i].name, name, length)) {
            return &options_table[i];
        }
    }
    return NULL;
}

static const struct option *find_letter(char letter, unsigned commands)
{
    for (size_t i = 0; i < options_count; i++) {
        if ((options_table[i].commands & commands) != 0 && options_table[i].letter == letter) {
            return &options_table[i];
        }
    }
    return NULL;
}

static const char *nearest_name(const char *name, size_t length, unsigned commands)
{
    const char *nearest = NULL;
    size_t least = nearest_limit(length);
    for (size_t i = 0; i < options_count; i++) {
        if ((options_table[i].commands & commands) == 0) {
            continue;
        }
        size_t distance = nearest_distance(options_table[i].name, name, length);
        if (distance < least) {
            least = distance;
            nearest = options_table[i].name;
        }
    }
    return nearest;
}

static bool choice_has(const char *choices, const char *value)
{
    size_t length = strlen(value);
    for (const char *at = choices; *at;) {
        size_t one = strcspn(at, "|");
        if (one == length && strncmp(at, value, one) == 0) {
            return true;
        }
        at += one;
        at += *at == '|';
    }
    return false;
}

/* "64MiB", "64M", "64m" and "67108864" are the same; units are powers of 1,024. */
static bool parse_size(uint64_t *bytes, const char *text)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    unsigned shift = 0;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    char unit = *end >= 'a' && *end <= 'z' ? (char)(*end - 'a' + 'A') : *end;
    const char *known = unit ? strchr(units, unit) : NULL;
    if (known) {
        shift = 10 * (unsigned)(known - units + 1);
        end++;
        end += strcasecmp(end, "iB") == 0 ? 2 : 0;
    }
    end += strcasecmp(end, "B") == 0;
    if (*end || errno || number > UINT64_MAX >> shift) {
        return false;
    }
    *bytes = number << shift;
    return true;
}

/* Stores one value; on a bad one writes why to message. */
static bool option_set(struct settings *settings, const struct option *option, const char *value,
                       char *message, size_t message_size)
{
    void *place = (char *)settings + option->offset;
    char *end = NULL;
    errno = 0;
    switch (option->kind) {
    case OPTION_TEXT:
        /* An unset variable of a script must not come to mean the current folder. */
        if (value[0] == '\0' && option->value && strcmp(option->value, "DIR") == 0) {
            snprintf(message, message_size, "--%s takes a folder's name; it is empty",
                     option->name);
            return false;
        }
        *(const char **)place = value;
        return true;
    case OPTION_LIST: {
        struct text_list *list = place;
        if (list->count == TEXT_LIST_MAX) {
            snprintf(message, message_size, "--%s is given more than %d times", option->name,
                     TEXT_LIST_MAX);
            return false;
        }
        list->items[list->count++] = value;
        return true;
    }
    case OPTION_CHOICE:
        if (!choice_has(option->choices, value)) {
            snprintf(message, message_size, "--%s takes one of %s, not '%s'", option->name,
                     option->choices, value);
            return false;
        }
        *(const char **)place = value;
        return true;
    case OPTION_SWITCH:
        if (!choice_has("0|1", value)) {
            snprintf(message, message_size, "--%s is a switch: --%s or --%s=0|1, not '%s'",
                     option->name, option->name, option->name, value);
            return false;
        }
        *(bool *)place = value[0] == '1';
        return true;
    case OPTION_COUNT:
    case OPTION_INTEGER: {
        long long number = strtoll(value, &end, 10);
        if (end == value || *end || errno || (double)number < option->minimum ||
            (double)number > option->maximum) {
            snprintf(message, message_size, "--%s takes a whole number from %.0f to %.0f, not '%s'",
                     option->name, option->minimum, option->maximum, value);
            return false;
        }
        if (option->kind == OPTION_COUNT) {
            *(uint64_t *)place = (uint64_t)number;
        } else {
            *(int64_t *)place = number;
        }
        return true;
    }
    case OPTION_SIZE: {
        uint64_t bytes = 0;
        if (!parse_size(&bytes, value) || (double)bytes < option->minimum ||
            (double)bytes > option->maximum) {
            snprintf(message, message_size,
                     "--%s takes a size from %.0f bytes, as 8M or 64MiB, "
                     "not '%s'",
                     option->name, option->minimum, value);
            return false;
        }
        *(uint64_t *)place = bytes;
        return true;
    }
    case OPTION_REAL: {
        double number = strtod(value, &end);
        /* Written so that NaN fails. */
        if (end == value || *end || !(number >= option->minimum && number <= option->maximum)) {
            snprintf(message, message_size, "--%s takes a number from %g to %g, not '%s'",
                     option->name, option->minimum, option->maximum, value);
            return false;
        }
        *(double *)place = number;
        return true;
    }
    }
    assert(0 && "every kind has a case");
    return false;
}

static void set_defaults(struct settings *settings)
{
    for (size_t i = 0; i < options_count; i++) {
        if (options_table[i].fallback) {
            char message[256];
            bool good = option_set(settings, &options_table[i], options_table[i].fallback, message,
                                   sizeof message);
            assert(good);
            (void)good;
        }
    }
}

static bool keep(char **list, size_t *count, char *word, char *message, size_t message_size)
{
    if (*count == ARGUMENTS_MAX) {
        snprintf(message, message_size, "more than %d arguments", ARGUMENTS_MAX);
        return false;
    }
    list[(*count)++] = word;
    return true;
}

/* One word that begins with '-'. *used counts the words it took. */
static bool parse_option(struct arguments *arguments, enum command_bit command, char **words,
                         int words_left, bool keep_unknown, int *used, char *message,
                         size_t message_size)
{
    char *word = words[0];
    bool is_long = word[1] == '-';
    const char *name = word + (is_long ? 2 : 1);
    size_t length = is_long ? strcspn(name, "=") : 1;
    const struct option *option = is_long
                                      ? find_long(name, length, command)
                                      : (word[2] == '\0' ? find_letter(word[1], command) : NULL);
    *used = 1;
    if (!option) {
        if (keep_unknown) {
            return keep(arguments->unknown, &arguments->unknown_count, word, message, message_size);
        }
        /* Only the name is shown: the value may be a secret. */
        const char *nearest = is_long ? nearest_name(name, length, command) : NULL;
        int shown = is_long ? (int)length + 2 : (int)strlen(word);
        if (nearest) {
            snprintf(message, message_size, "unknown option '%.*s'; did you mean '--%s'?", shown,
                     word, nearest);
        } else {
            snprintf(message, message_size, "unknown option '%.*s'", shown, word);
        }
        return false;
    }
    const char *value = NULL;
    if (is_long && name[length] == '=') {
        value = name + length + 1;
    } else if (option->kind == OPTION_SWITCH) {
        value = "1";
    } else if (words_left > 1) {
        value = words[1];
        *used = 2;
    } else {
        snprintf(message, message_size, "--%s needs a value: %s", option->name, option->value);
        return false;
    }
    arguments->given[option - options_table] = true;
    return option_set(&arguments->settings, option, value, message, message_size);
}

bool options_parse(struct arguments *arguments, enum command_bit command, int argc, char **argv,
                   bool keep_unknown, char *message, size_t message_size)
{
    assert(options_count <= OPTIONS_MAX);
    memset(arguments, 0, sizeof *arguments);
    set_defaults(&arguments->settings);
    for (int i = 0; i < argc;) {
        if (strcmp(argv[i], "--") == 0) {
            arguments->after_dashes = argv + i + 1;
            arguments->after_dashes_count = (size_t)(argc - i - 1);
            break;
        }
        if (argv[i][0] == '-' && argv[i][1]) {
            int used = 0;
            if (!parse_option(arguments, command, argv + i, argc - i, keep_unknown, &used, message,
                              message_size)) {
                return false;
            }
            i += used;
            continue;
        }
        if (keep_unknown) {
            if (!keep(arguments->unknown, &arguments->unknown_count, argv[i], message,
                      message_size)) {
                return false;
            }
        } else if (arguments->positional_count == ARGUMENTS_MAX) {
            snprintf(message, message_size, "more than %d arguments", ARGUMENTS_MAX);
            return false;
        } else {
            arguments->positional[arguments->positional_count++] = argv[i];
        }
        i++;
    }
    return true;
}

bool options_given(const struct arguments *arguments, const char *name)
{
    for (size_t i = 0; i < options_count; i++) {
        if (strcmp(options_table[i].name, name) == 0 && arguments->given[i]) {
            return true;
        }
    }
    return false;
}

bool options_hide_secrets(int argc, char **argv)
{
    bool found = false;
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            continue;
        }
        size_t length = strcspn(argv[i] + 2, "=");
        const struct option *option = find_long(argv[i] + 2, length, ~0U);
        bool is_joined = argv[i][2 + length] == '=';
        if (!option || !option->secret || (!is_joined && i + 1 >= argc)) {
            continue;
        }
        char *value = is_joined ? argv[i] + 3 + length : argv[i + 1];
        memset(value, 'x', strlen(value));
        found = true;
    }
    return found;
}

void options_print_help(FILE *out, enum command_bit command)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if ((option->commands & (unsigned)command) == 0) {
            continue;
        }
        char left[96];
        snprintf(left, sizeof left, "%s%c%s--%s%s%s", option->letter ? "-" : " ",
                 option->letter ? option->letter : ' ', option->letter ? ", " : "  ", option->name,
                 option->value ? "=" : "", option->value ? option->value : "");
        fprintf(out, strlen(left) < 34 ? "  %-34s" : "  %s\n%36s", left, "");
        fprintf(out, "%s", option->help);
        if (option->fallback && option->fallback[0] && option->kind != OPTION_SWITCH &&
            strcmp(option->fallback, "-1") != 0) {
            fprintf(out, " [%s]", option->fallback);
        }
        fputc('\n', out);
    }
}
