#include "runner/job/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

/* Where the newest record of a file's name is. */
struct ledger_place {
    uint32_t record, file; /* record counts from 1; 0: an empty place */
};

static const struct manifest_file *file_at(const struct ledger *ledger,
                                           const struct ledger_place *place)
{
    return &ledger->records[place->record - 1].manifest.files[place->file];
}

static struct ledger_place *find_place(const struct ledger *ledger, const char *name)
{
    size_t at = storage_crc32(0, name, strlen(name)) & (ledger->table_size - 1);
    while (ledger->table[at].record &&
           strcmp(file_at(ledger, &ledger->table[at])->name, name) != 0) {
        at = (at + 1) & (ledger->table_size - 1);
    }
    return &ledger->table[at];
}

/* Enters a record's files; the table has room. */
static void enter(struct ledger *ledger, size_t record)
{
    const struct manifest *manifest = &ledger->records[record].manifest;
    for (size_t i = 0; i < manifest->file_count; i++) {
        struct ledger_place *place = find_place(ledger, manifest->files[i].name);
        ledger->used += place->record == 0;
        *place = (struct ledger_place){.record = (uint32_t)record + 1, .file = (uint32_t)i};
    }
}

/* Makes the table anew from the records, with room for more names. */
static bool enter_all(struct ledger *ledger, size_t more)
{
    size_t size = ledger->table_size ? ledger->table_size : 64;
    while (size < 2 * (ledger->used + more)) {
        size *= 2;
    }
    struct ledger_place *table = calloc(size, sizeof *table);
    if (!table) {
        return false;
    }
    free(ledger->table);
    ledger->table = table;
    ledger->table_size = size;
    ledger->used = 0;
    for (size_t i = 0; i < ledger->count; i++) {
        enter(ledger, i);
    }
    return true;
}

bool ledger_add(struct ledger *ledger, const char *name, const struct manifest *manifest)
{
    for (size_t i = 0; i < ledger->count; i++) {
        if (strcmp(ledger->records[i].name, name) == 0) {
            ledger_remove(ledger, i);
            break;
        }
    }
    if (ledger->count == ledger->capacity) {
        size_t capacity = ledger->capacity ? ledger->capacity * 2 : 64;
        struct ledger_record *grown = realloc(ledger->records, capacity * sizeof *grown);
        if (!grown) {
            return false;
        }
        ledger->records = grown;
        ledger->capacity = capacity;
    }
    if (2 * (ledger->used + manifest->file_count) > ledger->table_size &&
        !enter_all(ledger, manifest->file_count)) {
        return false;
    }
    struct ledger_record record = {.name = strdup(name)};
    if (!record.name || !manifest_copy(&record.manifest, manifest)) {
        free(record.name);
        return false;
    }
    ledger->records[ledger->count] = record;
    enter(ledger, ledger->count++);
    return true;
}

const struct manifest_file *ledger_find(const struct ledger *ledger, const char *file)
{
    const struct ledger_place *place = ledger->table_size ? find_place(ledger, file) : NULL;
    return place && place->record ? file_at(ledger, place) : NULL;
}

bool ledger_names_key(const struct ledger *ledger, const char *key)
{
    for (size_t i = 0; i < ledger->count; i++) {
        const struct manifest *manifest = &ledger->records[i].manifest;
        for (size_t j = 0; j < manifest->file_count; j++) {
            if (strcmp(manifest->files[j].key, key) == 0) {
                return true;
            }
        }
    }
    return false;
}

void ledger_remove(struct ledger *ledger, size_t index)
{
    free(ledger->records[index].name);
    manifest_release(&ledger->records[index].manifest);
    ledger->count--;
    memmove(&ledger->records[index], &ledger->records[index + 1],
            (ledger->count - index) * sizeof *ledger->records);
    /* The numbers of all behind it have changed; in the table that there is, it cannot fail. */
    memset(ledger->table, 0, ledger->table_size * sizeof *ledger->table);
    ledger->used = 0;
    for (size_t i = 0; i < ledger->count; i++) {
        enter(ledger, i);
    }
}

void ledger_release(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++) {
        free(ledger->records[i].name);
        manifest_release(&ledger->records[i].manifest);
    }
    free(ledger->records);
    free(ledger->table);
    memset(ledger, 0, sizeof *ledger);
}
