/*
 * option_table.c - every option: name, kind, who takes it, default, bounds, help. Nothing else in
 * the project names an option's default.
 */
#include "runner/options.h"

#include <float.h>

#include "runner/runner_banned.h"

#define AT(member) offsetof(struct settings, member)

enum {
    FOR_JOB = FOR_RUN | FOR_TRAIN,
    FOR_MODEL = FOR_RUN | FOR_TRAIN | FOR_EVAL | FOR_INFER,
    FOR_STORE = FOR_RUN | FOR_CP | FOR_LS | FOR_STAT | FOR_CAT | FOR_PUT | FOR_RM | FOR_MB |
                FOR_DU | FOR_SYNC | FOR_MV | FOR_PRESIGN | FOR_CLEANUP,
    FOR_BOTH_SIDES = FOR_RUN | FOR_CP | FOR_MV | FOR_SYNC,
    FOR_MAKING = FOR_CP | FOR_MV | FOR_SYNC | FOR_PUT,
    FOR_KEEPING = FOR_MAKING | FOR_RUN, /* of what lies in a store for good */
    FOR_KEYED = FOR_KEEPING | FOR_CAT | FOR_STAT,
    FOR_ONE = FOR_CP | FOR_CAT | FOR_STAT | FOR_RM | FOR_PRESIGN,
    FOR_ALL = FOR_MODEL | FOR_STORE | FOR_CKPT | FOR_DIGITS | FOR_COMPLETION | FOR_CHECK
};

/* An option whose value is a text. */
#define TEXT_OPTION(called, member, set, means, text)                               \
    {                                                                               \
        .name = called, .kind = OPTION_TEXT, .offset = AT(member), .commands = set, \
        .value = means, .help = text                                                \
    }

/* An option whose value is a number of something. */
#define COUNT_OPTION(called, member, set, means, unless, least, most, text)                 \
    {                                                                                       \
        .name = called, .kind = OPTION_COUNT, .offset = AT(member), .commands = set,        \
        .value = means, .fallback = unless, .minimum = least, .maximum = most, .help = text \
    }

/* An option whose value is a number of bytes. */
#define SIZE_OPTION(called, member, set, least, text)                               \
    {                                                                               \
        .name = called, .kind = OPTION_SIZE, .offset = AT(member), .commands = set, \
        .value = "SIZE", .minimum = least, .maximum = 1e15, .help = text            \
    }

/* The ten access options of one side; who is the help's word for it. */
#define ACCESS_OPTIONS(prefix, side, who, set)                                     \
    {.name = prefix "ak",                                                          \
     .kind = OPTION_TEXT,                                                          \
     .offset = AT(side.ak),                                                        \
     .commands = set,                                                              \
     .value = "KEY",                                                               \
     .secret = true,                                                               \
     .help = "access key id of " who},                                             \
        {.name = prefix "sk",                                                      \
         .kind = OPTION_TEXT,                                                      \
         .offset = AT(side.sk),                                                    \
         .commands = set,                                                          \
         .value = "KEY",                                                           \
         .secret = true,                                                           \
         .help = "secret access key of " who},                                     \
        {.name = prefix "token",                                                   \
         .kind = OPTION_TEXT,                                                      \
         .offset = AT(side.token),                                                 \
         .commands = set,                                                          \
         .value = "TOKEN",                                                         \
         .secret = true,                                                           \
         .help = "session token of " who},                                         \
        {.name = prefix "server",                                                  \
         .kind = OPTION_TEXT,                                                      \
         .offset = AT(side.server),                                                \
         .commands = set,                                                          \
         .value = "URL",                                                           \
         .help = "endpoint of " who ", as http://host:9000"},                      \
        {.name = prefix "endpoint",                                                \
         .kind = OPTION_TEXT,                                                      \
         .offset = AT(side.server),                                                \
         .commands = set,                                                          \
         .value = "URL",                                                           \
         .help = "another name of --" prefix "server"},                            \
        {.name = prefix "region",                                                  \
         .kind = OPTION_TEXT,                                                      \
         .offset = AT(side.region),                                                \
         .commands = set,                                                          \
         .value = "NAME",                                                          \
         .help = "region of " who},                                                \
        {.name = prefix "profile",                                                 \
         .kind = OPTION_TEXT,                                                      \
         .offset = AT(side.profile),                                               \
         .commands = set,                                                          \
         .value = "NAME",                                                          \
         .help = "profile of ~/.aws/credentials for " who},                        \
        {.name = prefix "sign",                                                    \
         .kind = OPTION_CHOICE,                                                    \
         .offset = AT(side.sign),                                                  \
         .commands = set,                                                          \
         .value = "HOW",                                                           \
         .choices = "auto|v4|obs|v2|none",                                         \
         .help = "signature for " who ": auto, v4, obs, v2, none (anonymous)"},    \
        {.name = prefix "addressing",                                              \
         .kind = OPTION_CHOICE,                                                    \
         .offset = AT(side.addressing),                                            \
         .commands = set,                                                          \
         .value = "HOW",                                                           \
         .choices = "auto|virtual|path",                                           \
         .help = "bucket in the host name or in the path, for " who},              \
        {.name = prefix "verify_ssl",                                              \
         .kind = OPTION_CHOICE,                                                    \
         .offset = AT(side.verify_ssl),                                            \
         .commands = set,                                                          \
         .value = "0|1",                                                           \
         .choices = "0|1",                                                         \
         .help = "verify the certificate of " who ": 1 unless told otherwise"},    \
    {                                                                              \
        .name = prefix "ca_file", .kind = OPTION_TEXT, .offset = AT(side.ca_file), \
        .commands = set, .value = "FILE",                                          \
        .help = "certificates to trust for " who " instead of the system's"        \
    }

const struct option options_table[] = {
    {.name = "data_url",
     .kind = OPTION_TEXT,
     .offset = AT(data_url),
     .commands = FOR_MODEL,
     .value = "URL",
     .help = "where the dataset comes from (s3://, obs://, a folder)"},
    {.name = "train_url",
     .kind = OPTION_TEXT,
     .offset = AT(train_url),
     .commands = FOR_RUN,
     .value = "URL",
     .help = "where checkpoints and the report go"},
    {.name = "work_dir",
     .kind = OPTION_TEXT,
     .offset = AT(work_dir),
     .commands = FOR_MODEL,
     .value = "DIR",
     .fallback = ".",
     .help = "the local side's folder"},
    {.name = "data_dir",
     .kind = OPTION_TEXT,
     .offset = AT(data_dir),
     .commands = FOR_MODEL,
     .value = "DIR",
     .help = "where the dataset lands: data under --work_dir"},
    {.name = "ckpt_dir",
     .kind = OPTION_TEXT,
     .offset = AT(ckpt_dir),
     .commands = FOR_MODEL,
     .value = "DIR",
     .help = "checkpoint folder: ckpt under --work_dir"},
    {.name = "output_dir",
     .kind = OPTION_TEXT,
     .offset = AT(output_dir),
     .commands = FOR_RUN | FOR_INFER,
     .value = "DIR",
     .help = "other results: output under --work_dir"},
    {.name = "epochs",
     .kind = OPTION_COUNT,
     .offset = AT(epochs),
     .commands = FOR_JOB,
     .value = "N",
     .fallback = "2",
     .minimum = 1,
     .maximum = 1e6,
     .help = "the run's total; the number added when a finished run is extended"},
    {.name = "batch_size",
     .kind = OPTION_COUNT,
     .offset = AT(batch_size),
     .commands = FOR_MODEL,
     .value = "N",
     .fallback = "32",
     .minimum = 1,
     .maximum = 65536,
     .help = "images a step"},
    {.name = "lr",
     .kind = OPTION_REAL,
     .offset = AT(lr),
     .commands = FOR_JOB,
     .value = "X",
     .fallback = "0.01",
     .minimum = 0,
     .maximum = FLT_MAX,
     .help = "learning rate; on resume the checkpoint's, unless given"},
    {.name = "momentum",
     .kind = OPTION_REAL,
     .offset = AT(momentum),
     .commands = FOR_JOB,
     .value = "X",
     .fallback = "0.9",
     .minimum = 0,
     .maximum = FLT_MAX,
     .help = "momentum of the optimizer"},
    {.name = "weight_decay",
     .kind = OPTION_REAL,
     .offset = AT(weight_decay),
     .commands = FOR_JOB,
     .value = "X",
     .fallback = "0",
     .minimum = 0,
     .maximum = FLT_MAX,
     .help = "L2 penalty, biases too, as nn.Momentum"},
    {.name = "loss_scale",
     .kind = OPTION_REAL,
     .offset = AT(loss_scale),
     .commands = FOR_JOB,
     .value = "X",
     .fallback = "1",
     .minimum = FLT_MIN,
     .maximum = FLT_MAX,
     .help = "gradients are divided by it, as nn.Momentum"},
    {.name = "use_nesterov",
     .kind = OPTION_SWITCH,
     .offset = AT(use_nesterov),
     .commands = FOR_JOB,
     .help = "Nesterov's momentum"},
    {.name = "seed",
     .kind = OPTION_COUNT,
     .offset = AT(seed),
     .commands = FOR_JOB | FOR_DIGITS,
     .value = "N",
     .fallback = "1",
     .minimum = 0,
     .maximum = 4294967295.0,
     .help = "decides initial weights and every shuffle"},
    {.name = "threads",
     .kind = OPTION_COUNT,
     .offset = AT(threads),
     .commands = FOR_MODEL,
     .value = "N",
     .fallback = "0",
     .minimum = 0,
     .maximum = 1024,
     .help = "0: the cores this process may use"},
    {.name = "kernels",
     .kind = OPTION_TEXT,
     .offset = AT(kernels),
     .commands = FOR_MODEL,
     .value = "NAME",
     .fallback = "auto",
     .help = "auto (this machine's best), avx512, avx2, neon, baseline or reference (OpenBLAS)"},
    {.name = "device_target",
     .kind = OPTION_TEXT,
     .offset = AT(device_target),
     .commands = FOR_MODEL,
     .value = "CPU",
     .fallback = "CPU",
     .help = "CPU only"},
    {.name = "ckpt_name",
     .kind = OPTION_TEXT,
     .offset = AT(ckpt_name),
     .commands = FOR_MODEL,
     .value = "PREFIX",
     .fallback = "lenet",
     .help = "prefix of checkpoint files"},
    {.name = "drop_remainder",
     .kind = OPTION_SWITCH,
     .offset = AT(drop_remainder),
     .commands = FOR_EVAL,
     .help = "leave out the last incomplete batch, as the lab does"},
    {.name = "save_checkpoint_steps",
     .kind = OPTION_INTEGER,
     .offset = AT(save_checkpoint_steps),
     .commands = FOR_JOB,
     .value = "N",
     .fallback = "-1",
     .minimum = -1,
     .maximum = 1e15,
     .help = "save every N steps; default once an epoch, 0 never"},
    {.name = "save_checkpoint_seconds",
     .kind = OPTION_INTEGER,
     .offset = AT(save_checkpoint_seconds),
     .commands = FOR_JOB,
     .value = "N",
     .fallback = "0",
     .minimum = 0,
     .maximum = 1e9,
     .help = "save every N seconds, when --save_checkpoint_steps is 0"},
    {.name = "keep_checkpoint_max",
     .kind = OPTION_INTEGER,
     .offset = AT(keep_checkpoint_max),
     .commands = FOR_JOB,
     .value = "N",
     .fallback = "5",
     .minimum = 0,
     .maximum = 1e9,
     .help = "local files kept; the store keeps all"},
    {.name = "keep_checkpoint_per_n_minutes",
     .kind = OPTION_INTEGER,
     .offset = AT(keep_checkpoint_per_n_minutes),
     .commands = FOR_JOB,
     .value = "N",
     .fallback = "0",
     .minimum = 0,
     .maximum = 1e9,
     .help = "keep one local file per N minutes, when --keep_checkpoint_max is 0"},
    {.name = "per_print_times",
     .kind = OPTION_INTEGER,
     .offset = AT(per_print_times),
     .commands = FOR_JOB,
     .value = "N",
     .fallback = "-1",
     .minimum = -1,
     .maximum = 1e15,
     .help = "print the loss every N steps; default once an epoch, 0 never"},
    {.name = "resume",
     .kind = OPTION_TEXT,
     .offset = AT(resume),
     .commands = FOR_JOB,
     .value = "HOW",
     .fallback = "auto",
     .help = "auto, always, never, or the URL or path of a checkpoint"},
    {.name = "init_from",
     .kind = OPTION_TEXT,
     .offset = AT(init_from),
     .commands = FOR_JOB,
     .value = "FILE",
     .help = "begin with this checkpoint's weights, optimizer fresh"},
    {.name = "allow_change",
     .kind = OPTION_SWITCH,
     .offset = AT(allow_change),
     .commands = FOR_JOB,
     .help = "resume although batch size, seed, data or kernels differ"},
    {.name = "checkpoint",
     .kind = OPTION_TEXT,
     .offset = AT(checkpoint),
     .commands = FOR_EVAL | FOR_INFER,
     .value = "FILE",
     .help = "what to load: the newest that verifies in --ckpt_dir"},
    {.name = "metrics",
     .kind = OPTION_TEXT,
     .offset = AT(metrics),
     .commands = FOR_JOB | FOR_EVAL,
     .value = "LIST",
     .fallback = "loss,acc",
     .help = "of loss, acc (accuracy)"},
    {.name = "binarize",
     .kind = OPTION_SWITCH,
     .offset = AT(binarize),
     .commands = FOR_MODEL,
     .help = "pixels 0 or 255, as MindSpore 1.0"},
    {.name = "count",
     .kind = OPTION_COUNT,
     .offset = AT(count),
     .commands = FOR_INFER,
     .value = "N",
     .fallback = "4",
     .minimum = 1,
     .maximum = 400,
     .help = "images to predict and draw"},
    {.name = "output",
     .kind = OPTION_TEXT,
     .offset = AT(output),
     .commands = FOR_INFER,
     .value = "FILE",
     .help = "the picture: predictions.png in --output_dir"},
    {.name = "make_bucket",
     .kind = OPTION_SWITCH,
     .offset = AT(make_bucket),
     .commands = FOR_RUN,
     .help = "make train_url's bucket when it is missing"},
    {.name = "drain_timeout",
     .kind = OPTION_COUNT,
     .offset = AT(drain_timeout),
     .commands = FOR_RUN,
     .value = "SECONDS",
     .fallback = "3600",
     .minimum = 0,
     .maximum = 1e7,
     .help = "how long checkpoints may still be uploaded after the training"},
    {.name = "train",
     .kind = OPTION_COUNT,
     .offset = AT(digits_train),
     .commands = FOR_DIGITS,
     .value = "N",
     .fallback = "60000",
     .minimum = 1,
     .maximum = 1e6,
     .help = "training images"},
    {.name = "test",
     .kind = OPTION_COUNT,
     .offset = AT(digits_test),
     .commands = FOR_DIGITS,
     .value = "N",
     .fallback = "10000",
     .minimum = 1,
     .maximum = 1e6,
     .help = "test images"},
    {.name = "recursive",
     .letter = 'r',
     .kind = OPTION_SWITCH,
     .offset = AT(recursive),
     .commands = FOR_CP | FOR_MV | FOR_LS | FOR_RM,
     .help = "everything below a prefix or folder"},
    {.name = "include",
     .kind = OPTION_LIST,
     .offset = AT(include),
     .commands = FOR_CP | FOR_MV | FOR_SYNC,
     .value = "GLOB",
     .help = "only names that match this or another --include; may be repeated"},
    {.name = "exclude",
     .kind = OPTION_LIST,
     .offset = AT(exclude),
     .commands = FOR_CP | FOR_MV | FOR_SYNC,
     .value = "GLOB",
     .help = "no names that match, also when --include matches; may be repeated"},
    {.name = "symlinks",
     .kind = OPTION_CHOICE,
     .offset = AT(symlinks),
     .commands = FOR_CP | FOR_MV | FOR_SYNC,
     .value = "HOW",
     .fallback = "follow",
     .choices = "follow|skip|error",
     .help = "symbolic links below a local source"},
    {.name = "delete",
     .kind = OPTION_SWITCH,
     .offset = AT(delete_extra),
     .commands = FOR_SYNC,
     .help = "at the end, if nothing failed, delete what the source lacks"},
    {.name = "max_delete",
     .kind = OPTION_INTEGER,
     .offset = AT(max_delete),
     .commands = FOR_SYNC,
     .value = "N",
     .fallback = "-1",
     .minimum = -1,
     .maximum = 1e15,
     .help = "delete nothing when more than N would go; default 1000 or half, the lesser"},
    {.name = "dry_run",
     .kind = OPTION_SWITCH,
     .offset = AT(dry_run),
     .commands = FOR_SYNC,
     .help = "only print what would be done"},
    {.name = "exact_mtime",
     .kind = OPTION_SWITCH,
     .offset = AT(exact_mtime),
     .commands = FOR_SYNC,
     .help = "unchanged is what has the same size and time; a request for each object"},
    {.name = "size_only",
     .kind = OPTION_SWITCH,
     .offset = AT(size_only),
     .commands = FOR_SYNC,
     .help = "unchanged is what has the same size"},
    {.name = "checksum",
     .kind = OPTION_SWITCH,
     .offset = AT(checksum),
     .commands = FOR_SYNC,
     .help = "unchanged is what has the same sum; reads every file"},
    {.name = "yes",
     .kind = OPTION_SWITCH,
     .offset = AT(yes),
     .commands = FOR_RM | FOR_CLEANUP,
     .help = "rm: really remove a whole bucket's objects; cleanup: as --abort"},
    {.name = "older_than",
     .kind = OPTION_TEXT,
     .offset = AT(older_than),
     .commands = FOR_CLEANUP,
     .value = "AGE",
     .fallback = "1d",
     .help = "leave alone what is younger: a number of days, or as 7d, 12h, 30m, 45s"},
    {.name = "abort",
     .kind = OPTION_SWITCH,
     .offset = AT(abort_leftovers),
     .commands = FOR_CLEANUP,
     .help = "remove what is listed"},
    {.name = "manifest",
     .kind = OPTION_TEXT,
     .offset = AT(manifest),
     .commands = FOR_CP,
     .value = "FILE",
     .help = "write names, sizes and CRC-32 of what was copied there, one JSON object a line"},
    {.name = "verify",
     .kind = OPTION_TEXT,
     .offset = AT(verify),
     .commands = FOR_STAT,
     .value = "MANIFEST",
     .help = "hold what lies below the URL against a manifest of cp; differences are exit 76"},
    {.name = "human",
     .kind = OPTION_SWITCH,
     .offset = AT(human),
     .commands = FOR_LS | FOR_DU,
     .help = "sizes as 1.5 GiB"},
    {.name = "summarize",
     .kind = OPTION_SWITCH,
     .offset = AT(summarize),
     .commands = FOR_LS,
     .help = "a last line with the number of objects and their bytes"},
    {.name = "depth",
     .letter = 'd',
     .kind = OPTION_COUNT,
     .offset = AT(depth),
     .commands = FOR_DU,
     .value = "N",
     .fallback = "0",
     .minimum = 0,
     .maximum = 16,
     .help = "also a line for each prefix down to N levels"},
    {.name = "raw",
     .kind = OPTION_SWITCH,
     .offset = AT(raw),
     .commands = FOR_CP | FOR_MV | FOR_RM,
     .help = "the name is meant as it is: * ? [ are no wildcards"},
    TEXT_OPTION("from_file", from_file, FOR_CP | FOR_MV, "FILE",
                "a copy for each line \"SOURCE DESTINATION\" of FILE ('-' is stdin)"),
    TEXT_OPTION("file_list", file_list, FOR_CP | FOR_MV, "FILE",
                "only the files below SOURCE that FILE names, one a line ('-' is stdin)"),
    TEXT_OPTION("content_type", objects.content_type, FOR_MAKING, "TYPE",
                "of new objects; default by the name's extension"),
    TEXT_OPTION("cache_control", objects.cache_control, FOR_MAKING, "TEXT",
                "Cache-Control of new objects"),
    TEXT_OPTION("metadata", objects.metadata, FOR_MAKING, "NAME=VALUE,…",
                "of new objects; a comma in a value is written '\\,'"),
    TEXT_OPTION("storage_class", objects.storage_class, FOR_KEEPING, "CLASS",
                "of new objects, as STANDARD_IA or WARM"),
    TEXT_OPTION("acl", objects.acl, FOR_KEEPING, "NAME",
                "canned access rules of new objects, as public-read"),
    TEXT_OPTION("sse", objects.sse, FOR_KEEPING, "AES256|aws:kms",
                "how the store encrypts new objects"),
    TEXT_OPTION("sse_kms_key_id", objects.sse_kms_key_id, FOR_KEEPING, "ID",
                "the key of --sse=aws:kms; default the store's own"),
    TEXT_OPTION("sse_c_key_file", objects.sse_c_key_file, FOR_KEYED, "FILE",
                "your own key of 32 bytes (or its hex or base64) that encrypts objects"),
    TEXT_OPTION("data_sse_c_key_file", objects.data_sse_c_key_file, FOR_BOTH_SIDES, "FILE",
                "the same for the source"),
    TEXT_OPTION("train_sse_c_key_file", objects.train_sse_c_key_file, FOR_BOTH_SIDES, "FILE",
                "the same for the destination"),
    {.name = "request_payer",
     .kind = OPTION_SWITCH,
     .offset = AT(objects.request_payer),
     .commands = FOR_STORE,
     .help = "you pay for the requests, not the bucket's owner"},
    TEXT_OPTION("version_id", objects.version_id, FOR_ONE, "ID",
                "this version of the one object that is meant"),
    COUNT_OPTION("expires_in", expires_in, FOR_PRESIGN, "SECONDS", "3600", 1, 1e9,
                 "how long the URL works; with SigV4 a week at most"),
    COUNT_OPTION("expires_at", expires_at, FOR_PRESIGN, "TIME", "0", 0, 1e11,
                 "until when instead, in seconds since 1970"),
    {.name = "method",
     .kind = OPTION_CHOICE,
     .offset = AT(method),
     .commands = FOR_PRESIGN,
     .value = "METHOD",
     .fallback = "GET",
     .choices = "GET|PUT|HEAD|DELETE",
     .help = "what the URL permits"},
    ACCESS_OPTIONS("", both, "both sides", FOR_STORE),
    ACCESS_OPTIONS("data_", data, "the source", FOR_BOTH_SIDES),
    ACCESS_OPTIONS("train_", train, "the destination", FOR_BOTH_SIDES),
    {.name = "unsigned_payload",
     .kind = OPTION_SWITCH,
     .offset = AT(unsigned_payload),
     .commands = FOR_STORE,
     .help = "plain http: do not sign the bodies' SHA-256"},
    COUNT_OPTION("connections", connections, FOR_KEEPING, "N", "16", 1, 1024,
                 "requests at once, and objects or parts under way"),
    SIZE_OPTION("part_size", part_size, FOR_KEEPING, 5242880,
                "of the parts of large objects; 8MiB, put 32MiB"),
    SIZE_OPTION("max_memory", max_memory, FOR_KEEPING, 5242880,
                "ceiling of all part buffers; 256MiB, run 64MiB"),
    SIZE_OPTION("bandwidth_limit", bandwidth_limit, FOR_KEEPING, 1,
                "bytes a second with each store, both ways together"),
    COUNT_OPTION("deadline", deadline, FOR_MAKING, "SECONDS", "0", 0, 1e9,
                 "ends the command after so long, exit 74; 0 is never"),
    COUNT_OPTION("stall_timeout", stall_timeout, FOR_STORE, "SECONDS", "30", 1, 86400,
                 "a request that moves less than 256 bytes/s for so long is tried again"),
    {.name = "json",
     .kind = OPTION_SWITCH,
     .offset = AT(json),
     .commands = FOR_ALL & ~(unsigned)(FOR_RUN | FOR_CAT | FOR_COMPLETION), /* check has it */
     .help = "results as JSON, one object a line"},
    {.name = "verbose",
     .kind = OPTION_SWITCH,
     .offset = AT(verbose),
     .commands = FOR_ALL,
     .help = "show each request, without secrets"},
    {.name = "log_format",
     .kind = OPTION_CHOICE,
     .offset = AT(log_format),
     .commands = FOR_ALL,
     .value = "text|json",
     .fallback = "text",
     .choices = "text|json",
     .help = "the log on stderr"},
    {.name = "help",
     .letter = 'h',
     .kind = OPTION_SWITCH,
     .offset = AT(help),
     .commands = FOR_ALL,
     .help = "this text"},
};

const size_t options_count = sizeof options_table / sizeof options_table[0];
