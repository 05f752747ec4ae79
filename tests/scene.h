/*
 * scene.h - the S3 backend before a scripted server (scripted_server.h): one bucket, "bkt", one
 * script, and what went over the wire. Failures of the fixture are failures of the test.
 */
#ifndef SCENE_H
#define SCENE_H

#include "scripted_server.h"

#include "storage/backend.h"
#include "storage/s3/s3.h"
#include "storage/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SCENE_STEPS(array) array, sizeof(array) / sizeof *(array)

struct scene {
    struct scripted_server *server;
    struct storage *store;
    struct storage_error err;
    atomic_bool stop;
};

/* Keys AK and SK, three tries. */
struct storage_config scene_config(void);

/* Opens the store with the given configuration, or with scene_config()'s; steps are borrowed. */
void scene_open(struct scene *scene, const struct storage_config *given,
                const struct script_step *steps, size_t count);
void scene_start(struct scene *scene, const struct script_step *steps, size_t count);

/* Closes it, and fails the test when the script was not played to its end. */
void scene_finish(struct scene *scene);

/* Fails the test with the error's own words. */
void scene_must(struct scene *scene, enum storage_code code);

/* Reads the beginning of the object "k". */
enum storage_code scene_read_key(struct scene *scene);

/* The n-th request holds text, or does not. */
void scene_assert_sent(const struct scene *scene, size_t n, const char *text, bool is_there);

#define SCENE_MD5_OF_ABC  "900150983cd24fb0d6963f7d28e17f72"
#define SCENE_CRC_OF_ABC  "NSRBwg==" /* 352441c2 */
#define SCENE_ERROR(code) "\n\n<Error><Code>" code "</Code><Message>m</Message></Error>"
#define SCENE_OK_BODY     "206 OK\nContent-Range: bytes 0-2/3\nETag: \"e\"\n\nabc"

#endif
