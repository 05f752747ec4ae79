/*
 * checkpoint_fixture.h - one checkpoint of ours, saved and taken apart, for the tests that damage,
 * rearrange and load it.
 */
#ifndef CHECKPOINT_FIXTURE_H
#define CHECKPOINT_FIXTURE_H

#include "model/checkpoint/checkpoint.h"

enum {
    LAB_ENTRIES = 18,
    LAB_SIZE = 494155, /* bytes of the lab's 18 entries */
    OUR_ENTRIES = LAB_ENTRIES + CHECKPOINT_STATE_ENTRIES + 1,
    FILE_MAX = 1 << 20
};

/* The lab's file by reference: tag, dims as written, bytes of data, offset of the chunk (0: not
   told). */
struct lab_entry {
    const char *tag;
    size_t rank;
    int64_t dims[4];
    size_t size;
    size_t offset;
};
extern const struct lab_entry lab[LAB_ENTRIES];

/* Set by fixture_set_up: a folder of our own, the file in it and its bytes. */
extern char folder[64];
extern char path[128];
extern uint8_t saved[FILE_MAX];
extern size_t saved_size;
extern size_t boundaries[OUR_ENTRIES + 1];  /* where each chunk starts, and the end */
extern const struct model_state made_state; /* the state in it */

int fixture_set_up(void **state);
int fixture_tear_down(void **state); /* fails when something was left in the folder */

/* A model whose every value is another; with 0.01 it is the one in the file. */
struct model *make_model(float learning_rate);

size_t read_file(const char *from, uint8_t *bytes);

/* Reads bytes as a file, "some.ckpt"; an error must name it. */
enum model_code parse(const uint8_t *bytes, size_t size, struct model_error *err);

/* The same, and loads it into a model, which an error must leave as it was. */
enum model_code parse_and_load(const uint8_t *bytes, size_t size, struct model_error *err);

#endif
