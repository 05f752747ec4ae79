/*
 * log_file.h - the log of a run on the local disk, with a ceiling, and its way into the store.
 *
 * It is made of at most three files, so that neither the beginning nor the end of a long story is
 * ever lost:
 *
 *     <path>.0   the first quarter of the ceiling, once that is full; it stays
 *     <path>.1   what came before the present file; replaced when that is full
 *     <path>     the present file
 *
 * Lines are written at once and not kept in memory, so they outlive any death of this process. A
 * disk that is full costs lines, never the job. May be written to from any thread.
 */
#ifndef RUNNER_LOG_FILE_H
#define RUNNER_LOG_FILE_H

#include "storage/storage.h"

struct log_file;

/*
 * Opens the log at path, with its folder, to go on behind what is there; bytes is the ceiling of
 * all its files. NULL: errno says why not.
 */
struct log_file *log_file_open(const char *path, uint64_t bytes);
void log_file_close(struct log_file *file); /* NULL is fine */

/* How many bytes it has been given since it was opened, and what was there before. */
uint64_t log_file_total(struct log_file *file);

/* Adds text, whole lines, in one piece. NULL is fine: nothing is written. */
void log_file_write(struct log_file *file, const char *text, size_t length);

/*
 * Makes it the log at path: what path holds (of an earlier start of the run) comes first, then
 * what was written so far. False: errno says why not, and the log stays where it is.
 */
bool log_file_move(struct log_file *file, const char *path);

/*
 * Puts all of it as one object: beginning, a line that says how many bytes were left out where
 * there are any, and end.
 */
enum storage_code log_file_put(struct log_file *file, struct storage *store, const char *key,
                               struct storage_error *err);

#endif
