/*
 * disk_faults.c - a disk that fails on demand, for tests/test_disk_errors.sh: a library that is
 * loaded before the C library's (LD_PRELOAD) and has chosen system calls on chosen files fail. All
 * others are made as ever.
 *
 *   DISK_FAULTS      rules, separated by blanks: CALL:ERROR:PATH[:FROM[:COUNT]]. A call on a file
 *                    whose path contains PATH (ends in it, where PATH ends in '$') fails with ERROR
 *                    from the FROM-th such call on (1), COUNT times (for ever).
 *   DISK_FAULTS_LOG  a file: each of the calls below is a line of it, "CALL PATH", in the order in
 *                    which they ended (removals: began), with " = ERROR" when one failed; and each
 *                    request that is sent over http, as it begins: "send METHOD PATH".
 *
 * CALL is pread, pwrite, fsync, fdatasync, syncfs, written (what sync_file_range with WAIT_BEFORE
 * tells), close, renameat, unlinkat or readdir. ERROR is EIO, EDQUOT, ENOSPC; OK: the call is not
 * made, and tells nothing of what went wrong, as syncfs before Linux 5.8; or SLOW: it is made, but
 * takes its time.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    RULES_MAX = 8,
    TEXT_MAX = 256,
    LINE_MAX_BYTES = PATH_MAX + 64,
    SLOW = -1, /* as an error's number */
    SILENT = -2,
    SLOW_US = 300000
};

struct rule {
    char call[16];
    int error;
    char path[TEXT_MAX];
    unsigned from, count;
    atomic_uint seen;
};

static struct rule rules[RULES_MAX];
static size_t rule_count;
static int log_fd = -1;

static int error_of(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } errors[] = {{"EIO", EIO}, {"EDQUOT", EDQUOT}, {"ENOSPC", ENOSPC}, {"OK", 0}, {"SLOW", SLOW}};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (strcmp(name, errors[i].name) == 0) {
            return errors[i].number;
        }
    }
    fprintf(stderr, "disk_faults: no error is called %s\n", name);
    abort();
}

__attribute__((constructor)) static void read_rules(void)
{
    const char *text = getenv("DISK_FAULTS");
    const char *path = getenv("DISK_FAULTS_LOG");
    char error[16];
    int length = 0;
    for (struct rule *rule = rules; text && *text && rule < rules + RULES_MAX; rule++) {
        rule->from = 1;
        rule->count = UINT_MAX;
        if (sscanf(text, " %15[^:]:%15[^:]:%255[^: ]%n", rule->call, error, rule->path, &length) !=
            3) {
            fprintf(stderr, "disk_faults: no rule: %s\n", text);
            abort();
        }
        text += length;
        if (sscanf(text, ":%u%n", &rule->from, &length) == 1) {
            text += length;
        }
        if (sscanf(text, ":%u%n", &rule->count, &length) == 1) {
            text += length;
        }
        rule->error = error_of(error);
        rule_count++;
    }
    log_fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path,
                                 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)
                  : -1;
}

/* ---- what each call asks --------------------------------------------------------------------- */

static void note(const char *call, const char *path, int error)
{
    char line[LINE_MAX_BYTES];
    int saved = errno;
    int length = snprintf(line, sizeof line, "%s %s%s%s\n", call, path, error ? " = " : "",
                          error ? strerrorname_np(error) : "");
    if (log_fd >= 0 && length > 0 && (size_t)length < sizeof line) {
        syscall(SYS_write, log_fd, line, (size_t)length);
    }
    errno = saved;
}

static bool is_path(const struct rule *rule, const char *path)
{
    size_t length = strlen(rule->path);
    size_t all = strlen(path);
    if (rule->path[length - 1] != '$') {
        return strstr(path, rule->path) != NULL;
    }
    return all >= length - 1 && strncmp(path + all - (length - 1), rule->path, length - 1) == 0;
}

/* The error that a rule has for this call; 0: none; SILENT: none, but it is not to be made. */
static int fault_of(const char *call, const char *path)
{
    for (size_t i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if (strcmp(rule->call, call) == 0 && is_path(rule, path)) {
            unsigned number = atomic_fetch_add(&rule->seen, 1) + 1;
            bool is_hit = number >= rule->from && number - rule->from < rule->count;
            if (is_hit && rule->error == SLOW) {
                usleep(SLOW_US);
            } else if (is_hit) {
                note(call, path, rule->error);
                return rule->error ? rule->error : SILENT;
            }
        }
    }
    return 0;
}

/* The path of a file; false: it is none. */
static bool find_path(int fd, char path[PATH_MAX])
{
    char link[40];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    errno = saved;
    path[length > 0 ? length : 0] = '\0';
    return path[0] == '/';
}

/* A call on a file, by its number and what it is given. */
static long on_file(const char *call, int fd, long number, long a, long b, long c)
{
    char path[PATH_MAX];
    bool is_file = find_path(fd, path);
    int fault = is_file ? fault_of(call, path) : 0;
    if (fault) {
        errno = fault == SILENT ? errno : fault;
        return fault == SILENT ? 0 : -1;
    }
    long result = syscall(number, fd, a, b, c);
    if (is_file) {
        note(call, path, result < 0 ? errno : 0);
    }
    return result;
}

/* ---- the calls: in both of the names that the C library has for them ------------------------- */

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
    return on_file("pread", fd, SYS_pread64, (long)data, (long)size, offset);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t offset) __attribute__((alias("pread")));

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return on_file("pwrite", fd, SYS_pwrite64, (long)data, (long)size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
    __attribute__((alias("pwrite")));

int fsync(int fd)
{
    return (int)on_file("fsync", fd, SYS_fsync, 0, 0, 0);
}

int fdatasync(int fd)
{
    return (int)on_file("fdatasync", fd, SYS_fdatasync, 0, 0, 0);
}

int syncfs(int fd)
{
    return (int)on_file("syncfs", fd, SYS_syncfs, 0, 0, 0);
}

int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags)
{
    return flags & SYNC_FILE_RANGE_WAIT_BEFORE
               ? (int)on_file("written", fd, SYS_sync_file_range, offset, size, (long)flags)
               : (int)syscall(SYS_sync_file_range, fd, offset, size, flags);
}

/* A close that tells of an error has closed all the same. */
int close(int fd)
{
    char path[PATH_MAX];
    int fault = rule_count > 0 && find_path(fd, path) ? fault_of("close", path) : 0;
    int result = (int)syscall(SYS_close, fd);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    return result;
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    int fault = fault_of("renameat", to);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    int result = (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
    note("renameat", to, result < 0 ? errno : 0);
    return result;
}

int unlinkat(int folder, const char *path, int flags)
{
    int fault = fault_of("unlinkat", path);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    note("unlinkat", path, 0);
    return (int)syscall(SYS_unlinkat, folder, path, flags);
}

struct dirent *readdir(DIR *folder)
{
    struct dirent *(*next)(DIR *) = NULL;
    char path[PATH_MAX];
    int fault = find_path(dirfd(folder), path) ? fault_of("readdir", path) : 0;
    *(void **)&next = dlsym(RTLD_NEXT, "readdir");
    if (fault > 0) {
        errno = fault;
        return NULL;
    }
    return next(folder);
}

struct dirent64 *readdir64(DIR *folder) __attribute__((alias("readdir")));

/* "DELETE /bucket/key", without the query, when that is what is sent. */
static void note_request(const char *data, size_t size)
{
    static const char *const methods[] = {"GET ", "HEAD ", "PUT ", "POST ", "DELETE "};
    char line[TEXT_MAX];
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        size_t length = strlen(methods[i]);
        if (size > length && memcmp(data, methods[i], length) == 0) {
            snprintf(line, sizeof line, "%.*s", (int)(size < sizeof line ? size : sizeof line),
                     data);
            line[length + strcspn(line + length, " ?\r")] = '\0';
            note("send", line, 0);
        }
    }
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    note_request(data, size);
    return syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
}
