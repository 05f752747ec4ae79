/*
 * ledger.h - all that manifests name, as the publisher knows it.
 *
 * Grows as manifests are read and written; a manifest that is withdrawn is taken out. Whoever asks
 * for a name gets what the newest manifest says of it.
 */
#ifndef RUNNER_LEDGER_H
#define RUNNER_LEDGER_H

#include "runner/job/remote.h"

struct ledger_record {
    char *name; /* of the manifest, under train_url */
    struct manifest manifest;
};

/* Zeroed it is empty. Records are in the order in which they came. */
struct ledger {
    struct ledger_record *records;
    size_t count, capacity;
    struct ledger_place *table; /* by hash of a file's name */
    size_t table_size, used;
};

/* Adds a manifest, copied; one of the same name is replaced. False without memory. */
bool ledger_add(struct ledger *ledger, const char *name, const struct manifest *manifest);
/* What the newest manifest says of a file of this name; NULL: none does. */
const struct manifest_file *ledger_find(const struct ledger *ledger, const char *file);
/* Whether any manifest names this key. */
bool ledger_names_key(const struct ledger *ledger, const char *key);
/* Takes out the record at an index. */
void ledger_remove(struct ledger *ledger, size_t index);
void ledger_release(struct ledger *ledger);

#endif
