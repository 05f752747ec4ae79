#include "storage/base/pace.h"

#include "storage/storage_banned.h"

static const double slow_again = 0.5; /* seconds */
static const double pace_min = 4;     /* requests a second */
static const double step_part = 20;   /* steps of a second from nothing to the first pace */
static const double look_back = 1;    /* seconds over which the pace is counted */

/* Raises the limit for the time that went by. */
static void raise_limit(struct pace *pace, double now)
{
    if (pace->limit > 0 && now > pace->raised) {
        pace->limit += pace->step * (now - pace->raised);
        pace->raised = now;
        pace->limit = pace->limit >= pace->end ? 0 : pace->limit;
    }
}

static double count_pace(const struct pace *pace, double now)
{
    double seconds = now - pace->since;
    double present = seconds > 0 ? pace->counted / seconds : pace->counted;
    return present > pace->lately ? present : pace->lately;
}

double pace_take(struct pace *pace, double now)
{
    double wait = 0;
    raise_limit(pace, now);
    if (now - pace->since >= look_back) {
        pace->lately = pace->counted / (now - pace->since);
        pace->since = now;
        pace->counted = 0;
    }
    pace->counted++;
    if (pace->limit > 0) {
        pace->next = pace->next > now ? pace->next : now;
        wait = pace->next - now;
        pace->next += 1 / pace->limit;
    }
    return wait;
}

void pace_slow(struct pace *pace, double now)
{
    raise_limit(pace, now);
    if (pace->limit > 0 && now - pace->slowed < slow_again) {
        return;
    }
    if (pace->limit == 0) {
        double before = count_pace(pace, now);
        before = before > 2 * pace_min ? before : 2 * pace_min;
        pace->limit = before;
        pace->step = before / step_part;
        pace->end = 2 * before;
        pace->next = now;
    }
    pace->limit = pace->limit / 2 > pace_min ? pace->limit / 2 : pace_min;
    pace->slowed = now;
    pace->raised = now;
}
