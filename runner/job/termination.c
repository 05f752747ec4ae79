#include "runner/job/termination.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/runner_banned.h"

/* The length of text in at most limit bytes of whole UTF-8 characters. */
static size_t cut_length(const char *text, size_t limit)
{
    size_t length = strnlen(text, limit + 1);
    if (length <= limit) {
        return length;
    }
    length = limit;
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) {
        length--;
    }
    return length;
}

/* Whether the open file holds exactly text; an empty one holds "". */
static bool holds(int fd, const char *text)
{
    char found[TERMINATION_MAX + 1];
    size_t length = strlen(text);
    ssize_t got = pread(fd, found, sizeof found, 0);
    return got == (ssize_t)length && memcmp(found, text, length) == 0;
}

/* Puts message into the file in place of `written`, which is then message. */
static void replace_text(int fd, char *written, size_t limit, const char *message)
{
    if (!holds(fd, "") && !holds(fd, written)) {
        return;
    }
    size_t length = cut_length(message, limit);
    memcpy(written, message, length);
    written[length] = '\0';
    if (ftruncate(fd, 0) != 0 || pwrite(fd, written, length, 0) != (ssize_t)length) {
        written[0] = '\0'; /* whatever is there now is left to whoever reads it */
    }
}

void termination_write(struct termination *termination, const char *log_path,
                       const char *failure_path, int code, const char *message)
{
    int fd = open(log_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat status;
    if (fd >= 0) {
        if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
            replace_text(fd, termination->written, TERMINATION_MAX, message);
        }
        close(fd);
    }
    if (code == 0) {
        return;
    }
    fd = open(failure_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd >= 0) {
        if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
            replace_text(fd, termination->failure, FAILURE_MAX, message);
        }
        close(fd);
    }
}
