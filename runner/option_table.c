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
    FOR_ALL = FOR_MODEL | FOR_STORE | FOR_CKPT | FOR_DIFF | FOR_CONVERT | FOR_DIGITS |
              FOR_COMPLETION | FOR_CHECK
};

/* A switch: off unless it is given. */
#define SWITCH_OPTION(called, member, set, text)                                                   \
    {                                                                                              \
        .name = called, .kind = OPTION_SWITCH, .offset = AT(member), .commands = set, .help = text \
    }

/* An option whose value is a text: without a default, with one, one of several. */
#define TEXT_OPTION(called, member, set, means, text)                               \
    {                                                                               \
        .name = called, .kind = OPTION_TEXT, .offset = AT(member), .commands = set, \
        .value = means, .help = text                                                \
    }
#define DEFAULT_OPTION(called, member, set, means, unless, text)                    \
    {                                                                               \
        .name = called, .kind = OPTION_TEXT, .offset = AT(member), .commands = set, \
        .value = means, .fallback = unless, .help = text                            \
    }
#define CHOICE_OPTION(called, member, set, means, unless, among, text)                \
    {                                                                                 \
        .name = called, .kind = OPTION_CHOICE, .offset = AT(member), .commands = set, \
        .value = means, .fallback = unless, .choices = among, .help = text            \
    }

/* An option whose value is a number: of something, an integer, a real one. */
#define NUMBER_OPTION(called, type, member, set, means, unless, least, most, text)           \
    {                                                                                        \
        .name = called, .kind = type, .offset = AT(member), .commands = set, .value = means, \
        .fallback = unless, .minimum = least, .maximum = most, .help = text                  \
    }
#define COUNT_OPTION(called, member, ...) NUMBER_OPTION(called, OPTION_COUNT, member, __VA_ARGS__)
#define INTEGER_OPTION(called, member, ...) \
    NUMBER_OPTION(called, OPTION_INTEGER, member, __VA_ARGS__)
#define REAL_OPTION(called, member, ...) NUMBER_OPTION(called, OPTION_REAL, member, __VA_ARGS__)

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
    TEXT_OPTION("data_url", data_url, FOR_MODEL, "URL",
                "where the dataset comes from (s3://, obs://, a folder)"),
    TEXT_OPTION("train_url", train_url, FOR_RUN, "URL", "where checkpoints and the report go"),
    DEFAULT_OPTION("work_dir", work_dir, FOR_MODEL, "DIR", ".", "the local side's folder"),
    TEXT_OPTION("data_dir", data_dir, FOR_MODEL, "DIR",
                "where the dataset lands: data under --work_dir"),
    TEXT_OPTION("ckpt_dir", ckpt_dir, FOR_MODEL, "DIR", "checkpoint folder: ckpt under --work_dir"),
    TEXT_OPTION("output_dir", output_dir, FOR_JOB | FOR_INFER, "DIR",
                "other results: output under --work_dir"),
    COUNT_OPTION("epochs", epochs, FOR_JOB, "N", "2", 1, 1e6,
                 "the run's total; the number added when a finished run is extended"),
    COUNT_OPTION("batch_size", batch_size, FOR_MODEL, "N", "32", 1, 65536, "images a step"),
    REAL_OPTION("lr", lr, FOR_JOB, "X", "0.01", 0, FLT_MAX,
                "learning rate; sgd's default 0.1, adam's 0.001; on resume the checkpoint's"),
    REAL_OPTION("momentum", momentum, FOR_JOB, "X", "0.9", 0, FLT_MAX,
                "momentum of the optimizer; sgd's default 0; on resume the checkpoint's"),
    REAL_OPTION("weight_decay", weight_decay, FOR_JOB, "X", "0", 0, FLT_MAX,
                "L2 penalty, biases too, as nn.Momentum"),
    REAL_OPTION("loss_scale", loss_scale, FOR_JOB, "X", "1", FLT_MIN, FLT_MAX,
                "gradients are divided by it, as nn.Momentum"),
    SWITCH_OPTION("use_nesterov", use_nesterov, FOR_JOB, "Nesterov's momentum"),
    CHOICE_OPTION("optimizer", optimizer, FOR_JOB, "HOW", "momentum", "momentum|sgd|adam",
                  "nn.Momentum, nn.SGD or nn.Adam"),
    REAL_OPTION("dampening", dampening, FOR_JOB, "X", "0", 0, FLT_MAX,
                "of --optimizer=sgd's momentum"),
    REAL_OPTION("beta1", beta1, FOR_JOB, "X", "0.9", 0, 1, "decay of adam's first moments"),
    REAL_OPTION("beta2", beta2, FOR_JOB, "X", "0.999", 0, 1, "decay of adam's second moments"),
    REAL_OPTION("eps", eps, FOR_JOB, "X", "1e-8", FLT_MIN, FLT_MAX,
                "adam's term against division by 0"),
    CHOICE_OPTION("lr_schedule", lr_schedule, FOR_JOB, "HOW", "constant", "constant|step|cosine",
                  "how the learning rate goes on after --warmup_steps"),
    COUNT_OPTION("warmup_steps", warmup_steps, FOR_JOB, "N", "0", 0, 4194304,
                 "the learning rate rises from 0 to --lr over so many steps"),
    COUNT_OPTION(
        "decay_steps", decay_steps, FOR_JOB, "N", "0", 0, 1e15,
        "step: a stair's length, default an epoch; cosine: until --min_lr, default the rest"),
    REAL_OPTION("decay_rate", decay_rate, FOR_JOB, "X", "0.1", FLT_MIN, FLT_MAX,
                "step: what each stair multiplies the learning rate by"),
    REAL_OPTION("min_lr", min_lr, FOR_JOB, "X", "0", 0, FLT_MAX,
                "cosine: the learning rate at its end"),
    COUNT_OPTION("seed", seed, FOR_JOB | FOR_DIGITS, "N", "1", 0, 4294967295.0,
                 "decides initial weights and every shuffle"),
    COUNT_OPTION("threads", threads, FOR_MODEL, "N", "0", 0, 1024,
                 "0: the cores this process may use"),
    {.name = "init",
     .kind = OPTION_CHOICE,
     .offset = AT(init),
     .commands = FOR_JOB,
     .choices = "normal|he_uniform",
     .fallback = "normal",
     .help = "first weights: MindSpore 1's Normal(0.01), or MindSpore 2's uniform by fan-in"},
    DEFAULT_OPTION(
        "kernels", kernels, FOR_MODEL, "NAME", "auto",
        "auto (this machine's best), avx512, avx2, neon, baseline or reference (OpenBLAS)"),
    DEFAULT_OPTION("device_target", device_target, FOR_MODEL, "CPU", "CPU", "CPU only"),
    DEFAULT_OPTION("ckpt_name", ckpt_name, FOR_MODEL, "PREFIX", "lenet",
                   "prefix of checkpoint files"),
    SWITCH_OPTION("drop_remainder", drop_remainder, FOR_EVAL,
                  "leave out the last incomplete batch, as the lab does"),
    INTEGER_OPTION("save_checkpoint_steps", save_checkpoint_steps, FOR_JOB, "N", "-1", -1, 1e15,
                   "save every N steps; default once an epoch, 0 never"),
    INTEGER_OPTION("save_checkpoint_seconds", save_checkpoint_seconds, FOR_JOB, "N", "0", 0, 1e9,
                   "save every N seconds, when --save_checkpoint_steps is 0"),
    INTEGER_OPTION("keep_checkpoint_max", keep_checkpoint_max, FOR_JOB, "N", "5", 0, 1e9,
                   "local files kept; the store keeps all"),
    INTEGER_OPTION("keep_checkpoint_per_n_minutes", keep_checkpoint_per_n_minutes, FOR_JOB, "N",
                   "0", 0, 1e9,
                   "keep one local file per N minutes, when --keep_checkpoint_max is 0"),
    CHOICE_OPTION("integrated_save", integrated_save, FOR_JOB, "0|1", "1", "0|1",
                  "of many devices' parts one file: with one device there is nothing to do"),
    SWITCH_OPTION("async_save", async_save, FOR_JOB,
                  "save from a copy, on a thread of its own, while training goes on"),
    SWITCH_OPTION("saved_network", saved_network, FOR_JOB,
                  "save the network's weights alone; nothing resumes from them"),
    TEXT_OPTION("append_info", append_info, FOR_JOB, "LIST",
                "of epoch_num, step_num: every checkpoint of ours has both"),
    SWITCH_OPTION("exception_save", exception_save, FOR_JOB,
                  "save PREFIX-E_S_breakpoint.ckpt when a training ends with an error"),
    CHOICE_OPTION("format", format, FOR_JOB, "FORMAT", "ckpt", "ckpt|safetensors",
                  "of checkpoints"),
    INTEGER_OPTION("per_print_times", per_print_times, FOR_JOB, "N", "-1", -1, 1e15,
                   "print the loss every N steps; default once an epoch, 0 never"),
    SWITCH_OPTION("time_monitor", time_monitor, FOR_JOB, "print each epoch's time, and a step's"),
    TEXT_OPTION("summary_dir", summary_dir, FOR_JOB, "DIR",
                "write event files for TensorBoard there"),
    COUNT_OPTION("collect_freq", collect_freq, FOR_JOB, "N", "10", 1, 1e15,
                 "steps between two values of --summary_dir"),
    CHOICE_OPTION("monitor", monitor, FOR_JOB, "WHAT", "eval_loss", "eval_loss|acc|loss",
                  "what --patience and --save_best look at after each epoch"),
    COUNT_OPTION("patience", patience, FOR_JOB, "N", "0", 0, 1e6,
                 "stop after N epochs without a better --monitor; 0 never"),
    REAL_OPTION("min_delta", min_delta, FOR_JOB, "X", "0", 0, FLT_MAX,
                "better is by more than this"),
    SWITCH_OPTION("save_best", save_best, FOR_JOB,
                  "keep PREFIX-best.ckpt of the epoch with the best --monitor"),
    DEFAULT_OPTION("resume", resume, FOR_JOB, "HOW", "auto",
                   "auto, always, never, or the URL or path of a checkpoint"),
    TEXT_OPTION("init_from", init_from, FOR_JOB, "FILE",
                "a fresh run begins with the weights of this file, URL or 'best' (see --promote)"),
    {.name = "strict_load",
     .kind = OPTION_SWITCH,
     .offset = AT(strict_load),
     .commands = FOR_JOB,
     .fallback = "1",
     .help =
         "--init_from must have all weights and no others; =0 takes what fits and tells the rest"},
    SWITCH_OPTION(
        "allow_change", allow_change, FOR_JOB,
        "resume although batch size, seed, data, kernels or the optimizer's settings differ"),
    TEXT_OPTION("checkpoint", checkpoint, FOR_EVAL | FOR_INFER, "FILE",
                "what to load: the newest that verifies in --ckpt_dir"),
    DEFAULT_OPTION(
        "metrics", metrics, FOR_JOB | FOR_EVAL, "LIST", "loss,acc",
        "of loss, acc, accuracy, precision, recall, F1, top_1, top_5, mae, mse, confusion_matrix"),
    SWITCH_OPTION("binarize", binarize, FOR_MODEL, "pixels 0 or 255, as MindSpore 1.0"),
    COUNT_OPTION("count", count, FOR_INFER, "N", "4", 1, 400, "images to predict and draw"),
    COUNT_OPTION("columns", columns, FOR_INFER, "N", "0", 0, 400,
                 "of the picture; 0: as square as it goes"),
    SWITCH_OPTION("only_wrong", only_wrong, FOR_INFER, "only images whose prediction is wrong"),
    {.name = "image",
     .kind = OPTION_LIST,
     .offset = AT(image),
     .commands = FOR_INFER,
     .value = "FILE...",
     .help = "predict PNG files instead of test images: square, light on dark"},
    SWITCH_OPTION("invert", invert, FOR_INFER,
                  "black becomes white in the files of --image: for ink on paper"),
    TEXT_OPTION("output", output, FOR_INFER, "FILE",
                "the picture: predictions.png in --output_dir"),
    {.name = "mindspore",
     .kind = OPTION_CHOICE,
     .offset = AT(mindspore),
     .commands = FOR_CONVERT,
     .value = "VERSION",
     .choices = "1|2",
     .help =
         "of a .ckpt: 1, refused where 1.0 cannot read it; 2, scalars and global_step as there"},
    SWITCH_OPTION(
        "crc_check", crc_check, FOR_JOB | FOR_CONVERT,
        "add MindSpore's own sum (crc_num); its versions before 2.3 cannot read such a .ckpt"),
    SWITCH_OPTION("weights_only", weights_only, FOR_CONVERT | FOR_DIFF,
                  "the network's eight tensors, not the optimizer's, nor what we note"),
    {.name = "gate",
     .kind = OPTION_LIST,
     .offset = AT(gate),
     .commands = FOR_JOB,
     .value = "METRIC>=X",
     .help = "exit 80 unless the run's metric is so (>=, >, <=, <); may be repeated"},
    SWITCH_OPTION(
        "promote", promote, FOR_RUN,
        "move .jobferry/best.json when this run passes the gates and beats the best so far"),
    SWITCH_OPTION("if_changed", if_changed, FOR_RUN,
                  "end at once when data_url holds what the last finished run used"),
    TEXT_OPTION("events", events, FOR_JOB, "FILE",
                "write states, phases, epochs, checkpoints and warnings there, JSON lines"),
    TEXT_OPTION("metrics_file", metrics_file, FOR_JOB, "FILE",
                "keep the job's numbers there in Prometheus' text format, as for node_exporter"),
    {.name = "log_max",
     .kind = OPTION_SIZE,
     .offset = AT(log_max),
     .commands = FOR_JOB,
     .value = "SIZE",
     .fallback = "64MiB",
     .minimum = 65536,
     .maximum = 1e15,
     .help = "ceiling of the run's log; its beginning and its end are kept"},
    COUNT_OPTION("log_upload_interval", log_upload_interval, FOR_RUN, "SECONDS", "60", 0, 86400,
                 "how often the log goes to train_url while the job runs; 0: only at its end"),
    SWITCH_OPTION("make_bucket", make_bucket, FOR_RUN,
                  "make train_url's bucket when it is missing"),
    COUNT_OPTION("drain_timeout", drain_timeout, FOR_RUN, "SECONDS", "3600", 0, 1e7,
                 "how long checkpoints may still be uploaded after the training"),
    COUNT_OPTION("grace", grace, FOR_RUN | FOR_TRAIN, "SECONDS", "25", 1, 1e6,
                 "from a signal to the end: half of it COMMAND may save, at 60 % it is killed, "
                 "the rest is for the upload"),
    COUNT_OPTION("time_limit", time_limit, FOR_RUN | FOR_TRAIN, "SECONDS", "0", 0, 1e9,
                 "stop the job after so long as a signal would, exit 82; 0: never"),
    TEXT_OPTION("keep_remote", keep_remote, FOR_RUN | FOR_CLEANUP, "RULES",
                "checkpoints that stay in the store, as latest:3,best:acc:1; by default all"),
    SWITCH_OPTION(
        "checkpoints", checkpoints, FOR_CLEANUP,
        "list the checkpoints of a train_url that --keep_remote does not keep; --yes deletes"),
    COUNT_OPTION("lock_wait", lock_wait, FOR_RUN, "SECONDS", "20", 0, 1e6,
                 "how long to wait for another job's end in this train_url"),
    SWITCH_OPTION("break_lock", break_lock, FOR_RUN, "take train_url from the job that holds it"),
    DEFAULT_OPTION("checkpoint_glob", checkpoint_glob, FOR_RUN, "GLOBS",
                   "*.ckpt *.pt *.pth *.safetensors *.meta",
                   "COMMAND's files in --ckpt_dir that are published"),
    TEXT_OPTION("group_by", group_by, FOR_RUN, "REGEX",
                "files whose match, or its groups, are equal are published as one; by default "
                "those of a folder, or of one epoch and step"),
    TEXT_OPTION("step_pattern", step_pattern, FOR_RUN, "REGEX",
                "its groups are epoch and step in a file's name, or the step alone; by default two "
                "numbers joined by _ or - before the suffix"),
    CHOICE_OPTION(
        "watch", watch, FOR_RUN, "HOW", "auto", "auto|poll",
        "find COMMAND's files by inotify and by looking (auto), or by looking alone (poll)"),
    COUNT_OPTION("retries", retries, FOR_RUN, "N", "0", 0, 1000,
                 "start COMMAND again when it fails, after 1, 2, 4 … 60 seconds"),
    TEXT_OPTION(
        "preempt_signal", preempt_signal, FOR_RUN | FOR_TRAIN, "NAME",
        "a signal, as USR1, that asks for an end like TERM; it is what COMMAND is sent first"),
    CHOICE_OPTION("signal_scope", signal_scope, FOR_RUN, "WHOM", "child", "child|group",
                  "who gets a signal first: COMMAND's process alone, or with all its children"),
    SWITCH_OPTION(
        "append_urls", append_urls, FOR_RUN,
        "give COMMAND --data_url and --train_url with the local folders, as ModelArts does"),
    SWITCH_OPTION("pass_credentials", pass_credentials, FOR_RUN,
                  "leave keys and tokens in COMMAND's environment"),
    {.name = "input",
     .kind = OPTION_LIST,
     .offset = AT(inputs),
     .commands = FOR_RUN,
     .value = "NAME=URL",
     .help = "more data for COMMAND, its folder in JOBFERRY_INPUT_<NAME>; may be repeated"},
    {.name = "output",
     .kind = OPTION_LIST,
     .offset = AT(outputs),
     .commands = FOR_RUN,
     .value = "NAME=URL",
     .help = "a folder of COMMAND's, in JOBFERRY_OUTPUT_<NAME>, copied there at the end"},
    DEFAULT_OPTION("termination_log", termination_log, FOR_RUN | FOR_TRAIN, "FILE",
                   "/dev/termination-log",
                   "how it ended, in a line, where this file is there and empty (Kubernetes)"),
    DEFAULT_OPTION("failure_file", failure_file, FOR_RUN | FOR_TRAIN, "FILE",
                   "/opt/ml/output/failure",
                   "why it failed, where its folder is there and nobody wrote one (SageMaker)"),
    COUNT_OPTION("train", digits_train, FOR_DIGITS, "N", "60000", 1, 1e6, "training images"),
    COUNT_OPTION("test", digits_test, FOR_DIGITS, "N", "10000", 1, 1e6, "test images"),
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
    CHOICE_OPTION("symlinks", symlinks, FOR_CP | FOR_MV | FOR_SYNC, "HOW", "follow",
                  "follow|skip|error", "symbolic links below a local source"),
    SWITCH_OPTION("delete", delete_extra, FOR_SYNC,
                  "at the end, if nothing failed, delete what the source lacks"),
    INTEGER_OPTION("max_delete", max_delete, FOR_SYNC, "N", "-1", -1, 1e15,
                   "delete nothing when more than N would go; default 1000 or half, the lesser"),
    SWITCH_OPTION("dry_run", dry_run, FOR_SYNC, "only print what would be done"),
    SWITCH_OPTION("exact_mtime", exact_mtime, FOR_SYNC,
                  "unchanged is what has the same size and time; a request for each object"),
    SWITCH_OPTION("size_only", size_only, FOR_SYNC, "unchanged is what has the same size"),
    SWITCH_OPTION("checksum", checksum, FOR_SYNC,
                  "unchanged is what has the same sum; reads every file"),
    SWITCH_OPTION("yes", yes, FOR_RM | FOR_CLEANUP,
                  "rm: really remove a whole bucket's objects; cleanup: as --abort"),
    DEFAULT_OPTION("older_than", older_than, FOR_CLEANUP, "AGE", "1d",
                   "leave alone what is younger: a number of days, or as 7d, 12h, 30m, 45s"),
    SWITCH_OPTION("abort", abort_leftovers, FOR_CLEANUP, "remove what is listed"),
    TEXT_OPTION("manifest", manifest, FOR_CP, "FILE",
                "write names, sizes and CRC-32 of what was copied there, one JSON object a line"),
    TEXT_OPTION("verify", verify, FOR_STAT, "MANIFEST",
                "hold what lies below the URL against a manifest of cp; differences are exit 76"),
    SWITCH_OPTION("human", human, FOR_LS | FOR_DU, "sizes as 1.5 GiB"),
    SWITCH_OPTION("summarize", summarize, FOR_LS,
                  "a last line with the number of objects and their bytes"),
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
    SWITCH_OPTION("raw", raw, FOR_CP | FOR_MV | FOR_RM,
                  "the name is meant as it is: * ? [ are no wildcards"),
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
    SWITCH_OPTION("request_payer", objects.request_payer, FOR_STORE,
                  "you pay for the requests, not the bucket's owner"),
    TEXT_OPTION("version_id", objects.version_id, FOR_ONE, "ID",
                "this version of the one object that is meant"),
    COUNT_OPTION("expires_in", expires_in, FOR_PRESIGN, "SECONDS", "3600", 1, 1e9,
                 "how long the URL works; with SigV4 a week at most"),
    COUNT_OPTION("expires_at", expires_at, FOR_PRESIGN, "TIME", "0", 0, 1e11,
                 "until when instead, in seconds since 1970"),
    CHOICE_OPTION("method", method, FOR_PRESIGN, "METHOD", "GET", "GET|PUT|HEAD|DELETE",
                  "what the URL permits"),
    ACCESS_OPTIONS("", both, "both sides", FOR_STORE),
    ACCESS_OPTIONS("data_", data, "the source", FOR_BOTH_SIDES),
    ACCESS_OPTIONS("train_", train, "the destination", FOR_BOTH_SIDES),
    SWITCH_OPTION("unsigned_payload", unsigned_payload, FOR_STORE,
                  "plain http: do not sign the bodies' SHA-256"),
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
    SWITCH_OPTION("verbose", verbose, FOR_ALL, "show each request, without secrets"),
    CHOICE_OPTION("log_format", log_format, FOR_ALL, "text|json", "text", "text|json",
                  "the log on stderr"),
    {.name = "help",
     .letter = 'h',
     .kind = OPTION_SWITCH,
     .offset = AT(help),
     .commands = FOR_ALL,
     .help = "this text"},
};

const size_t options_count = sizeof options_table / sizeof options_table[0];
