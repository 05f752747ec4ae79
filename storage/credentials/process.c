/*
 * process.c - keys that a command prints, as AWS's credential_process has it.
 *
 * The command is split into words by blanks; '…' and "…" keep blanks, a backslash keeps the next
 * character (within '…' nothing is special, within "…" only \ and "). That is all: no shell is
 * started, so variables, ~, *, ;, | and > are letters as others. The first word is looked for in
 * PATH. The command gets our environment, nothing on stdin, a process group of its own, and a
 * minute; then, or at a stop, the whole group is killed.
 *
 * It prints one JSON object: Version 1, AccessKeyId, SecretAccessKey, and where they are temporary
 * SessionToken and Expiration. The last line of its stderr is told when it fails.
 */
#include "storage/base/digest.h"
#include "storage/base/json.h"
#include "storage/credentials/source.h"
#include "storage/storage_error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "storage/storage_banned.h"

enum {
    WORDS_MAX = 64,
    OUTPUT_MAX = 64 * 1024,
    COMPLAINT_MAX = 512,
    PIECES_MAX = 1024, /* of what is left in a pipe of 64 KiB, and more */
    LIMIT_MS = 60 * 1000,
    LOOK_MS = 20 /* how late an end or a stop may be seen */
};

/* ---- splitting ------------------------------------------------------------------------------ */

/* Moves one word from *at to out, which has room for what is left of the text. False: a quote is
 * open at the end. */
static bool take_word(const char **at, char **out)
{
    char quote = '\0';
    for (; **at; (*at)++) {
        char c = **at;
        if (!quote && (c == ' ' || c == '\t')) {
            break;
        }
        if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? '\0' : c;
            continue;
        }
        bool escapes = c == '\\' && (*at)[1] &&
                       (!quote || (quote == '"' && ((*at)[1] == '"' || (*at)[1] == '\\')));
        if (escapes) {
            c = *++*at;
        }
        *(*out)++ = c;
    }
    *(*out)++ = '\0';
    return !quote;
}

/* Words into words[] (NULL-terminated), their bytes into text, which is as long as command. */
static bool split(const char *command, char *text, char *words[WORDS_MAX + 1])
{
    size_t count = 0;
    for (const char *at = command + strspn(command, " \t"); *at; at += strspn(at, " \t")) {
        if (count == WORDS_MAX) {
            return false;
        }
        words[count++] = text;
        if (!take_word(&at, &text)) {
            return false;
        }
    }
    words[count] = NULL;
    return count > 0 && words[0][0];
}

/* ---- running -------------------------------------------------------------------------------- */

/*
 * What comes out of one pipe: its first size - 1 bytes, and whether there were more; or its last,
 * as that is where programs say what ailed them.
 */
struct outlet {
    int fd; /* -1: ended */
    char *data;
    size_t size;
    size_t length;
    bool keeps_end;
    bool overflowed;
};

struct run {
    pid_t pid;
    struct outlet output;
    struct outlet complaint;
    bool ended;
    int status; /* as waitpid tells; 0 when somebody else has reaped it */
};

static void outlet_read(struct outlet *outlet)
{
    char piece[COMPLAINT_MAX];
    ssize_t got = read(outlet->fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) {
        return;
    }
    if (got <= 0) {
        close(outlet->fd);
        outlet->fd = -1;
        return;
    }
    size_t room = outlet->size - 1 - outlet->length;
    if (outlet->keeps_end && (size_t)got > room) {
        size_t drop = (size_t)got - room;
        drop = drop < outlet->length ? drop : outlet->length;
        memmove(outlet->data, outlet->data + drop, outlet->length - drop);
        outlet->length -= drop;
        room += drop;
    }
    size_t keep = (size_t)got < room ? (size_t)got : room;
    memcpy(outlet->data + outlet->length, piece, keep);
    outlet->length += keep;
    outlet->overflowed |= keep < (size_t)got;
    digest_wipe(piece, sizeof piece);
}

static int spawn(struct run *run, char *const words[], const int output[2], const int complaint[2])
{
    static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGCHLD};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
        sigaddset(&usual, caught[i]);
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, complaint[1], STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    int failed = posix_spawnp(&run->pid, words[0], &actions, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static int64_t clock_ms(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Who reaps orphans in our process may have taken this child, too. */
static void look_for_end(struct run *run, int options)
{
    pid_t got = 0;
    do {
        got = waitpid(run->pid, &run->status, options);
    } while (got < 0 && errno == EINTR);
    run->ended = got != 0;
    run->status = got < 0 ? 0 : run->status;
}

/* Reads until the command has ended and closed its stdout; else kills it and says why. */
static const char *attend(struct run *run, const atomic_bool *stop)
{
    const char *why = NULL;
    int64_t end = clock_ms() + LIMIT_MS;
    while (!run->ended || run->output.fd >= 0) {
        struct pollfd ready[] = {{.fd = run->output.fd, .events = POLLIN},
                                 {.fd = run->complaint.fd, .events = POLLIN}};
        why = stop && atomic_load(stop) ? "stopped on request"
              : clock_ms() >= end       ? "it has not ended within a minute"
              : run->output.overflowed  ? "it prints more than 64 KiB"
                                        : NULL;
        if (why) {
            break;
        }
        if (poll(ready, 2, LOOK_MS) > 0) {
            for (size_t i = 0; i < 2; i++) {
                if (ready[i].revents) {
                    outlet_read(i == 0 ? &run->output : &run->complaint);
                }
            }
        }
        if (!run->ended) {
            look_for_end(run, WNOHANG);
        }
    }
    /* What it had complained of before it ended; its children may go on for ever. */
    struct pollfd rest = {.fd = run->complaint.fd, .events = POLLIN};
    for (unsigned i = 0; i < PIECES_MAX && rest.fd >= 0 && poll(&rest, 1, 0) > 0; i++) {
        outlet_read(&run->complaint);
        rest.fd = run->complaint.fd;
    }
    if (why) {
        kill(-run->pid, SIGKILL);
        if (!run->ended) {
            look_for_end(run, 0);
        }
    }
    return why;
}

/* Starts the command and hears it out. NULL, or why that was in vain. */
static const char *hear(struct run *run, char *const words[], const atomic_bool *stop, int *failed)
{
    int output[2] = {-1, -1};
    int complaint[2] = {-1, -1};
    const char *why = NULL;
    if (pipe2(output, O_CLOEXEC) || pipe2(complaint, O_CLOEXEC)) {
        *failed = errno;
        why = "it cannot be started";
        goto done;
    }
    *failed = spawn(run, words, output, complaint);
    if (*failed) {
        why = "it cannot be started";
        goto done;
    }
    close(output[1]); /* else the end of its output would never come */
    close(complaint[1]);
    run->output.fd = output[0];
    run->complaint.fd = complaint[0];
    output[0] = output[1] = complaint[0] = complaint[1] = -1;
    why = attend(run, stop);
done:
    for (size_t i = 0; i < 2; i++) {
        if (output[i] >= 0) {
            close(output[i]);
        }
        if (complaint[i] >= 0) {
            close(complaint[i]);
        }
    }
    if (run->output.fd >= 0) {
        close(run->output.fd);
    }
    if (run->complaint.fd >= 0) {
        close(run->complaint.fd);
    }
    return why;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* The last line that is not empty; text loses its end. */
static const char *last_line(char *text)
{
    secret_trim(text);
    const char *end = strrchr(text, '\n');
    return end ? end + 1 : text;
}

static enum storage_code take_output(const struct key_source *source, const struct run *run,
                                     struct credentials_keys **keys, struct storage_error *err)
{
    static const struct key_paths paths = {"AccessKeyId", "SecretAccessKey", "SessionToken",
                                           "Expiration"};
    const char *complaint = last_line(run->complaint.data);
    if (WIFSIGNALED(run->status)) {
        return keys_fail(source, err, STORAGE_DENIED, "it was ended by signal %d",
                         WTERMSIG(run->status));
    }
    if (WEXITSTATUS(run->status) != 0) {
        return keys_fail(source, err, STORAGE_DENIED, "it exited with %d%s%s",
                         WEXITSTATUS(run->status), complaint[0] ? ": " : "", complaint);
    }
    int64_t version = 0;
    struct json *json = json_parse(run->output.data, run->output.length);
    bool is_other = json && (!json_find_whole(json, "Version", &version) || version != 1);
    json_free(json);
    if (is_other) {
        return keys_fail(source, err, STORAGE_DENIED, "its output is not of Version 1");
    }
    return keys_from_json(source, run->output.data, run->output.length, &paths, keys, err);
}

enum storage_code keys_from_process(const struct key_source *source, struct credentials_keys **keys,
                                    struct storage_error *err)
{
    char complaint[COMPLAINT_MAX + 1] = "";
    char *words[WORDS_MAX + 1];
    struct run run = {
        .output = {.fd = -1, .size = OUTPUT_MAX + 1},
        .complaint = {.fd = -1, .data = complaint, .size = sizeof complaint, .keeps_end = true}};
    int failed = 0;
    enum storage_code code = STORAGE_OK;
    char *text = malloc(2 * strlen(source->is.command) + 2); /* a NUL for each word */
    run.output.data = calloc(1, OUTPUT_MAX + 1);
    if (!text || !run.output.data) {
        code = keys_fail(source, err, STORAGE_BUG, "no memory");
        goto done;
    }
    if (!split(source->is.command, text, words)) {
        code =
            keys_fail(source, err, STORAGE_USAGE,
                      "the command is empty, leaves a quote open, or has over %d words", WORDS_MAX);
        goto done;
    }
    const char *why = hear(&run, words, source->stop, &failed);
    if (failed) {
        char word[128];
        code = keys_fail(source, err, STORAGE_DENIED, "run %s: %s", words[0],
                         strerror_r(failed, word, sizeof word));
    } else if (why) {
        bool stopped = source->stop && atomic_load(source->stop);
        code = keys_fail(source, err, stopped ? STORAGE_STOPPED : STORAGE_DENIED, "run %s: %s",
                         words[0], why);
    } else {
        code = take_output(source, &run, keys, err);
    }
done:
    if (run.output.data) {
        digest_wipe(run.output.data, OUTPUT_MAX);
    }
    free(run.output.data);
    free(text);
    return code;
}
