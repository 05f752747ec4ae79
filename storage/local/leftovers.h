/* leftovers.h - what copies that died have left below a folder; a part of local.c's backend. */
#ifndef STORAGE_LEFTOVERS_H
#define STORAGE_LEFTOVERS_H

#include "storage/backend.h"

enum storage_code local_leftovers(struct storage *store, const char *prefix,
                                  storage_leftover_fn *take, void *context,
                                  struct storage_error *err);
enum storage_code local_leftover_remove(struct storage *store,
                                        const struct storage_leftover *leftover,
                                        struct storage_error *err);

#endif
