/*
 * lock.h - one running job for each train_url: `.jobferry/lock.json` (design.md §5).
 *
 * The lock is a lease. Its holder writes it anew every LOCK_BEAT_S seconds; another job takes it
 * when its holder is known to be dead (a process of this host, boot and PID namespace that is no
 * more), or when it has seen the lock unchanged for a whole lease. Whether time has passed is
 * judged by our own clock alone: no other machine's is believed.
 *
 * Where the store writes on conditions (storage_put_if; found out with the lock itself) nobody can
 * come in between. Elsewhere, which is said in one line, the lock is advisory: it is written,
 * looked at again a moment later, and looked at before each beat; of two that start in the same
 * moment the one that wrote last goes on.
 */
#ifndef RUNNER_LOCK_H
#define RUNNER_LOCK_H

#include "runner/app.h"
#include "runner/job/remote.h"

enum {
    LOCK_BEAT_S = 5,
    LOCK_LEASE_S = 15
};

struct lock;

struct lock_options {
    const char *train_text; /* train_url for people; opened anew for the lock; borrowed */
    uint64_t wait_s;        /* --lock_wait */
    bool breaks;            /* --break_lock: it is taken, whoever holds it */
    double beat_s, lease_s; /* for tests; 0: as above */
};

/*
 * Takes the lock, or waits for it, and starts the thread that keeps it. *is_conditional tells
 * whether the store writes on conditions. EXIT_CONFIG: another job holds it, told; EXIT_PREEMPTED:
 * app->stop turned true meanwhile; else the code of a failure that was logged.
 */
enum exit_code lock_take(struct lock **lock, struct app *app, const struct lock_options *options,
                         bool *is_conditional);

/* Tells others which run holds it, from the next beat on. */
void lock_name_run(struct lock *lock, const char *run, uint64_t attempt);

/* Turns true when another has the lock. Borrowed. */
const atomic_bool *lock_lost(const struct lock *lock);

/* Ends the thread and removes the lock, if it is ours still. NULL is fine. */
void lock_release(struct lock *lock);

/* Whether the text of a lock is that of a process of this machine that is no more. */
bool lock_is_of_the_dead(const char *text, size_t size);

#endif
