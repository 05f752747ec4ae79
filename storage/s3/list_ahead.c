/*
 * list_ahead.c - pages of a recursive listing, fetched by threads ahead of who reads them.
 *
 * What is to be listed is a row of ranges of keys, in order; at first one, all. Whoever has nothing
 * to do takes the first range that wants a page. Before that the range is cut at a guess at the key
 * RANGE_PAGES further, when it seems to hold more, so that the next has something to take, too.
 * A page that goes beyond its range's end shows that the guess was wide of the mark: a range that
 * nobody has begun is then joined on again.
 *
 * How many fetch at once begins with one, or with what the last listing of the store ended with,
 * and grows while that brings more pages a second (climb.h): a store far away gives as many times
 * as many as it is asked at once. Beside that it grows by one with each page that was useful and is
 * halved by one that was not, as with TCP: where keys are no numbers this ends as a page fetched
 * ahead, and little more. At most AHEAD_BYTES of pages wait; then only the page that is wanted next
 * is fetched.
 */
#include "storage/base/climb.h"
#include "storage/s3/list.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/storage_banned.h"

enum {
    THREADS_MAX = 16,
    RANGES_MAX = 64,
    RANGE_PAGES = 4, /* that a range should have, and that wait in it at most */
    AHEAD_BYTES = 8 * 1024 * 1024
};

struct waiting {
    struct waiting *next;
    struct xml_page page;
    size_t bytes;
};

struct range {
    struct range *next;
    struct list_cursor cursor;
    char *until;             /* owned; the last key of the range, if there is one so; NULL: none */
    bool is_busy;            /* in the hands of a thread, without the lock */
    bool is_done;            /* no more pages */
    enum storage_code code;  /* of its failure */
    struct list_scale scale; /* of its last page, or of one before the range */
    unsigned pages_beyond;   /* how far behind that page the range begins */
    struct waiting *pages;   /* in order */
    unsigned page_count;
};

struct list_ahead {
    struct s3_store *store;
    const char *prefix;
    atomic_bool is_closing;

    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t work;  /* threads: something may have become to do */
    pthread_cond_t ready; /* the reader: the first range has changed */
    struct range *ranges;
    unsigned range_count;
    size_t bytes;               /* of pages that wait */
    unsigned busy;              /* threads that fetch */
    unsigned trust;             /* how many may, by what guesses were worth */
    struct climb climb;         /* how many may, by what it brings */
    struct storage_error error; /* of the first range that failed */
    pthread_t threads[THREADS_MAX];
    unsigned thread_count;
    unsigned threads_max;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static struct range *range_new(struct list_ahead *ahead, const char *after)
{
    struct range *range = calloc(1, sizeof *range);
    if (range) {
        list_cursor_init(&range->cursor, ahead->store, ahead->prefix, true, after);
        range->cursor.stop = &ahead->is_closing;
        ahead->range_count++;
    }
    return range;
}

static void waiting_free(struct waiting *waiting)
{
    if (waiting) {
        xml_page_release(&waiting->page);
        free(waiting);
    }
}

static void range_free(struct list_ahead *ahead, struct range *range)
{
    while (range->pages) {
        struct waiting *page = range->pages;
        range->pages = page->next;
        waiting_free(page);
    }
    list_cursor_release(&range->cursor);
    free(range->until);
    free(range);
    ahead->range_count--;
}

/* Whether nobody has asked for anything of it. */
static bool is_fresh(const struct range *range)
{
    return !range->is_busy && range->cursor.page_count == 0 && !range->is_done && !range->code;
}

/* How many may fetch at once. */
static unsigned width_of(const struct list_ahead *ahead)
{
    return ahead->trust < ahead->climb.width ? ahead->trust : ahead->climb.width;
}

/* Makes the next range, which is fresh, a part of this one again. */
static void join_next(struct list_ahead *ahead, struct range *range)
{
    struct range *next = range->next;
    free(range->until);
    range->until = next->until;
    next->until = NULL;
    range->next = next->next;
    range_free(ahead, next);
}

/* Cuts off what lies further than RANGE_PAGES, when that is more than as much again. */
static void cut(struct list_ahead *ahead, struct range *range)
{
    char key[STORAGE_KEY_MAX + 1];
    unsigned pages = range->pages_beyond + RANGE_PAGES;
    bool may_cut = ahead->range_count < RANGES_MAX && !range->cursor.is_version1 &&
                   atomic_load(&ahead->store->start_after) == S3_START_AFTER_WORKS;
    if (!may_cut ||
        (range->until && (!list_scale_guess(&range->scale, pages + RANGE_PAGES, key) ||
                          strcmp(key, range->until) >= 0)) ||
        !list_scale_guess(&range->scale, pages, key) || strcmp(key, range->cursor.last.data) <= 0) {
        return;
    }
    char *until = strdup(key);
    struct range *next = until ? range_new(ahead, key) : NULL;
    if (!next) {
        free(until); /* it goes on uncut */
        return;
    }
    next->until = range->until;
    next->next = range->next;
    next->scale = range->scale;
    next->pages_beyond = pages;
    range->until = until;
    range->next = next;
}

/* ---- fetching -------------------------------------------------------------------------------- */

/* The first range that wants a page; NULL: none may have one now. */
static struct range *choose(struct list_ahead *ahead)
{
    bool is_full = ahead->bytes >= AHEAD_BYTES || ahead->busy >= width_of(ahead);
    for (struct range *range = ahead->ranges; range && !range->code; range = range->next) {
        bool is_wanted = range == ahead->ranges && range->page_count == 0;
        if (!range->is_busy && !range->is_done &&
            (is_wanted || (!is_full && range->page_count < RANGE_PAGES))) {
            return range;
        }
    }
    return NULL;
}

/* Drops the rows that lie behind the range; returns whether there were any. */
static bool cut_rows(const struct range *range, struct xml_page *page)
{
    size_t count = page->count;
    while (range->until && page->count > 0 &&
           strcmp(xml_page_key(page, page->count - 1), range->until) > 0) {
        page->count--;
    }
    return page->count < count;
}

static void append(struct list_ahead *ahead, struct range *range, struct waiting *page)
{
    struct waiting **end = &range->pages;
    while (*end) {
        end = &(*end)->next;
    }
    *end = page;
    page->bytes = page->page.count * sizeof *page->page.rows + page->page.text.capacity;
    ahead->bytes += page->bytes;
    range->page_count++;
}

/* Takes a page in, lock held; a page that is not kept is freed. */
static void take_in(struct list_ahead *ahead, struct range *range, struct waiting *page)
{
    bool is_first = range == ahead->ranges;
    const char *last = range->cursor.last.data;
    bool is_end = range->cursor.is_last; /* of the listing: what is fresh behind it is empty */
    while (range->next && is_fresh(range->next) && (is_end || strcmp(last, range->until) > 0)) {
        join_next(ahead, range);
    }
    range->is_done = cut_rows(range, &page->page) || is_end;
    if (page->page.count > 0) {
        append(ahead, range, page);
        ahead->trust += ahead->trust < ahead->threads_max && !range->is_done;
        climb_note(&ahead->climb, now(), 1);
    } else {
        waiting_free(page);
        ahead->trust = is_first || ahead->trust < 4 ? ahead->trust : ahead->trust / 2;
    }
}

/* Whether the range comes before all that have failed. */
static bool fails_first(const struct list_ahead *ahead, const struct range *failed)
{
    const struct range *range = ahead->ranges;
    while (range != failed && !range->code) {
        range = range->next;
    }
    return range == failed;
}

static void *thread_run(void *context);

/* Wakes a thread when there is something to fetch, or starts one when all are at it; lock held. */
static void call_thread(struct list_ahead *ahead)
{
    if (!choose(ahead)) {
        return;
    }
    if (ahead->busy < ahead->thread_count) {
        pthread_cond_signal(&ahead->work);
    } else if (ahead->thread_count < ahead->threads_max &&
               pthread_create(&ahead->threads[ahead->thread_count], NULL, thread_run, ahead) == 0) {
        ahead->thread_count++;
    }
}

/* Fetches one page of a range; the lock is held, but not while that takes. */
static void step(struct list_ahead *ahead, struct range *range)
{
    struct storage_error err = {0};
    struct waiting *page = calloc(1, sizeof *page);
    enum storage_code code = STORAGE_OK;
    if (width_of(ahead) > 1) {
        cut(ahead, range);
    } else if (range->next && is_fresh(range->next)) {
        join_next(ahead, range);
    }
    range->is_busy = true;
    ahead->busy++;
    call_thread(ahead);
    pthread_mutex_unlock(&ahead->lock);
    if (page) {
        xml_page_init(&page->page);
        code = list_cursor_next(&range->cursor, &page->page, &err);
    } else {
        code = STORAGE_BUG;
        storage_fail(&err, code, "list s3://%s/%s: no memory", ahead->store->base.bucket,
                     ahead->prefix);
    }
    if (code == STORAGE_OK) {
        list_scale_read(&range->scale, &page->page, strlen(ahead->prefix));
        range->pages_beyond = 0;
    }
    pthread_mutex_lock(&ahead->lock);
    ahead->busy--;
    range->is_busy = false;
    if (code == STORAGE_OK) {
        take_in(ahead, range, page);
    } else {
        waiting_free(page);
        if (fails_first(ahead, range)) {
            ahead->error = err;
        }
        range->code = code;
    }
    pthread_cond_signal(&ahead->ready);
}

static void *thread_run(void *context)
{
    struct list_ahead *ahead = context;
    pthread_mutex_lock(&ahead->lock);
    while (!atomic_load(&ahead->is_closing)) {
        struct range *range = choose(ahead);
        if (range) {
            step(ahead, range);
        } else {
            pthread_cond_wait(&ahead->work, &ahead->lock);
        }
    }
    pthread_mutex_unlock(&ahead->lock);
    return NULL;
}

/* ---- for the reader -------------------------------------------------------------------------- */

enum storage_code list_ahead_open(struct list_ahead **result, struct s3_store *store,
                                  const char *prefix, struct storage_error *err)
{
    struct list_ahead *ahead = calloc(1, sizeof *ahead);
    *result = ahead;
    if (ahead) {
        unsigned lanes = store->config.connections_max;
        unsigned first = atomic_load(&store->list_width);
        ahead->store = store;
        ahead->prefix = prefix;
        ahead->trust = 2;
        ahead->threads_max = lanes < THREADS_MAX ? lanes : THREADS_MAX;
        climb_init(&ahead->climb, first > 0 ? first : 1, ahead->threads_max, now());
        pthread_mutex_init(&ahead->lock, NULL);
        pthread_cond_init(&ahead->work, NULL);
        pthread_cond_init(&ahead->ready, NULL);
        ahead->ranges = range_new(ahead, "");
    }
    if (!ahead || !ahead->ranges) {
        list_ahead_close(ahead);
        *result = NULL;
        return storage_fail(err, STORAGE_BUG, "list s3://%s/%s: no memory", store->base.bucket,
                            prefix);
    }
    ahead->ranges->cursor.may_try_after = true;
    pthread_mutex_lock(&ahead->lock);
    call_thread(ahead);
    pthread_mutex_unlock(&ahead->lock);
    return STORAGE_OK;
}

static void hand_over(struct list_ahead *ahead, struct range *range, struct xml_page *page)
{
    struct waiting *first = range->pages;
    range->pages = first->next;
    range->page_count--;
    ahead->bytes -= first->bytes;
    xml_page_release(page);
    *page = first->page;
    free(first);
}

enum storage_code list_ahead_take(struct list_ahead *ahead, struct xml_page *page, bool *ended,
                                  struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    pthread_mutex_lock(&ahead->lock);
    for (bool is_taken = false; !is_taken && code == STORAGE_OK && ahead->ranges;) {
        struct range *first = ahead->ranges;
        if (first->pages) {
            hand_over(ahead, first, page);
            is_taken = true;
        } else if (first->code) {
            code = first->code;
            *err = ahead->error;
        } else if (first->is_done) {
            ahead->ranges = first->next;
            range_free(ahead, first);
        } else if (ahead->thread_count == 0) {
            step(ahead, first); /* no thread could be had */
        } else {
            call_thread(ahead);
            pthread_cond_wait(&ahead->ready, &ahead->lock);
        }
    }
    *ended = !ahead->ranges;
    call_thread(ahead);
    pthread_mutex_unlock(&ahead->lock);
    return code;
}

void list_ahead_close(struct list_ahead *ahead)
{
    if (!ahead) {
        return;
    }
    pthread_mutex_lock(&ahead->lock);
    atomic_store(&ahead->is_closing, true);
    pthread_cond_broadcast(&ahead->work);
    pthread_mutex_unlock(&ahead->lock);
    for (unsigned i = 0; i < ahead->thread_count; i++) {
        pthread_join(ahead->threads[i], NULL);
    }
    while (ahead->ranges) {
        struct range *range = ahead->ranges;
        ahead->ranges = range->next;
        range_free(ahead, range);
    }
    atomic_store(&ahead->store->list_width,
                 ahead->climb.before ? ahead->climb.before : ahead->climb.width);
    pthread_mutex_destroy(&ahead->lock);
    pthread_cond_destroy(&ahead->work);
    pthread_cond_destroy(&ahead->ready);
    free(ahead);
}
