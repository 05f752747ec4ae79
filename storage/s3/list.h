/*
 * list.h - the parts of a store's listing; only list*.c, and their tests, include it.
 *
 *   list.c         the lister: rows of one page after another
 *   list_cursor.c  one way through the pages, and all that is not believed of them
 *   list_ahead.c   pages fetched ahead by threads, of several ranges of keys at once
 *   list_scale.c   a guess at the key that lies so many pages further
 *
 * A listing that will be read to its end is cut into ranges of keys, (after, until], each with a
 * cursor of its own; whoever reads gets the pages of the first range, then those of the second. So
 * keys come in order whatever the guesses are worth: a bad one costs a request, or makes a range
 * longer than meant, which is then cut again. A failure of any range is the listing's, when its
 * turn comes.
 */
#ifndef STORAGE_S3_LIST_H
#define STORAGE_S3_LIST_H

#include "storage/s3/s3.h"

/* ---- list_cursor.c -------------------------------------------------------------------------- */

struct list_cursor {
    struct s3_store *store;
    const char *prefix;      /* borrowed */
    const atomic_bool *stop; /* NULL: none of its own */
    bool is_recursive;
    bool may_try_after; /* the second page may be asked for by start-after, to see if that works */
    bool is_version1;
    bool is_encoded; /* ask with encoding-type=url */
    bool is_last;    /* no page follows the one that came last */
    unsigned page_count;
    unsigned empty_pages; /* in a row */
    struct buf marker;    /* or token of the next page */
    struct buf last;      /* the last key that came; before the first page: begin behind it */
};

/* after: begin behind this key, ""  for the beginning. */
void list_cursor_init(struct list_cursor *cursor, struct s3_store *store, const char *prefix,
                      bool is_recursive, const char *after);
void list_cursor_release(struct list_cursor *cursor);
/*
 * Fetches the page that follows, into an initialised one. Its rows are in order, each once, and
 * behind all that came before; there may be none. A store that repeats, goes back or gives no way
 * on is STORAGE_TRANSFER.
 */
enum storage_code list_cursor_next(struct list_cursor *cursor, struct xml_page *page,
                                   struct storage_error *err);
/* The error of a listing whose answer cannot be. */
enum storage_code list_fail(const struct s3_store *store, const char *prefix, const char *why,
                            struct storage_error *err);

/* ---- list_scale.c --------------------------------------------------------------------------- */

enum {
    LIST_DIGITS_MAX = 24
};

/*
 * The keys of a page read as numbers: what differs among them are digits (of ten, of sixteen, or
 * letters), the rest stays. Between its first and last key lies one page.
 */
struct list_scale {
    char key[STORAGE_KEY_MAX + 1]; /* the page's last, cut behind its last digit */
    unsigned count;                /* of digits; 0: these keys are no numbers */
    struct {
        uint16_t at; /* in key; the most significant first */
        uint8_t set; /* of classes of characters */
    } digits[LIST_DIGITS_MAX];
    uint64_t value; /* of key */
    uint64_t limit; /* all values are below it */
    uint64_t step;  /* from the page's first key to its last */
};

/* Reads a page's rows; fixed is how many bytes at the keys' beginning never change. */
void list_scale_read(struct list_scale *scale, const struct xml_page *page, size_t fixed);
/* The key so many pages behind the page that was read; false: nobody can tell. */
bool list_scale_guess(const struct list_scale *scale, unsigned pages,
                      char key[STORAGE_KEY_MAX + 1]);

/* ---- list_ahead.c --------------------------------------------------------------------------- */

struct list_ahead;

/* Begins to fetch at once. prefix is borrowed until the close. */
enum storage_code list_ahead_open(struct list_ahead **ahead, struct s3_store *store,
                                  const char *prefix, struct storage_error *err);
/* Waits for the next page, and moves it into an initialised one. *ended: there is none. */
enum storage_code list_ahead_take(struct list_ahead *ahead, struct xml_page *page, bool *ended,
                                  struct storage_error *err);
/* Ends what is under way. NULL is fine. */
void list_ahead_close(struct list_ahead *ahead);

#endif
