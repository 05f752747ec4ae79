#include "kill_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct under_way {
    const struct kill_run *run;
    struct kill_result *result;
    atomic_bool stop;
};

static void on_progress(void *context, const struct storage_progress *progress)
{
    struct under_way *way = context;
    const struct kill_run *run = way->run;
    if (run->die_at && progress->done_bytes >= run->die_at) {
        kill(getpid(), SIGKILL);
    }
    if (run->stop_at && progress->done_bytes >= run->stop_at) {
        atomic_store(&way->stop, true);
    }
    if (run->meddle) {
        run->meddle(run->context);
    }
}

static void on_object(void *context, const struct storage_copied *copied)
{
    struct under_way *way = context;
    way->result->failed += copied->error != NULL;
    way->result->verified = copied->verified;
}

static struct storage *open_place(const struct storage_config *given, const char *text,
                                  struct storage_url *url, const atomic_bool *stop)
{
    struct storage *store = NULL;
    struct storage_error err;
    struct storage_config config = *given;
    config.stop = stop;
    if (storage_url_parse(url, text, &err) != STORAGE_OK ||
        storage_open(&store, url, &config, &err) != STORAGE_OK) {
        fail_msg("%s", err.message);
    }
    return store;
}

struct kill_result kill_run(const struct kill_run *run)
{
    struct kill_result result = {0};
    struct under_way way = {.run = run, .result = &result};
    struct storage_url from;
    struct storage_url to;
    struct storage_copy copy = {.source_key = from.key,
                                .destination_key = to.key,
                                .workers = run->workers,
                                .part_size = run->part_size,
                                .stop = &way.stop,
                                .on_object = on_object,
                                .on_progress = on_progress,
                                .context = &way};
    copy.source = open_place(run->config, run->source, &from, &way.stop);
    copy.destination =
        open_place(run->to ? run->to : run->config, run->destination, &to, &way.stop);
    result.code = storage_copy(&copy, &result.summary, &result.err);
    storage_close(copy.source);
    storage_close(copy.destination);
    return result;
}

void kill_run_and_die(const struct kill_run *run)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        kill_run(run);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

uint64_t kill_random(uint64_t *state, uint64_t limit)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's MMIX */
    return (*state >> 33) % limit;
}
