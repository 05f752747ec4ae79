/*
 * preflight.h - what can be found wrong before work begins: VALIDATE's checks, and all of
 * `jobferry check`.
 *
 * Checks come cheapest first, and nothing is downloaded. Each ends in one finding: fine, a warning,
 * or a failure with the exit code that the job would end in; the last two say what to do. All of
 * them together take PREFLIGHT_MS at most: then what still waits for an answer is told as failed.
 *
 *   trainer      its options; COMMAND is found in PATH
 *   folders      data, checkpoints and output can be written
 *   urls         both are given, mean something and do not overlap; which keys are used
 *   train_url    put, get, delete; an upload in parts is begun and aborted
 *   data_url     holds something: objects, bytes, their sum (data_manifest.h)
 *   credentials  whose keys; a session token that nothing renews, against --time_limit where its
 *                expiry is known
 *   clock        how far ours is from the stores'
 *   lock         who else runs on this train_url (only `check`: the job takes the lock itself)
 *   disk         room for the data and for checkpoints
 */
#ifndef RUNNER_PREFLIGHT_H
#define RUNNER_PREFLIGHT_H

#include "runner/job/job.h"

enum finding_state {
    FINDING_OK,
    FINDING_WARNING,
    FINDING_FAILED
};

struct finding {
    const char *check; /* its name as above; static */
    enum finding_state state;
    enum exit_code code; /* of a failure */
    char text[2048];     /* without the remedy */
    char remedy[320];    /* "": none is needed, or the text has it */
};

typedef void finding_fn(void *context, const struct finding *finding);

/*
 * Checks job, after state_init, and fills its data_text, train_text and data_manifest. A failure
 * ends it, logged as usual, and its code is returned. With all, failures are not logged, checks go
 * on where they do not need what failed, and the first failure's code is returned. found is told
 * each finding; a second warning of one check comes as a finding of its own.
 */
enum exit_code preflight_run(struct job *job, bool all, finding_fn *found, void *context);

/*
 * Whether something may be put into train_url although checks failed, whichever came first: it is
 * given, and keeps clear of data_url; a folder must be there already. Logs nothing.
 */
bool preflight_may_write(const struct job *job);

/*
 * `check`: prints each finding as one line, or a JSON object {check, state, text, remedy, exit};
 * with JSON a last line {summary: {checks, warnings, failed, seconds}}.
 */
enum exit_code preflight_print(struct app *app);

#endif
