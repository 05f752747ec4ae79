/* main.c - picks the command, wires signals to two flags, and turns its code into the process's. */
#include "runner/commands/commands.h"
#include "runner/nearest.h"
#include "runner/signals.h"
#include "runner/version.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/runner_banned.h"

static const struct command commands[] = {
    {"run", FOR_RUN, command_run, "--data_url=URL --train_url=URL [options] [unknown arguments]",
     "copies the dataset in, trains, copies every checkpoint out",
     "jobferry run --data_url=s3://data/MNIST --train_url=s3://out/job1 "
     "--server=http://127.0.0.1:9000"},
    {"train", FOR_TRAIN, command_train, "[--data_url=DIR] [options]",
     "trains LeNet5 on a local folder", "jobferry train --data_url=MNIST --epochs=4"},
    {"check", FOR_CHECK, command_check,
     "--data_url=URL --train_url=URL [options] [-- COMMAND [ARG...]]",
     "says what would be wrong with such a run, and what to do about it; nothing is copied",
     "jobferry check --data_url=s3://data/MNIST --train_url=s3://out/job1"},
    {"eval", FOR_EVAL, command_eval, "[--data_url=DIR] [--checkpoint=FILE]",
     "evaluates a checkpoint on the test images", "jobferry eval --data_url=MNIST"},
    {"infer", FOR_INFER, command_infer, "[--data_url=DIR | --image FILE...] [--checkpoint=FILE]",
     "predicts test images, or PNG files, and draws them",
     "jobferry infer --data_url=MNIST --count=9"},
    {"cp", FOR_CP, command_cp, "[-r] SOURCE... DESTINATION",
     "copies objects and folders: up, down, store to store",
     "jobferry cp -r s3://data/MNIST ./MNIST"},
    {"sync", FOR_SYNC, command_sync, "SOURCE DESTINATION",
     "copies what differs; deletes what the source lacks only with --delete",
     "jobferry sync --delete --exclude='*.tmp' ./results s3://out/results"},
    {"ls", FOR_LS, command_ls, "[-r] URL", "lists objects", "jobferry ls s3://out/job1/ckpt/"},
    {"stat", FOR_STAT, command_stat, "[--verify=MANIFEST] URL",
     "tells size, time, ETag and CRC-32 of an object, or checks many against a manifest",
     "jobferry stat s3://out/job1/report.json"},
    {"cat", FOR_CAT, command_cat, "URL", "writes an object to stdout",
     "jobferry cat s3://out/job1/report.json"},
    {"put", FOR_PUT, command_put, "FILE|- URL", "writes an object from a file or stdin",
     "echo hello | jobferry put - s3://out/hello"},
    {"rm", FOR_RM, command_rm, "[-r] URL...", "removes objects",
     "jobferry rm -r s3://out/job1/log"},
    {"mb", FOR_MB, command_mb, "URL", "makes a bucket or folder", "jobferry mb s3://out"},
    {"du", FOR_DU, command_du, "[-d N] URL", "sums up bytes and objects below a prefix",
     "jobferry du -d 1 --human s3://out"},
    {"mv", FOR_MV, command_mv, "[-r] SOURCE... DESTINATION",
     "copies, and removes each source once its copy is whole and durable",
     "jobferry mv -r s3://out/job1 s3://archive/job1"},
    {"presign", FOR_PRESIGN, command_presign, "[--expires_in=SECONDS] URL",
     "prints a URL that permits one request to whoever has it",
     "jobferry presign --expires_in=86400 s3://out/job1/report.html"},
    {"cleanup", FOR_CLEANUP, command_cleanup, "[--older_than=AGE] [--abort] URL",
     "lists, or removes, what copies that died have left: unfinished uploads, temporary files",
     "jobferry cleanup --older_than=7d s3://out"},
    {"ckpt show", FOR_CKPT, command_ckpt_show, "FILE", "shows what is in a checkpoint",
     "jobferry ckpt show ckpt/lenet-2_1875.ckpt"},
    {"ckpt verify", FOR_CKPT, command_ckpt_verify, "FILE...", "checks that checkpoints are whole",
     "jobferry ckpt verify ckpt/*.ckpt"},
    {"ckpt diff", FOR_DIFF, command_ckpt_diff, "A B",
     "compares checkpoints tensor by tensor, whatever their formats; ends 1 where they differ",
     "jobferry ckpt diff --weights_only a/lenet-2_1875.ckpt b/lenet-2_1875.safetensors"},
    {"ckpt convert", FOR_CONVERT, command_ckpt_convert, "FROM TO",
     "writes a checkpoint as the suffix of TO says: .ckpt, .safetensors or .onnx",
     "jobferry ckpt convert ckpt/lenet-2_1875.ckpt lenet.onnx"},
    {"data digits", FOR_DIGITS, command_data_digits, "DIR",
     "writes a small MNIST-format set of drawn digits", "jobferry data digits ./digits"},
    {"completion", FOR_COMPLETION, command_completion, "bash|zsh|fish",
     "prints a completion script for a shell", "source <(jobferry completion bash)"},
};

enum {
    COMMANDS = sizeof commands / sizeof commands[0]
};

static const char late[] = "the deadline has passed: what is not done is left undone";

/*
 * Go programs, s5cmd and rclone among them, take HTTP_PROXY; curl takes only http_proxy, since a
 * CGI server puts a header of the client's there. Outside of CGI they may mean the same.
 */
static void adopt_proxy(void)
{
    const char *proxy = getenv("HTTP_PROXY");
    if (proxy && !getenv("http_proxy") && !getenv("REQUEST_METHOD")) {
        setenv("http_proxy", proxy, 1);
    }
}

static void print_overview(FILE *out)
{
    fprintf(out, "jobferry %s: ferries a dataset in, trains, ferries every checkpoint out\n\n",
            jobferry_version());
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].purpose);
    }
    fprintf(out, "\n'jobferry help COMMAND' tells its options. A first argument that starts with "
                 "'--' means 'run'.\n");
}

static void print_help(FILE *out, const struct command *command)
{
    fprintf(out, "usage: jobferry %s %s\n%s\n\n", command->name, command->synopsis,
            command->purpose);
    options_print_help(out, command->bit);
    fprintf(out, "\nexample: %s\n", command->example);
}

/* Finds the command that words name; *used counts them. */
static const struct command *find_command(int count, char **words, int *used)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        const char *space = strchr(commands[i].name, ' ');
        size_t first = space ? (size_t)(space - commands[i].name) : strlen(commands[i].name);
        if (strlen(words[0]) != first || strncmp(words[0], commands[i].name, first) != 0) {
            continue;
        }
        if (!space || (count > 1 && strcmp(words[1], space + 1) == 0)) {
            *used = space ? 2 : 1;
            return &commands[i];
        }
    }
    return NULL;
}

static int usage_error(const char *message)
{
    fprintf(stderr, "jobferry: %s\n", message);
    return EXIT_USAGE;
}

static int unknown_command(const char *word)
{
    char message[256];
    const char *nearest = NULL;
    size_t length = strlen(word);
    size_t least = nearest_limit(length);
    for (size_t i = 0; i < COMMANDS; i++) {
        /* "ckpt" alone, or with a wrong second word, is told as "ckpt show" */
        size_t first = strcspn(commands[i].name, " ");
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)first, commands[i].name);
        size_t distance = nearest_distance(name, word, length);
        if (distance < least) {
            least = distance;
            nearest = commands[i].name;
        }
    }
    if (nearest) {
        snprintf(message, sizeof message,
                 "there is no command '%.64s'; did you mean '%s'? 'jobferry help' lists all", word,
                 nearest);
    } else {
        snprintf(message, sizeof message, "there is no command '%.64s'; 'jobferry help' lists all",
                 word);
    }
    return usage_error(message);
}

static int help_command(int count, char **words)
{
    int used = 0;
    const struct command *command = count > 0 ? find_command(count, words, &used) : NULL;
    if (count > 0 && !command) {
        return unknown_command(words[0]);
    }
    if (command) {
        print_help(stdout, command);
    } else {
        print_overview(stdout);
    }
    return EXIT_DONE;
}

/* What became of stdout: a reader that went away (`jobferry ls … | head`) is no news to anyone. */
static enum exit_code finish_output(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    bool failed = ferror(stdout) != 0;
    failed |= fflush(stdout) != 0;
    if (!failed) {
        return EXIT_DONE;
    }
    int why = errno;
    if (poll(&out, 1, 0) == 1 && (out.revents & POLLERR)) {
        return EXIT_PIPE;
    }
    fprintf(stderr, "jobferry: write to stdout: %s\n", strerror(why));
    return EXIT_DISK;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    char message[512];
    struct arguments *arguments = calloc(1, sizeof *arguments);
    char **words = calloc((size_t)argc + 1, sizeof *words);
    int code = EXIT_BUG;
    if (!arguments || !words) {
        goto done;
    }
    /* Options borrow from copies, so that secrets can be wiped from what `ps` shows. */
    for (int i = 0; i < argc; i++) {
        words[i] = strdup(argv[i]);
        if (!words[i]) {
            goto done;
        }
    }
    if (!options_parse(arguments, command->bit, argc, words, (command->bit & FOR_RUN) != 0, message,
                       sizeof message)) {
        code = usage_error(message);
        goto done;
    }
    if (arguments->settings.help) {
        print_help(stdout, command);
        code = EXIT_DONE;
        goto done;
    }
    struct app app = {.arguments = arguments,
                      .settings = &arguments->settings,
                      .stop = signals_stop(),
                      .stop_now = signals_stop_now(),
                      .commands = commands,
                      .command_count = COMMANDS};
    log_init(&app.log, strcmp(arguments->settings.log_format, "json") == 0,
             arguments->settings.verbose);
    if (options_hide_secrets(argc, argv)) {
        log_warn(&app.log, "keys on the command line are visible to other users");
    }
    signals_set_alarm(arguments->settings.deadline);
    code = (int)command->enter(&app);
    if (code == EXIT_INTERRUPTED && signals_cause() == SIGALRM) {
        code = (int)app_fail(&app, EXIT_TRANSFER, "%s", late);
    }
    if (code == EXIT_INTERRUPTED && signals_cause() == SIGTERM) {
        code = EXIT_TERMINATED;
    }
    log_release(&app.log);
    code = code == EXIT_DONE ? (int)finish_output() : code;
done:
    for (int i = 0; words && i < argc; i++) {
        if (words[i]) {
            explicit_bzero(words[i], strlen(words[i]));
            free(words[i]);
        }
    }
    free(words);
    free(arguments);
    return code;
}

int main(int argc, char **argv)
{
    int used = 0;
    const struct command *command = &commands[0];
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("jobferry %s\n", jobferry_version());
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "help") == 0) {
        return help_command(argc - 2, argv + 2);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return help_command(0, NULL);
    }
    if (strncmp(argv[1], "--", 2) != 0) {
        command = find_command(argc - 1, argv + 1, &used);
    }
    if (!command) {
        return unknown_command(argv[1]);
    }
    signals_catch();
    adopt_proxy();
    return run_command(command, argc - 1 - used, argv + 1 + used);
}
