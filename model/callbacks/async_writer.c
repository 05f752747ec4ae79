#include "model/callbacks/async_writer.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/threads.h"
#include "model/checkpoint/checkpoint.h"
#include "model/model_error.h"
#include "model/training/lenet.h"

#include "model/model_banned.h"

enum {
    PATH_SIZE = 4096
};

enum phase {
    IDLE,
    WRITING, /* the copy is the thread's */
    WRITTEN, /* code and error wait to be fetched */
    ENDING
};

struct async_writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum phase phase; /* guarded by lock; the rest belongs to whoever the phase says */
    bool is_busy;     /* the caller's own note */
    struct model copy;
    float weights[LENET_PARAMETERS_MAX];
    float moments[LENET_PARAMETERS_MAX];
    float second[LENET_PARAMETERS_MAX];
    struct model_state state;
    bool has_state;
    struct model_saving saving;
    char path[PATH_SIZE];
    enum model_code code;
    struct model_error error;
};

static void *work(void *context)
{
    struct async_writer *writer = context;
    pthread_mutex_lock(&writer->lock);
    while (writer->phase != ENDING) {
        if (writer->phase != WRITING) {
            pthread_cond_wait(&writer->changed, &writer->lock);
            continue;
        }
        pthread_mutex_unlock(&writer->lock);
        writer->error = (struct model_error){0};
        writer->code = model_save_as(&writer->copy, writer->has_state ? &writer->state : NULL,
                                     &writer->saving, writer->path, &writer->error);
        pthread_mutex_lock(&writer->lock);
        writer->phase = WRITTEN;
        pthread_cond_broadcast(&writer->changed);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

enum model_code async_writer_new(struct async_writer **out, struct model_error *err)
{
    *out = NULL;
    struct async_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        return model_fail(err, MODEL_BUG, "starting the writer of checkpoints: no memory");
    }
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->changed, NULL);
    int failure = thread_start(&writer->thread, work, writer);
    if (failure) {
        pthread_cond_destroy(&writer->changed);
        pthread_mutex_destroy(&writer->lock);
        free(writer);
        return model_fail(err, MODEL_BUG, "starting the writer of checkpoints: %s",
                          strerror(failure));
    }
    *out = writer;
    return MODEL_OK;
}

void async_writer_free(struct async_writer *writer)
{
    if (!writer) {
        return;
    }
    pthread_mutex_lock(&writer->lock);
    while (writer->phase == WRITING) {
        pthread_cond_wait(&writer->changed, &writer->lock);
    }
    writer->phase = ENDING;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
}

void async_writer_put(struct async_writer *writer, const struct model *model,
                      const struct model_state *state, const struct model_saving *saving,
                      const char *path)
{
    assert(!writer->is_busy && strlen(path) < sizeof writer->path);
    const size_t block = model->shape.parameters * sizeof(float);
    writer->copy = *model;
    writer->copy.weights = writer->weights;
    writer->copy.moments = writer->moments;
    writer->copy.second = writer->second;
    memcpy(writer->weights, model->weights, block);
    for (size_t i = 0; i < CHECKPOINT_BLOCKS_MAX && !saving->weights_only; i++) {
        if (optimizer_entries[model->config.optimizer].blocks[i]) {
            memcpy(optimizer_block(&writer->copy, i), optimizer_block(model, i), block);
        }
    }
    writer->has_state = state != NULL;
    if (state) {
        writer->state = *state;
    }
    writer->saving = *saving;
    memcpy(writer->path, path, strlen(path) + 1);
    writer->is_busy = true;
    pthread_mutex_lock(&writer->lock);
    writer->phase = WRITING;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

bool async_writer_is_busy(const struct async_writer *writer)
{
    return writer->is_busy;
}

bool async_writer_take(struct async_writer *writer, bool wait, enum model_code *code,
                       struct model_error *err)
{
    if (!writer->is_busy) {
        return false;
    }
    pthread_mutex_lock(&writer->lock);
    while (wait && writer->phase == WRITING) {
        pthread_cond_wait(&writer->changed, &writer->lock);
    }
    bool is_written = writer->phase == WRITTEN;
    if (is_written) {
        writer->phase = IDLE;
    }
    pthread_mutex_unlock(&writer->lock);
    if (is_written) {
        writer->is_busy = false;
        *code = writer->code;
        if (err && writer->code != MODEL_OK) {
            *err = writer->error;
        }
    }
    return is_written;
}
