/*
 * signals.h - what signals ask of this process. One set of them: a process has but one.
 *
 * The first SIGINT, SIGTERM or SIGALRM asks for an orderly end and sets the stop flag; a second one
 * asks for an end at once and sets stop_now. A job's grace is a second signal that the first one
 * orders for later. So all that works looks at two flags and needs no clock of its own.
 *
 * A job with a child also listens: every signal that came is told by a descriptor, to be passed on.
 */
#ifndef RUNNER_SIGNALS_H
#define RUNNER_SIGNALS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Once, at the start. SIGPIPE is ignored from then on. */
void signals_catch(void);

const atomic_bool *signals_stop(void);
const atomic_bool *signals_stop_now(void);
/* The signal that set the stop flag; 0 while none has. */
int signals_cause(void);

/* Seconds from the first signal to stop_now; without this call there is no such end. */
void signals_set_grace(unsigned seconds);
/* Takes this signal for one that asks for an end, as SIGTERM. */
void signals_add_stop(int number);
/* Sends ourselves SIGALRM in so many seconds; 0: never. */
void signals_set_alarm(uint64_t seconds);

/*
 * From now on every signal that can be passed on is caught, SIGCHLD too. Returns a descriptor (of
 * this module) that is readable after one came; -1: errno says why not. One that was ignored when
 * we were started stays so, but for SIGQUIT.
 */
int signals_listen(void);
/* The signals that came since the last call: bit number - 1. Makes the descriptor unreadable. */
uint64_t signals_take(void);

/* "TERM", "SIGTERM", "15" or "RTMIN+1"; 0: no such signal. */
int signals_parse(const char *name);
/* "SIGTERM"; size >= 16. */
void signals_name(int number, char *out, unsigned size);

#endif
