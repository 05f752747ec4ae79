/*
 * pace.h - how fast requests may follow each other, when a store asks for fewer (503, 429).
 *
 * Until then there is no limit. Asked for less, the pace becomes half of what requests lately came
 * at, and half of that when asked again, at most once in half a second: what was under way when the
 * store first said so says it once more. Each second without such a word adds a twentieth of the
 * pace at which it was first said, until twice that is reached and there is no limit again: the
 * additive increase and multiplicative decrease of TCP, as the AWS SDKs' adaptive mode has it, too.
 *
 * No clock of its own, and no lock: `now` is in seconds and never goes back.
 */
#ifndef STORAGE_PACE_H
#define STORAGE_PACE_H

struct pace {
    double limit;   /* requests a second; 0: none */
    double raised;  /* when it was last raised */
    double step;    /* by which it rises a second */
    double end;     /* at which there is no limit again */
    double slowed;  /* when it was last halved */
    double next;    /* when the next request may go */
    double since;   /* the pace is counted from here */
    double counted; /* requests since */
    double lately;  /* requests a second, before */
};

/* A zeroed pace is one without a limit. Seconds to wait before a request is sent; counts it. */
double pace_take(struct pace *pace, double now);
/* The store has asked for less. */
void pace_slow(struct pace *pace, double now);

#endif
