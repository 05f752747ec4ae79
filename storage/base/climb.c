#include "storage/base/climb.h"

#include <stdbool.h>

#include "storage/storage_banned.h"

enum {
    ROUNDS = 2, /* of all that are under way make a window */
    REST = 8,   /* windows, after a step that brought nothing; doubled each time */
    DOUBLINGS_MAX = 5
};
static const double window_min = 0.1; /* seconds: shorter ones are noise */
static const double gain_min = 1.2;

void climb_init(struct climb *climb, unsigned start, unsigned ceiling, double now)
{
    *climb = (struct climb){
        .width = start < ceiling ? start : ceiling, .ceiling = ceiling, .since = now};
}

void climb_note(struct climb *climb, double now, double amount)
{
    climb->amount += amount;
    climb->count++;
    double seconds = now - climb->since;
    if (climb->count < ROUNDS * climb->width || seconds < window_min) {
        return;
    }
    double rate = climb->amount / seconds;
    climb->since = now;
    climb->amount = 0;
    climb->count = 0;
    bool is_better = climb->before && rate >= climb->rate * gain_min;
    climb->failed = is_better ? 0 : climb->failed;
    if (climb->before && !is_better) {
        climb->width = climb->before;
        climb->before = 0;
        climb->rest = (unsigned)REST << climb->failed;
        climb->failed += climb->failed < DOUBLINGS_MAX;
    } else if (climb->rest > 0) {
        climb->rest--;
    } else if (climb->width < climb->ceiling) {
        climb->rate = rate;
        climb->before = climb->width;
        climb->width = climb->width < climb->ceiling / 2 ? climb->width * 2 : climb->ceiling;
    } else {
        climb->before = 0; /* there is no more, and this much is worth it */
    }
}
