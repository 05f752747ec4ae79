/*
 * async_writer.h - saves checkpoints on a thread of its own, from copies, while training goes on.
 *
 * One write at a time: to hand over the next is to wait for the one before, as MindSpore 2 does.
 * What the training pays is a copy of what goes into the file, and the wait only where saves come
 * faster than the disk takes them. The file itself is written as every other, whole under its name
 * or not at all, so a death in mid-save leaves nothing by that name.
 */
#ifndef MODEL_ASYNC_WRITER_H
#define MODEL_ASYNC_WRITER_H

#include "model/model.h"

struct async_writer;

/* Starts the thread; it blocks all signals. MODEL_BUG when the system has no more. */
enum model_code async_writer_new(struct async_writer **writer, struct model_error *err);
/* Waits for a write under way. NULL is fine. */
void async_writer_free(struct async_writer *writer);

/*
 * Copies model and state and writes them to path as model_save_as would. Nothing may be under way
 * or unfetched (async_writer_take). A model's schedule of rates is not copied: it must stay.
 */
void async_writer_put(struct async_writer *writer, const struct model *model,
                      const struct model_state *state, const struct model_saving *saving,
                      const char *path);

/* Whether a write is under way or its result waits to be fetched. */
bool async_writer_is_busy(const struct async_writer *writer);

/*
 * Fetches the result of what was put: true when it is there, *code and err then say how it went.
 * wait blocks until it is.
 */
bool async_writer_take(struct async_writer *writer, bool wait, enum model_code *code,
                       struct model_error *err);

#endif
