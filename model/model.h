/*
 * model.h - the public face of model/: LeNet5 on MNIST-format data, as MindSpore's checkpoint lab
 * trains it, with checkpoints that MindSpore loads.
 *
 * The life of a training: open a `struct model_dataset`, make a `struct model`, perhaps load a
 * checkpoint into it, call model_train with callbacks, free. Conventions are those of
 * storage/storage.h: result first, const options, error last (may be NULL), a code returned.
 * Nothing here prints, exits or reads the environment.
 *
 * Letters: N images of a batch, C channels, H and W rows and columns, all tensors C-order.
 *
 * Exactness: for one seed, one dataset and one machine type, weights are the same bits whatever
 * the number of threads, and whether the run was interrupted or not.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- errors --------------------------------------------------------------------------------- */

#define MODEL_CODES(X)                                                        \
    X(OK, "ok", "done")                                                       \
    X(ARGUMENT, "argument", "an option has no such value")                    \
    X(DATA, "data", "the dataset is damaged")                                 \
    X(NOT_FOUND, "not_found", "no such file")                                 \
    X(CORRUPT, "corrupt", "the checkpoint is damaged, or of another network") \
    X(DISK, "disk", "the local disk refused")                                 \
    X(CONFIG, "config", "the settings differ from the checkpoint's")          \
    X(DIVERGED, "diverged", "the loss is NaN or Inf")                         \
    X(STOPPED, "stopped", "stopped on request")                               \
    X(BUG, "bug", "a bug, or no memory")

enum model_code {
#define MODEL_CODE_ENUM(id, name, text) MODEL_##id,
    MODEL_CODES(MODEL_CODE_ENUM)
#undef MODEL_CODE_ENUM
};

/* What went wrong; `message` is one whole sentence without a full stop. */
struct model_error {
    enum model_code code;
    int system_errno; /* 0 when no system call failed */
    char operation[32];
    char target[1200];
    char message[2048];
    char hint[320];
};

const char *model_code_text(enum model_code code);
const char *model_code_name(enum model_code code);

/* ---- dataset -------------------------------------------------------------------------------- */

enum model_split {
    MODEL_TRAIN, /* train-images…, in the folder or its train/ */
    MODEL_TEST   /* t10k-images…, in the folder or its test/ */
};

enum {
    MODEL_IDX_SIDE = 28,   /* pixels, MNIST */
    MODEL_INPUT_SIDE = 32, /* pixels after the lab's Resize */
    MODEL_CLASSES = 10,    /* the lab's; a dataset never counts as having fewer */
    /* Ceiling: EMNIST by class, the largest set in use, has 62 (10 digits, 52 letters). */
    MODEL_CLASSES_MAX = 64
};

/* Images of one split in memory: uint8 [n][28][28] as read, [n][32][32] resized; labels [n]. */
struct model_dataset;

/*
 * Reads IDX images and labels, plain or gzipped, found by name as MindSpore finds them ("-images"
 * and "idx3-ubyte" in the name). A wrong magic, a short or long file, other sizes than 28×28,
 * unequal counts, a label over 63: MODEL_DATA, naming file and byte offset. No such files:
 * MODEL_NOT_FOUND. binarize makes every pixel 0 or 255, as MindSpore 1.0 did.
 */
enum model_code model_dataset_open(struct model_dataset **dataset, const char *folder,
                                   enum model_split split, bool binarize, struct model_error *err);
void model_dataset_free(struct model_dataset *dataset);

/* Outputs that a network of this data needs: the highest label and one, but at least ten. */
size_t model_dataset_classes(const struct model_dataset *dataset);
size_t model_dataset_size(const struct model_dataset *dataset);
/* CRC-32 over pixels (after binarize) and labels: which data this was. */
uint32_t model_dataset_crc32(const struct model_dataset *dataset);
/* 28×28 bytes of image i, borrowed; and its label. */
const uint8_t *model_dataset_image(const struct model_dataset *dataset, size_t i);
uint8_t model_dataset_label(const struct model_dataset *dataset, size_t i);

/* ---- the network ---------------------------------------------------------------------------- */

enum model_init {
    MODEL_NORMAL,    /* MindSpore 1's: weights Normal(0, 0.01), biases 0 */
    MODEL_HE_UNIFORM /* MindSpore 2's: weights and biases uniform within 1/sqrt(inputs of a neuron)
                      */
};

/* nn.Momentum, nn.SGD, nn.Adam; formulas in training/optimizer.h. */
enum model_optimizer {
    MODEL_MOMENTUM,
    MODEL_SGD,
    MODEL_ADAM
};

/* "momentum", "sgd", "adam". */
const char *model_optimizer_name(enum model_optimizer optimizer);

/* Zero is not a default here: start from MODEL_CONFIG_INIT, the lab's values. */
struct model_config {
    uint64_t seed; /* of initial weights and every shuffle; < 2^63, checkpoints hold an int64 */
    uint32_t batch_size; /* images, 1..65536 */
    float learning_rate; /* >= 0, finite */
    float momentum;      /* >= 0, finite */
    float weight_decay;  /* >= 0 */
    float loss_scale;    /* > 0 */
    bool use_nesterov;
    uint32_t classes; /* outputs, 1..MODEL_CLASSES_MAX */
    enum model_init init;
    enum model_optimizer optimizer;
    float dampening;    /* sgd's, >= 0 */
    float beta1, beta2; /* adam's, > 0 and < 1 */
    float eps;          /* adam's, > 0 */
    unsigned threads;   /* 0: the cores this process may use */
    /* What computes the network: NULL or "auto" (the best of this machine), "avx512", "avx2",
       "neon", "baseline", "reference". */
    const char *kernels;
};
#define MODEL_CONFIG_INIT                                                                          \
    {                                                                                              \
        .seed = 1, .batch_size = 32, .learning_rate = 0.01f, .momentum = 0.9f,                     \
        .weight_decay = 0.0f, .loss_scale = 1.0f, .use_nesterov = false, .classes = MODEL_CLASSES, \
        .init = MODEL_NORMAL, .optimizer = MODEL_MOMENTUM, .dampening = 0.0f, .beta1 = 0.9f,       \
        .beta2 = 0.999f, .eps = 1e-8f, .threads = 0, .kernels = NULL                               \
    }

/* LeNet5 of the lab with its optimizer's state: 61,684 weights (85 more for each class beyond ten)
   and as many or twice as many moments, float32. */
struct model;

/* Weights are drawn by seed, moments are 0. Bad values, and kernels that this machine
   cannot run, are MODEL_ARGUMENT. */
enum model_code model_new(struct model **model, const struct model_config *config,
                          struct model_error *err);
void model_free(struct model *model);

/* ---- where a training stands ---------------------------------------------------------------- */

enum {
    MODEL_RUN_MAX = 31
}; /* bytes of a run's name, "20261124T081500Z-k3f9qa" */

/*
 * The state that rides in a checkpoint after MindSpore's own entries. Steps count batches. A run
 * numbers its epochs from 1; cumulative_step goes on over runs that extend one another, and alone
 * decides which images come next.
 */
struct model_state {
    bool present; /* false: a foreign checkpoint, nothing below is known */
    char run[MODEL_RUN_MAX + 1];
    uint64_t epoch; /* of the run, 1-based; 0 before the first step */
    uint64_t step;  /* in the epoch, 1-based, the last one done */
    uint64_t steps_per_epoch;
    uint64_t cumulative_step; /* batches since the first weights */
    uint64_t base_step;       /* cumulative_step at which the run began */
    uint64_t seed;
    uint32_t batch_size;
    uint32_t data_crc32; /* model_dataset_crc32 of what it was trained on */
    char kernels[16];    /* "avx512", …, never "auto" */
    /* The optimizer's settings; its momentum and rates have entries of their own. */
    bool has_settings; /* false: from a file of before they were noted, those below are unknown */
    float weight_decay;
    float loss_scale;
    float dampening;
    float beta1, beta2;
    float eps;
    bool use_nesterov;
};

/* ---- checkpoints ---------------------------------------------------------------------------- */

/* One tensor of a checkpoint; the bytes belong to the struct model_checkpoint. */
struct model_tensor {
    const char *name; /* MindSpore's tag */
    const char *type; /* "Float32", "Int64", … */
    size_t rank;      /* number of dims; a scalar has rank 0 whatever way it was written */
    const int64_t *dims;
    const void *data; /* little-endian, C-order */
    size_t size;      /* bytes */
};

/* How far a checkpoint's completeness is known. */
enum model_completeness {
    MODEL_UNVERIFIED,      /* foreign and without any sum */
    MODEL_VERIFIED_OWN,    /* our last entry's count and CRC-32 fit */
    MODEL_VERIFIED_TRAILER /* MindSpore's crc_num fits */
};

/* A whole checkpoint in memory. */
struct model_checkpoint;

/*
 * Reads and checks a .ckpt or a safetensors file, told apart by the suffix .safetensors or else by
 * their first bytes. Truncated anywhere, a flipped bit, empty, a directory, another format, sizes
 * that do not fit dims: MODEL_CORRUPT, saying what and where. No such file: MODEL_NOT_FOUND.
 */
enum model_code model_checkpoint_read(struct model_checkpoint **checkpoint, const char *path,
                                      struct model_error *err);
void model_checkpoint_free(struct model_checkpoint *checkpoint);
size_t model_checkpoint_count(const struct model_checkpoint *checkpoint);
const struct model_tensor *model_checkpoint_tensor(const struct model_checkpoint *checkpoint,
                                                   size_t i);
enum model_completeness model_checkpoint_completeness(const struct model_checkpoint *checkpoint);
/* Outputs of its network, by the rows of fc3.weight; the lab's ten where it has none that a model
   could have, which loading then refuses. */
size_t model_checkpoint_classes(const struct model_checkpoint *checkpoint);
/* Our state entries, decoded; present is false for foreign files. */
void model_checkpoint_state(const struct model_checkpoint *checkpoint, struct model_state *state);

/*
 * Writes the model as the lab does: 18 entries in MindSpore's order, then ours, then
 * jobferry.crc32. Temporary name in the same folder, fsync, rename, fsync of the folder: path is
 * whole or untouched. Mode 0644. Errors are MODEL_DISK.
 */
enum model_code model_save(const struct model *model, const struct model_state *state,
                           const char *path, struct model_error *err);

enum model_format {
    MODEL_FORMAT_CKPT,        /* MindSpore's */
    MODEL_FORMAT_SAFETENSORS, /* the ecosystem's: model/checkpoint/safetensors.h */
    MODEL_FORMAT_ONNX         /* the network with its weights, to be run: model/checkpoint/onnx.h */
};

/* How a checkpoint is written; all zero is what model_save does. */
struct model_saving {
    enum model_format format;
    bool crc_check; /* MindSpore's own sum too: its versions before 2.3 cannot read such a file */
    bool weights_only;  /* the network's eight tensors, without the optimizer's */
    unsigned mindspore; /* .ckpt for 1 or 2, see model_checkpoint_write; 0: as we write it */
};

/*
 * model_save in another format or with less. state may be NULL: none is written, and the file is
 * no more to be resumed from than a foreign one. Our sum is in every format, and read back by
 * model_checkpoint_read.
 */
enum model_code model_save_as(const struct model *model, const struct model_state *state,
                              const struct model_saving *saving, const char *path,
                              struct model_error *err);

/*
 * Writes a checkpoint that was read, in another format or with less; entries stay as they are, ours
 * with their order. A .ckpt for MindSpore 2 has its scalars without dims, and a global_step beside
 * the optimizer's entries where our state tells it; one for MindSpore 1 is refused where it holds a
 * type that 1.0 does not read back (text, BFloat16, unsigned) or is to have a crc_num trailer.
 * ONNX, and weights_only, ask for the eight tensors of the network. What the format cannot hold is
 * MODEL_ARGUMENT.
 */
enum model_code model_checkpoint_write(const struct model_checkpoint *checkpoint,
                                       const struct model_saving *saving, const char *path,
                                       struct model_error *err);

/* What a tensor's values come to; none for text. NaN and Inf count in all of them. */
struct model_tensor_summary {
    size_t count;               /* 0: there are no numbers, and the rest is 0 */
    double mean, std, min, max; /* std of the values as they are (divided by count) */
};
void model_tensor_summary(const struct model_tensor *tensor, struct model_tensor_summary *summary);

/*
 * The largest absolute difference of two tensors, element by element; 0 means equal, NaN that
 * nothing can be subtracted: another type or shape, texts, or a NaN on one side only.
 */
double model_tensor_difference(const struct model_tensor *a, const struct model_tensor *b);

/*
 * Loads weights, moments, learning rate and momentum by name. Missing or unexpected network
 * entries and other shapes are MODEL_CORRUPT, listing missing and unexpected names; nothing is
 * half-loaded. Entries tagged "jobferry.*", "epoch_num", "step_num", "global_step" are not
 * unexpected. weights_only takes the eight network tensors and leaves the optimizer as it is (a
 * file without optimizer entries is then fine).
 */
enum model_code model_load(struct model *model, const struct model_checkpoint *checkpoint,
                           bool weights_only, struct model_error *err);

enum {
    MODEL_NAMES_MAX = 800 /* bytes of a list of names */
};

/* What a load left out: names joined by ", ", cut where they are too many. */
struct model_load_report {
    size_t not_loaded_count; /* tensors of the network that stay as they were */
    size_t not_used_count;   /* entries of the file that went nowhere */
    char not_loaded[MODEL_NAMES_MAX];
    char not_used[MODEL_NAMES_MAX];
};

/*
 * The network's weights alone, to begin a training with, as MindSpore's load_param_into_net. strict
 * is model_load with weights_only. Otherwise what the file has not, or in another shape, stays as
 * it was, and other float types are converted; none that fits at all is MODEL_CORRUPT. Never does
 * another name stand in for a missing one.
 */
enum model_code model_load_weights(struct model *model, const struct model_checkpoint *checkpoint,
                                   bool strict, struct model_load_report *report,
                                   struct model_error *err);

size_t model_classes(const struct model *model);
/* MODEL_DATA, with both numbers, when a label is not one of the model's classes. */
enum model_code model_check_labels(const struct model *model, const struct model_dataset *dataset,
                                   struct model_error *err);

/* What computes the network here, as model_state.kernels says it. Static. */
const char *model_kernels(const struct model *model);

/*
 * The learning rate of the next step (a loaded checkpoint brings its own rate or schedule), and
 * setting one that stays, which ends a schedule.
 */
float model_learning_rate(const struct model *model);
void model_set_learning_rate(struct model *model, float learning_rate);
void model_set_momentum(struct model *model, float momentum);
/* Of momentum and sgd; a loaded checkpoint brings its own. */
float model_momentum(const struct model *model);

enum model_schedule_kind {
    MODEL_SCHEDULE_CONSTANT,
    MODEL_SCHEDULE_STEP,  /* nn.ExponentialDecayLR, is_stair */
    MODEL_SCHEDULE_COSINE /* nn.CosineDecayLR */
};

struct model_schedule {
    enum model_schedule_kind kind;
    uint64_t warmup_steps; /* nn.WarmUpLR first, from 0 to the rate; the decay begins after it */
    uint64_t decay_steps;  /* step: length of a stair; cosine: until min_lr. >= 1 */
    float decay_rate;      /* step: the factor of each stair, > 0 */
    float min_lr;          /* cosine: >= 0, less than the rate */
};

/*
 * Gives the model a rate for each of its next `steps` steps, as a table that rides in its
 * checkpoints under MindSpore's names; `step` of them are done. The last rate goes on beyond the
 * table. Bad values are MODEL_ARGUMENT.
 */
enum model_code model_set_schedule(struct model *model, const struct model_schedule *schedule,
                                   float learning_rate, uint64_t steps, uint64_t step,
                                   struct model_error *err);
bool model_has_schedule(const struct model *model);

/* ---- callbacks ------------------------------------------------------------------------------ */

/* What a callback sees; borrowed for the call. */
struct model_progress {
    const struct model *model;
    struct model_state state; /* after the step just done */
    uint64_t epochs;          /* the run's total */
    double loss;              /* of the step: the float32 widened */
    double epoch_loss;        /* mean of the epoch's steps so far */
    double epoch_seconds;     /* since the epoch (or the resume inside it) began */
    double images_per_second; /* over those */
    double learning_rate;     /* of the step just done */
    bool *request_stop;       /* set it, and the training ends here as after its last step */
};

typedef enum model_code model_callback_fn(void *context, const struct model_progress *progress,
                                          struct model_error *err);

/*
 * Hooks of one training, each may be NULL. Order: begin, (step_end…, epoch_end)…, end. `end` is
 * called on normal completion and on a requested stop, not after an error. A code other than
 * MODEL_OK ends the training with it.
 */
struct model_callback {
    model_callback_fn *begin;
    model_callback_fn *step_end;
    model_callback_fn *epoch_end;
    model_callback_fn *end;
    void *context;
};

/* CheckpointConfig's parameters by MindSpore's names; start from MODEL_CHECKPOINTING_INIT. */
struct model_checkpointing {
    const char *folder;                    /* made when missing */
    const char *prefix;                    /* already resolved, see model_free_prefix */
    int64_t save_checkpoint_steps;         /* batches; 0: off */
    int64_t save_checkpoint_seconds;       /* 0: off; ignored while steps > 0 */
    int64_t keep_checkpoint_max;           /* files; 0: off */
    int64_t keep_checkpoint_per_n_minutes; /* 0: off; ignored while max > 0 */
    /* format and crc_check by their names; weights_only is saved_network: the network alone, and no
       state of ours, so that nothing resumes from it. */
    struct model_saving saving;
    bool async_save; /* on a thread of its own, from a copy */
    /* Told of each file once it is durable (the graph's too, state NULL); from the training thread.
     */
    void (*on_saved)(void *context, const char *path, const struct model_state *state);
    void *context;
};
#define MODEL_CHECKPOINTING_INIT                                                                  \
    {                                                                                             \
        .folder = "ckpt", .prefix = "lenet", .save_checkpoint_steps = 1, .keep_checkpoint_max = 5 \
    }

/*
 * ModelCheckpoint: saves `<prefix>-<epoch>_<step>.ckpt` (or .safetensors) and, once,
 * `<prefix>-graph.meta`; evicts after the new file is durable, exact prefix match only. Values that
 * MindSpore refuses, and those under which nothing is ever saved, are MODEL_ARGUMENT. Free with
 * model_checkpointer_free after the training.
 */
enum model_code model_checkpointer_new(struct model_callback *callback,
                                       const struct model_checkpointing *options,
                                       struct model_error *err);
void model_checkpointer_free(struct model_callback *callback);

/*
 * To be called when model_train has returned, however: waits for an async save under way, tells
 * on_saved of it, and says how it went.
 */
enum model_code model_checkpointer_finish(struct model_callback *callback, struct model_error *err);

/*
 * exception_save: what a training that ended with an error at `state` leaves, as
 * "<prefix>-<epoch>_<step>_breakpoint.ckpt". Weights that are not finite are not saved:
 * MODEL_DIVERGED. path (size bytes) gets the file's name.
 */
enum model_code model_checkpointer_breakpoint(struct model_callback *callback,
                                              const struct model *model,
                                              const struct model_state *state, char *path,
                                              size_t size, struct model_error *err);

/* Whether a file of this name is taken for a checkpoint: it ends in .ckpt or .safetensors. */
bool model_is_checkpoint_name(const char *name);

/*
 * MindSpore's prefix rule over names of checkpoints (in a folder, in a store, or both): writes
 * prefix, or prefix_N with the next N, to out. names[i] are file names without folder.
 */
void model_free_prefix(char *out, size_t size, const char *prefix, const char *const *names,
                       size_t count);

/*
 * LossMonitor: hands the lab's line, "epoch: 1 step 1875, loss is 0.23394052684307098", to print
 * every per_print_times steps of the run (0: never). Free with model_loss_monitor_free.
 */
typedef void model_print_fn(void *context, const char *line);
enum model_code model_loss_monitor_new(struct model_callback *callback, uint64_t per_print_times,
                                       model_print_fn *print, void *context,
                                       struct model_error *err);
void model_loss_monitor_free(struct model_callback *callback);

/*
 * TimeMonitor: hands MindSpore's line, "Train epoch time: 812.345 ms, per step time: 0.433 ms", to
 * print at each epoch's end. Nothing to free.
 */
struct model_time_monitor {
    model_print_fn *print;
    void *context;
};
void model_time_monitor_init(struct model_callback *callback, struct model_time_monitor *monitor);

/*
 * Summary: writes TensorBoard's event files into folder: loss, learning rate and images/s at the
 * first step and every collect_freq-th; what model_summary_evaluated is given after an evaluation
 * (accuracy, loss, histograms of weights and gradients, a picture of the first predictions of
 * dataset). Free with model_summary_free. MODEL_ARGUMENT, MODEL_DISK.
 */
struct model_metrics;
enum model_code model_summary_new(struct model_callback *callback, const char *folder,
                                  uint64_t collect_freq, struct model_error *err);
enum model_code model_summary_evaluated(struct model_callback *callback, struct model *model,
                                        const struct model_dataset *dataset,
                                        const struct model_state *state,
                                        const struct model_metrics *metrics,
                                        struct model_error *err);
void model_summary_free(struct model_callback *callback);

/*
 * History: the loss of each step and the accuracies it is told of, as one curve over a training and
 * all that goes on from it (model/callbacks/history.h says how its file looks). Nothing of it fails
 * a training: what its file had to suffer, finish tells. Free with model_history_free.
 */
struct model_history_begin {
    const char *run;
    const char *from; /* the run of the checkpoint it goes on from; NULL: none, all is new */
    uint64_t step;    /* that one's cumulative step: what the file has beyond it is dropped */
};
/* As history.jsonl in folder, which is made when missing. */
enum model_code model_history_new(struct model_callback *callback, const char *folder,
                                  const struct model_history_begin *begin, struct model_error *err);
void model_history_evaluated(struct model_callback *callback, const struct model_state *state,
                             const struct model_metrics *metrics);
/* Writes what is still held back; to be called when a checkpoint was saved. */
void model_history_flush(struct model_callback *callback);
/* The same at the end. MODEL_DISK: the file lacks something, the curve does not. */
enum model_code model_history_finish(struct model_callback *callback, struct model_error *err);
/* Draws it, an SVG where path ends in .svg, else a PNG; written atomically. MODEL_DISK,
   MODEL_ARGUMENT while no step was trained. */
enum model_code model_history_draw(const struct model_callback *callback, const char *path,
                                   struct model_error *err);
void model_history_free(struct model_callback *callback);

/*
 * EarlyStopping over a value of each epoch. update says whether patience is used up, and whether
 * the value is the best so far.
 */
struct model_early_stopping {
    bool larger_is_better;
    double min_delta;
    uint64_t patience; /* epochs without a better value; 0: never stop */
    double best;       /* these two are init's and update's */
    uint64_t wait;
};
void model_early_stopping_init(struct model_early_stopping *watch);
bool model_early_stopping_update(struct model_early_stopping *watch, double value, bool *is_best);

/* The shortest decimal text that reads back as the same double, as Python's repr; size >= 32. */
void model_format_double(char *out, size_t size, double value);

/* ---- training, evaluation, inference -------------------------------------------------------- */

struct model_training {
    struct model_state start; /* where to go on; present false: from step 0. run names the run */
    uint64_t epochs;          /* the run's total; >= 1 */
    const struct model_callback *callbacks;
    size_t callback_count;
    const atomic_bool *stop; /* when true: stop at the next step's end with MODEL_STOPPED */
};

/*
 * Trains until `epochs` epochs of the run are done. The last batch is dropped when incomplete
 * (drop_remainder), as in the lab; fewer images than one batch are MODEL_ARGUMENT, labels
 * outside the classes MODEL_DATA. *state gets
 * where it ended, also when stopped. A loss or a new weight that is not finite ends it with
 * MODEL_DIVERGED before any callback sees that step; *state is then the last step that was good,
 * and the model is of no further use.
 */
enum model_code model_train(struct model *model, const struct model_dataset *dataset,
                            const struct model_training *training, struct model_state *state,
                            struct model_error *err);

/*
 * What an evaluation comes to, by MindSpore's definitions (its train/metrics; reference: 2.10).
 * errors are of the raw outputs against 1 for the truth and 0 for the other classes.
 */
struct model_metrics {
    double loss;     /* mean of the batches' mean losses */
    double accuracy; /* correct / samples; of equal outputs the first counts as the largest */
    size_t samples;
    double top_5;   /* the truth is among the five largest outputs / samples */
    double mae;     /* sum of |error| / samples, not / (samples · classes) */
    double mse;     /* sum of error² / samples */
    size_t classes; /* of the network */
    uint64_t confusion[MODEL_CLASSES_MAX][MODEL_CLASSES_MAX]; /* [truth][prediction] samples */
};

/* Per class, and 0 where a class never occurs: TP / predicted, TP / actual, 2·TP / (both). */
double model_precision(const struct model_metrics *metrics, size_t class_index);
double model_recall(const struct model_metrics *metrics, size_t class_index);
double model_f1(const struct model_metrics *metrics, size_t class_index);

/* Evaluates in order, batch_size of the model's config; drop_remainder as the lab. */
enum model_code model_evaluate(struct model *model, const struct model_dataset *dataset,
                               bool drop_remainder, struct model_metrics *metrics,
                               struct model_error *err);

/* Raw outputs of the network: logits[count][classes] for the images first..first+count. */
enum model_code model_predict(struct model *model, const struct model_dataset *dataset,
                              size_t first, size_t count, float *logits, struct model_error *err);

/*
 * Draws images first..first+count in a grid, each titled "prediction: P, truth: T", blue when
 * right, red when wrong; a PNG at path, written atomically.
 */
enum model_code model_draw_predictions(const char *path, const struct model_dataset *dataset,
                                       size_t first, size_t count, const uint8_t *predictions,
                                       struct model_error *err);

/* Which images a picture shows, and how. */
struct model_grid {
    const size_t *images;       /* [count] */
    const uint8_t *predictions; /* [count], of those */
    size_t count;               /* 1 to 1024 */
    size_t columns;             /* 0: as square as it goes */
};

/* The same of any images; those without a truth are titled "prediction: P". */
enum model_code model_draw_grid(const char *path, const struct model_dataset *dataset,
                                const struct model_grid *grid, struct model_error *err);

enum {
    MODEL_NO_LABEL = 255 /* model_dataset_label of an image without a truth */
};

/*
 * Images of PNG files, in their order: grey as Pillow's "L" (0.299 R + 0.587 G + 0.114 B), what is
 * transparent on white, brought to 28×28 by averaging areas; invert turns black to white. Not a
 * PNG, not square, larger than 4096 pixels: MODEL_DATA. *dark_on_light gets whether a border is
 * brighter than its image, as on paper; the network learned bright strokes on black.
 */
enum model_code model_dataset_pictures(struct model_dataset **dataset, const char *const *paths,
                                       size_t count, bool invert, bool *dark_on_light,
                                       struct model_error *err);

/*
 * Writes a small MNIST-format set of drawn digits under folder (train/ and test/, gzipped IDX):
 * strokes under a random affine map, with random thickness and noise. The same seed gives the same
 * bytes. Existing files are replaced atomically.
 */
enum model_code model_make_digits(const char *folder, size_t train, size_t test, uint64_t seed,
                                  struct model_error *err);

#endif
