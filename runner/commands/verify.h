/* verify.h - `jobferry stat --verify=MANIFEST URL`: holds a store or a folder against a manifest.
 */
#ifndef RUNNER_VERIFY_H
#define RUNNER_VERIFY_H

#include "runner/app.h"

/*
 * Looks at every file of the manifest below place: a result for each that is missing, or has
 * another size or CRC-32; then a sum. The CRC-32 is the store's where it keeps one of the whole,
 * else of the bytes, which are read. EXIT_INTEGRITY when anything differs.
 */
enum exit_code verify_manifest(struct app *app, struct place *place, const char *path);

#endif
