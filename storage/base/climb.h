/*
 * climb.h - how many of something to do at once: more as long as that gets more done.
 *
 * Begins with few. When a window of work is over, the width is doubled, and kept if the window
 * after it got at least a fifth more done a second; else it goes back, and stays for a while
 * before it tries again, for longer each time. No lock, no clock of its own. The idea is mc's (more
 * workers each four seconds until three tries gained nothing); kvikio found that more than what is
 * needed is slower.
 */
#ifndef STORAGE_CLIMB_H
#define STORAGE_CLIMB_H

struct climb {
    unsigned width; /* how many may be under way */
    unsigned ceiling;
    unsigned before; /* the width before the step that is being tried; 0: none is */
    unsigned rest;   /* windows until the next try */
    unsigned failed; /* tries in a row that brought nothing */
    double rate;     /* that `before` reached */
    double since;    /* when the window began */
    double amount;   /* done in it */
    unsigned count;  /* pieces done in it */
};

/* start and ceiling are at least 1; now in seconds. */
void climb_init(struct climb *climb, unsigned start, unsigned ceiling, double now);
/* A piece of work is done, of so much worth in any unit. */
void climb_note(struct climb *climb, double now, double amount);

#endif
