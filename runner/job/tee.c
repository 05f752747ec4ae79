#include "runner/job/tee.h"

#include "runner/app.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

static void end_stream(struct tee_stream *stream)
{
    if (stream->in >= 0) {
        close(stream->in);
    }
    stream->in = -1;
}

bool tee_init(struct tee *tee, struct log_file *file, int child_stdout, int child_stderr)
{
    *tee = (struct tee){.file = file};
    tee->streams[0].in = child_stdout;
    tee->streams[0].out = STDOUT_FILENO;
    tee->streams[1].in = child_stderr;
    tee->streams[1].out = STDERR_FILENO;
    bool good = true;
    for (size_t i = 0; i < TEE_STREAMS; i++) {
        tee->streams[i].line = malloc(TEE_LINE);
        good = good && tee->streams[i].line;
    }
    for (size_t i = 0; !good && i < TEE_STREAMS; i++) {
        end_stream(&tee->streams[i]);
        free(tee->streams[i].line);
    }
    return good;
}

static void write_line(struct tee *tee, struct tee_stream *stream)
{
    if (stream->line_length > 0) {
        log_file_write(tee->file, stream->line, stream->line_length);
        stream->line_length = 0;
    }
}

/* Cuts what was read into lines for the log. The last place of a line is kept for its end. */
static void keep_lines(struct tee *tee, struct tee_stream *stream)
{
    const char *at = stream->piece;
    const char *end = stream->piece + stream->read;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline ? newline + 1 : end) - at);
        size_t room = TEE_LINE - 1 - stream->line_length;
        size_t taken = length < room ? length : room;
        memcpy(stream->line + stream->line_length, at, taken);
        stream->line_length += taken;
        at += taken;
        bool full = stream->line_length == TEE_LINE - 1;
        bool whole = stream->line_length > 0 && stream->line[stream->line_length - 1] == '\n';
        if (full && !whole) {
            stream->line[stream->line_length++] = '\n';
        }
        if (full || whole) {
            write_line(tee, stream);
        }
    }
}

static void read_piece(struct tee *tee, struct tee_stream *stream)
{
    ssize_t got = read(stream->in, stream->piece, sizeof stream->piece);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (got <= 0) {
        end_stream(stream);
        return;
    }
    stream->read = (size_t)got;
    stream->written = stream->out >= 0 ? 0 : stream->read;
    keep_lines(tee, stream);
}

static void write_piece(struct tee_stream *stream)
{
    ssize_t done =
        write(stream->out, stream->piece + stream->written, stream->read - stream->written);
    if (done < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (done < 0) {
        stream->out = -1;
        stream->written = stream->read;
        return;
    }
    stream->written += (size_t)done;
}

static bool is_writing(const struct tee_stream *stream)
{
    return stream->written < stream->read;
}

size_t tee_poll(const struct tee *tee, struct pollfd *fds)
{
    size_t count = 0;
    for (size_t i = 0; i < TEE_STREAMS; i++) {
        const struct tee_stream *stream = &tee->streams[i];
        if (is_writing(stream)) {
            fds[count++] = (struct pollfd){.fd = stream->out, .events = POLLOUT};
        } else if (stream->in >= 0) {
            fds[count++] = (struct pollfd){.fd = stream->in, .events = POLLIN};
        }
    }
    return count;
}

void tee_step(struct tee *tee, const struct pollfd *fds, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < TEE_STREAMS && at < count; i++) {
        struct tee_stream *stream = &tee->streams[i];
        bool writing = is_writing(stream);
        if (!writing && stream->in < 0) {
            continue;
        }
        bool ready = fds[at++].revents != 0;
        if (ready && writing) {
            write_piece(stream);
        } else if (ready) {
            read_piece(tee, stream);
        }
    }
}

/* Steps until both have ended, at most until the deadline and for so many pieces. */
static void step_until(struct tee *tee, double deadline, size_t pieces)
{
    struct pollfd fds[TEE_STREAMS];
    for (size_t i = 0; i < pieces; i++) {
        size_t count = tee_poll(tee, fds);
        double left = deadline - clock_seconds();
        if (count == 0 || poll(fds, count, left > 0 ? (int)(left * 1000) + 1 : 0) <= 0) {
            return;
        }
        tee_step(tee, fds, count);
    }
}

void tee_finish(struct tee *tee, double seconds)
{
    enum {
        LAST_PIECES = 1024 /* more than a pipe holds */
    };
    step_until(tee, clock_seconds() + seconds, SIZE_MAX);
    /* A terminal that takes no more must not keep what the pipes still hold from the log. */
    for (size_t i = 0; i < TEE_STREAMS; i++) {
        tee->streams[i].out = -1;
        tee->streams[i].written = tee->streams[i].read;
    }
    step_until(tee, 0, LAST_PIECES);
    for (size_t i = 0; i < TEE_STREAMS; i++) {
        struct tee_stream *stream = &tee->streams[i];
        if (stream->line_length > 0) {
            stream->line[stream->line_length++] = '\n';
            write_line(tee, stream);
        }
        end_stream(stream);
        free(stream->line);
        stream->line = NULL;
    }
}
