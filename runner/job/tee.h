/*
 * tee.h - what COMMAND prints goes to our own stdout and stderr, byte for byte, and line by line
 * into the run's log.
 *
 * Whoever runs COMMAND makes two pipes, gives the child their writing ends, and polls:
 *
 *     tee_init(&tee, log_file, out[0], err[0]);
 *     while (the child lives) {
 *         size_t count = tee_poll(&tee, fds);        with other descriptors behind them
 *         poll(fds, count + …, …);
 *         tee_step(&tee, fds, count);
 *     }
 *     tee_finish(&tee, 1.0);
 *
 * A stream waits either for the child or for our own end of it, so whoever reads us slowly slows
 * the child, and no more than one piece is held. A reader that went away costs the terminal's copy
 * only. A line is put into the log when it is whole (or 64 KiB long), so lines of the two streams,
 * and our own, do not mix.
 */
#ifndef RUNNER_TEE_H
#define RUNNER_TEE_H

#include "runner/log_file.h"

#include <poll.h>

enum {
    TEE_STREAMS = 2,
    TEE_PIECE = 4096,     /* bytes: a pipe that polls as writable takes so many at once, pipe(7) */
    TEE_LINE = 64 * 1024, /* bytes of a line */
};

struct tee_stream {
    int in;  /* the pipe's reading end, ours; -1: it has ended */
    int out; /* where it goes: 1 or 2, not ours; -1: its reader went away */
    char piece[TEE_PIECE];
    size_t read, written;
    char *line; /* of the log, not yet whole; TEE_LINE bytes */
    size_t line_length;
};

struct tee {
    struct log_file *file; /* borrowed; NULL: no log */
    struct tee_stream streams[TEE_STREAMS];
};

/* Takes the two descriptors. False: no memory, and they are closed. */
bool tee_init(struct tee *tee, struct log_file *file, int child_stdout, int child_stderr);

/* Fills what is to be waited for, TEE_STREAMS at most; returns how many. 0: both have ended. */
size_t tee_poll(const struct tee *tee, struct pollfd *fds);
/* Does what poll found can be done without waiting; count is what tee_poll returned. */
void tee_step(struct tee *tee, const struct pollfd *fds, size_t count);

/*
 * After the child's end: takes what is still in the pipes, for at most so many seconds (somebody
 * else may hold them open), writes unfinished lines, closes. Once.
 */
void tee_finish(struct tee *tee, double seconds);

#endif
