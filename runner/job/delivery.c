/* delivery.c - data, verify, manifest, pointer; and the refreshing of names written again. */
#include "runner/job/delivery.h"
#include "runner/job/evidence.h"
#include "runner/job/unit_metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/runner_banned.h"

enum {
    SEND_WORKERS = 8,
    SEND_MEMORY = 64 * 1024 * 1024, /* bytes of part buffers */
    REFRESH_FILES_MAX = 100,        /* a unit of more files is not refreshed for people */
    UNRANKED_MAX = 3                /* checkpoints without a metric before it is told */
};

void unit_release(struct unit *unit)
{
    for (size_t i = 0; i < unit->file_count; i++) {
        if (unit->files[i].fd >= 0) {
            close(unit->files[i].fd);
        }
        free(unit->files[i].name);
        free(unit->files[i].path);
    }
    free(unit->files);
    unit->files = NULL;
    unit->file_count = 0;
}

void delivery_release(struct delivery *delivery)
{
    ledger_release(&delivery->ledger);
}

static enum storage_code fail(struct storage_error *err, enum storage_code code, const char *name,
                              const char *why)
{
    *err = (struct storage_error){.code = code};
    snprintf(err->message, sizeof err->message, "publish %s: %s", name, why);
    return code;
}

/* ---- what is to be sent ---------------------------------------------------------------------- */

/* One file under way. */
struct sending {
    struct unit_file *file;
    int fd;
    struct manifest_file line; /* its texts are name, and key here */
    char key[REMOTE_KEY_MAX];
    bool is_there; /* the store has these very bytes under this key */
    bool is_sent;
};

/* All of a unit, and the copy that sends them. */
struct shipment {
    struct delivery *delivery;
    const struct unit *unit;
    struct sending *list;
    size_t next;
    char source[64]; /* of the item given last */
    char destination[STORAGE_PATH_MAX];
    struct storage_error failure; /* of an object */
};

static bool is_same_file(int fd, const struct unit_file *file)
{
    struct stat status;
    return fstat(fd, &status) == 0 && (uint64_t)status.st_size == file->size &&
           (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec == file->mtime_ns;
}

/* Opens the file unless it is held open; what it then is must be what was found complete. */
static enum storage_code open_file(struct sending *sending, struct storage_error *err)
{
    const struct unit_file *file = sending->file;
    sending->fd = file->fd >= 0 ? file->fd : open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (sending->fd < 0) {
        return errno == ENOENT ? fail(err, STORAGE_NOT_FOUND, file->name, "it is gone")
                               : fail(err, STORAGE_DISK, file->name, strerror(errno));
    }
    return is_same_file(sending->fd, file)
               ? STORAGE_OK
               : fail(err, STORAGE_CHANGED, file->name, "it has been written to meanwhile");
}

static bool learn(void *context, const struct manifest *manifest)
{
    struct delivery *delivery = context;
    char name[REMOTE_KEY_MAX];
    remote_manifest_name(name, manifest);
    return ledger_add(&delivery->ledger, name, manifest);
}

/* Reads the manifests of all runs, once: a name in the store may be any run's. */
static enum storage_code know_all(struct delivery *delivery, struct storage_error *err)
{
    if (delivery->knows_all) {
        return STORAGE_OK;
    }
    enum storage_code code = remote_each_manifest(&delivery->remote, "", learn, delivery, err);
    delivery->knows_all = code == STORAGE_OK;
    return code;
}

/* Where a file goes, and whether it is there already. */
static enum storage_code choose_key(struct delivery *delivery, const struct unit *unit,
                                    struct sending *sending, struct storage_error *err)
{
    char key[STORAGE_PATH_MAX];
    struct storage_info info = {0};
    struct manifest_file *line = &sending->line;
    const struct manifest_file *known = ledger_find(&delivery->ledger, line->name);
    snprintf(sending->key, sizeof sending->key, "ckpt/%s", line->name);
    remote_key(&delivery->remote, key, sending->key);
    if (!known) {
        enum storage_code code = storage_stat(delivery->remote.store, key, &info, err);
        if (code == STORAGE_NOT_FOUND && strcmp(err->service_code, "NoSuchBucket") != 0) {
            return STORAGE_OK;
        }
        code = code ? code : know_all(delivery, err);
        if (code) {
            return code;
        }
        known = ledger_find(&delivery->ledger, line->name);
    }
    if (known && known->size == line->size && known->crc32 == line->crc32) {
        snprintf(sending->key, sizeof sending->key, "%s", known->key);
        line->verified = known->verified;
        sending->is_there = true;
    } else if (known) {
        snprintf(sending->key, sizeof sending->key, ".jobferry/data/%s/%llu-%llu/%s", delivery->run,
                 (unsigned long long)delivery->attempt, (unsigned long long)unit->seq, line->name);
    } else if (info.has_crc32 && info.size == line->size && info.crc32 == line->crc32) {
        line->verified = STORAGE_VERIFIED_CRC32; /* left by a try that died before its manifest */
        sending->is_there = true;
    }
    return STORAGE_OK;
}

static enum storage_code prepare_file(struct delivery *delivery, const struct unit *unit,
                                      struct sending *sending, struct storage_error *err)
{
    struct unit_file *file = sending->file;
    struct manifest_file *line = &sending->line;
    line->name = file->name;
    line->key = sending->key;
    if (file->fd < 0 && !file->path) { /* carried */
        const struct manifest_file *known = ledger_find(&delivery->ledger, file->name);
        if (!known) {
            return fail(err, STORAGE_NOT_FOUND, file->name, "it is gone");
        }
        *line = *known;
        snprintf(sending->key, sizeof sending->key, "%s", known->key);
        line->name = file->name;
        line->key = sending->key;
        sending->is_there = true;
        return STORAGE_OK;
    }
    enum storage_code code = open_file(sending, err);
    if (code) {
        return code;
    }
    line->size = file->size;
    if (!file_crc32(sending->fd, file->size, &line->crc32)) {
        return fail(err, STORAGE_CHANGED, file->name, "it cannot be read to its end");
    }
    code = choose_key(delivery, unit, sending, err);
    /* Descriptors are few: only what is to be sent is held while others are looked at. */
    if (sending->is_there && sending->fd != file->fd) {
        close(sending->fd);
        sending->fd = -1;
    }
    return code;
}

/* ---- sending --------------------------------------------------------------------------------- */

static enum storage_code next_item(void *context, struct storage_item *item,
                                   struct storage_error *err)
{
    struct shipment *shipment = context;
    (void)err;
    while (shipment->next < shipment->unit->file_count) {
        struct sending *sending = &shipment->list[shipment->next++];
        if (!sending->is_there && !sending->is_sent) {
            /* The open file itself, whatever has become of its name. */
            snprintf(shipment->source, sizeof shipment->source, "/proc/self/fd/%d", sending->fd);
            remote_key(&shipment->delivery->remote, shipment->destination, sending->key);
            *item = (struct storage_item){.source = shipment->source,
                                          .destination = shipment->destination};
            return STORAGE_OK;
        }
    }
    return STORAGE_OK;
}

static void on_sent(void *context, const struct storage_copied *copied)
{
    struct shipment *shipment = context;
    if (copied->error) {
        if (!shipment->failure.code) {
            shipment->failure = *copied->error;
        }
        return;
    }
    int fd = (int)strtol(copied->source + strlen("/proc/self/fd/"), NULL, 10);
    for (size_t i = 0; i < shipment->unit->file_count; i++) {
        struct sending *sending = &shipment->list[i];
        if (sending->fd == fd && !sending->is_there) {
            sending->is_sent = copied->size == sending->line.size && copied->has_crc32 &&
                               copied->crc32 == sending->line.crc32;
            sending->line.verified = copied->verified;
        }
    }
}

static bool has_all(const struct shipment *shipment)
{
    size_t there = 0;
    for (size_t i = 0; i < shipment->unit->file_count; i++) {
        there += shipment->list[i].is_there;
    }
    return there == shipment->unit->file_count;
}

static enum storage_code send_files(struct shipment *shipment, struct storage_error *err)
{
    struct delivery *delivery = shipment->delivery;
    struct storage *files = NULL;
    struct storage_url url;
    const struct storage_config config = {0};
    struct storage_summary summary;
    enum storage_code code = storage_url_parse(&url, "/", err);
    if (!code) {
        code = storage_open(&files, &url, &config, err);
    }
    if (code) {
        return code;
    }
    const struct storage_copy copy = {.source = files,
                                      .destination = delivery->remote.store,
                                      .next = next_item,
                                      .workers = SEND_WORKERS,
                                      .memory_max = SEND_MEMORY,
                                      .stop = delivery->stop,
                                      .on_object = on_sent,
                                      .context = shipment};
    code = storage_copy(&copy, &summary, err);
    storage_close(files);
    if (code && shipment->failure.code) {
        *err = shipment->failure;
    }
    for (size_t i = 0; !code && i < shipment->unit->file_count; i++) {
        const struct sending *sending = &shipment->list[i];
        if (sending->is_there) {
            continue;
        }
        bool is_whole = sending->is_sent && is_same_file(sending->fd, sending->file) &&
                        file_writers(sending->fd) != WRITERS_SOME;
        if (!is_whole) {
            code = fail(err, STORAGE_CHANGED, sending->line.name,
                        "it was written to while it was sent");
        }
    }
    return code;
}

/* ---- pointer --------------------------------------------------------------------------------- */

/* A conflict tells of another job; a store that refuses a name, or is busy with it, is asked again.
 */
static enum storage_code not_fenced(enum storage_code code)
{
    return code == STORAGE_CONFLICT ? STORAGE_TRANSFER : code;
}

static enum storage_code check_lock(const struct delivery *delivery, const struct unit *unit,
                                    struct storage_error *err)
{
    return delivery->lost && atomic_load(delivery->lost)
               ? fail(err, STORAGE_CONFLICT, unit->name, "another job has taken this train_url")
               : STORAGE_OK;
}

/* Whether what the pointer names is further than the unit, where both names tell. */
static bool is_older(const struct delivery *delivery, const struct unit *unit)
{
    if (!delivery->pointer.run[0]) {
        return false;
    }
    if (unit->cumulative_step || delivery->pointer.cumulative_step) {
        return unit->cumulative_step < delivery->pointer.cumulative_step;
    }
    return unit->has_step && delivery->pointed_has_step &&
           (unit->epoch < delivery->pointed_epoch ||
            (unit->epoch == delivery->pointed_epoch && unit->step < delivery->pointed_step));
}

static enum storage_code point(struct delivery *delivery, const struct unit *unit,
                               const char *manifest, struct storage_error *err)
{
    struct pointer pointer = {.attempt = delivery->attempt,
                              .cumulative_step = unit->cumulative_step};
    snprintf(pointer.run, sizeof pointer.run, "%s", delivery->run);
    snprintf(pointer.manifest, sizeof pointer.manifest, "%s", manifest);
    enum storage_code code = remote_move_latest(&delivery->remote, &pointer, &delivery->began, err);
    if (!code) {
        delivery->pointer = pointer;
        delivery->pointed_epoch = unit->epoch;
        delivery->pointed_step = unit->step;
        delivery->pointed_has_step = unit->has_step;
    }
    return code;
}

/* ---- names written again --------------------------------------------------------------------- */

static bool has_name(const struct manifest *manifest, const char *name)
{
    for (size_t i = 0; i < manifest->file_count; i++) {
        if (strcmp(manifest->files[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool names_key(const struct manifest *manifest, const char *key)
{
    for (size_t i = 0; i < manifest->file_count; i++) {
        if (strcmp(manifest->files[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the unit has each file that the old manifest names. */
static bool replaces(const struct manifest *now, const struct manifest *old)
{
    for (size_t i = 0; i < old->file_count; i++) {
        if (!has_name(now, old->files[i].name)) {
            return false;
        }
    }
    return true;
}

/* Withdraws the manifests that name a key; false: one of them must stay. */
static bool withdraw(struct delivery *delivery, const struct manifest *now, const char *key,
                     const char *best)
{
    struct storage_error err;
    char path[STORAGE_PATH_MAX];
    for (size_t i = 0; i < delivery->ledger.count; i++) {
        const struct ledger_record *record = &delivery->ledger.records[i];
        if (names_key(&record->manifest, key) &&
            (!replaces(now, &record->manifest) || strcmp(record->name, best) == 0)) {
            return false;
        }
    }
    for (size_t i = delivery->ledger.count; i > 0; i--) {
        const struct ledger_record *record = &delivery->ledger.records[i - 1];
        if (!names_key(&record->manifest, key)) {
            continue;
        }
        remote_key(&delivery->remote, path, record->name);
        if (storage_remove(delivery->remote.store, path, &err)) {
            return false;
        }
        ledger_remove(&delivery->ledger, i - 1);
    }
    return true;
}

static enum storage_code copy_within(const struct delivery *delivery, const char *from,
                                     const char *to, struct storage_error *err)
{
    char source[STORAGE_PATH_MAX];
    char destination[STORAGE_PATH_MAX];
    struct storage_summary summary;
    remote_key(&delivery->remote, source, from);
    remote_key(&delivery->remote, destination, to);
    const struct storage_copy copy = {.source = delivery->remote.store,
                                      .source_key = source,
                                      .destination = delivery->remote.store,
                                      .destination_key = destination,
                                      .memory_max = SEND_MEMORY,
                                      .stop = delivery->stop};
    return storage_copy(&copy, &summary, err);
}

/* Brings `ckpt/<file>` up to date for people. Nothing depends on it: a failure is told, no more. */
static void refresh(struct delivery *delivery, const struct manifest *now)
{
    struct storage_error err = {0};
    struct pointer best;
    char key[REMOTE_KEY_MAX];
    bool knows_best = false;
    for (size_t i = 0; i < now->file_count && now->file_count <= REFRESH_FILES_MAX; i++) {
        const struct manifest_file *file = &now->files[i];
        snprintf(key, sizeof key, "ckpt/%s", file->name);
        if (strcmp(file->key, key) == 0) {
            continue;
        }
        if (!knows_best &&
            (know_all(delivery, &err) ||
             remote_pointer(&delivery->remote, ".jobferry/best.json", &best, &err))) {
            log_warn(delivery->log, "ckpt/ in the store is not refreshed: %s", err.message);
            return;
        }
        knows_best = true;
        if (withdraw(delivery, now, key, best.manifest) &&
            copy_within(delivery, file->key, key, &err)) {
            log_warn(delivery->log, "%s in the store is not refreshed: %s", key, err.message);
        }
    }
}

/* A rule that nothing can be ranked by keeps everything: said once, when metrics had their time. */
static void tell_unranked(struct delivery *delivery, bool at_end)
{
    const char *metric = retention_unranked(&delivery->retention, &delivery->ledger, delivery->run);
    size_t ours = 0;
    for (size_t i = 0; i < delivery->ledger.count; i++) {
        ours += strcmp(delivery->ledger.records[i].manifest.run, delivery->run) == 0;
    }
    if (metric && !delivery->has_told_unranked && (at_end || ours > UNRANKED_MAX)) {
        delivery->has_told_unranked = true;
        log_warn(
            delivery->log,
            "--keep_remote: best:%s cannot rank this run's checkpoints, no metric of theirs is "
            "known, so it keeps them all%s",
            metric,
            delivery->metrics_path ? "; COMMAND tells them in output/metrics.jsonl, a line "
                                     "{\"checkpoint\": NAME, \"acc\": X} each"
                                   : "");
    }
}

/* Deletes what --keep_remote does not keep. A failure is told, and tried again with the next. */
static void retain(struct delivery *delivery, bool at_end)
{
    struct storage_error err = {0};
    struct pointer best = {0};
    if (delivery->retention.count == 0) {
        return;
    }
    enum storage_code code = know_all(delivery, &err);
    if (!code && delivery->metrics_path) {
        code = unit_metrics_complete(delivery->metrics_path, &delivery->remote, delivery->run,
                                     &delivery->ledger, &err);
    }
    tell_unranked(delivery, at_end);
    code = code ? code : remote_pointer(&delivery->remote, ".jobferry/best.json", &best, &err);
    const struct retention_job job = {.remote = &delivery->remote,
                                      .ledger = &delivery->ledger,
                                      .run = delivery->run,
                                      .pointed = {delivery->pointer.manifest, best.manifest}};
    code = code ? code : retention_apply(&delivery->retention, &job, &err);
    if (code) {
        log_warn(delivery->log, "--keep_remote: %s",
                 err.message[0] ? err.message : storage_code_text(code));
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum storage_code make_manifest(const struct shipment *shipment, struct manifest *manifest)
{
    const struct unit *unit = shipment->unit;
    *manifest = (struct manifest){
        .attempt = shipment->delivery->attempt,
        .seq = unit->seq,
        .epoch = unit->epoch,
        .step = unit->has_step || unit->cumulative_step ? unit->step : unit->seq,
        .cumulative_step = unit->cumulative_step,
        .loss = unit->loss,
        .accuracy = unit->accuracy,
    };
    snprintf(manifest->run, sizeof manifest->run, "%s", shipment->delivery->run);
    for (size_t i = 0; i < unit->file_count; i++) {
        if (!manifest_add_file(manifest, &shipment->list[i].line)) {
            return STORAGE_BUG;
        }
    }
    if (shipment->delivery->metrics_path) {
        struct unit_metrics *metrics = unit_metrics_read(shipment->delivery->metrics_path);
        unit_metrics_fill(metrics, manifest);
        unit_metrics_free(metrics);
    }
    return STORAGE_OK;
}

/* The manifest that names just these files with these bytes already; NULL: there is none. */
static const char *find_same(const struct delivery *delivery, const struct shipment *shipment)
{
    for (size_t i = delivery->ledger.count; i > 0; i--) {
        const struct ledger_record *record = &delivery->ledger.records[i - 1];
        bool same = strcmp(record->manifest.run, delivery->run) == 0 &&
                    record->manifest.file_count == shipment->unit->file_count;
        for (size_t j = 0; same && j < shipment->unit->file_count; j++) {
            same =
                shipment->list[j].is_there && names_key(&record->manifest, shipment->list[j].key);
        }
        if (same) {
            return record->name;
        }
    }
    return NULL;
}

static void sum_up(const struct shipment *shipment, struct delivered *result)
{
    *result = (struct delivered){.crc32 = shipment->list[0].line.crc32};
    for (size_t i = 0; i < shipment->unit->file_count; i++) {
        const struct manifest_file *line = &shipment->list[i].line;
        result->size += line->size;
        result->verified = line->verified > result->verified ? line->verified : result->verified;
    }
}

static enum storage_code publish(struct shipment *shipment, struct delivered *result,
                                 struct storage_error *err)
{
    struct delivery *delivery = shipment->delivery;
    const struct unit *unit = shipment->unit;
    struct manifest manifest = {0};
    char name[REMOTE_KEY_MAX];
    const char *same = find_same(delivery, shipment);
    enum storage_code code = check_lock(delivery, unit, err);
    if (!code) {
        code = make_manifest(shipment, &manifest);
    }
    if (!code && same) {
        snprintf(name, sizeof name, "%s", same);
    } else if (!code) {
        code = not_fenced(remote_put_manifest(&delivery->remote, &manifest, name, err));
        if (!code && !ledger_add(&delivery->ledger, name, &manifest)) {
            code = STORAGE_BUG;
        }
    }
    if (!code) {
        code = check_lock(delivery, unit, err);
    }
    if (!code && !is_older(delivery, unit)) {
        code = point(delivery, unit, name, err);
        result->is_pointed = code == STORAGE_OK;
        if (!code) {
            refresh(delivery, &manifest);
        }
    }
    if (!code) {
        retain(delivery, false);
    }
    manifest_release(&manifest);
    return code;
}

enum storage_code deliver(struct delivery *delivery, struct unit *unit, struct delivered *result,
                          struct storage_error *err)
{
    struct shipment *shipment = calloc(1, sizeof *shipment);
    struct sending *list = calloc(unit->file_count, sizeof *list);
    enum storage_code code = shipment && list ? check_lock(delivery, unit, err)
                                              : fail(err, STORAGE_BUG, unit->name, "no memory");
    size_t prepared = 0;
    for (; !code && prepared < unit->file_count; prepared++) {
        list[prepared].file = &unit->files[prepared];
        list[prepared].fd = -1;
        code = not_fenced(prepare_file(delivery, unit, &list[prepared], err));
    }
    if (!code) {
        *shipment = (struct shipment){.delivery = delivery, .unit = unit, .list = list};
        code = has_all(shipment) ? STORAGE_OK : not_fenced(send_files(shipment, err));
    }
    if (!code) {
        sum_up(shipment, result);
        code = publish(shipment, result, err);
    }
    for (size_t i = 0; i < prepared; i++) {
        if (list[i].fd >= 0 && list[i].fd != list[i].file->fd) {
            close(list[i].fd);
        }
    }
    free(list);
    free(shipment);
    return code;
}

void delivery_conclude(struct delivery *delivery)
{
    struct storage_error err = {0};
    if (delivery->retention.count > 0) {
        retain(delivery, true);
    } else if (delivery->metrics_path &&
               unit_metrics_complete(delivery->metrics_path, &delivery->remote, delivery->run,
                                     &delivery->ledger, &err)) {
        log_warn(delivery->log, "metrics that came late are not in their manifests: %s",
                 err.message);
    }
}
