/*
 * copy_view.h - what cp and sync have in common: their two places, what they say of each object,
 * the summary, and the filter that --include and --exclude make.
 */
#ifndef RUNNER_COPY_VIEW_H
#define RUNNER_COPY_VIEW_H

#include "runner/app.h"
#include "runner/manifest.h"
#include "runner/progress.h"

struct copy_view {
    struct app *app;
    struct progress progress;
    struct place source, destination;
    struct storage_filter *filter;    /* NULL: all names */
    struct manifest_writer *manifest; /* borrowed; NULL: none */
};

/*
 * Opens the two places that the command's words name, and reads the filter. On failure logs it and
 * returns its code. Release it either way; on success end its progress before.
 */
enum exit_code copy_view_open(struct copy_view *view, struct app *app, const char *command,
                              const char *verb);
/* The same between these two. */
enum exit_code copy_view_open_places(struct copy_view *view, struct app *app, const char *verb,
                                     const char *source, const char *destination);
void copy_view_release(struct copy_view *view);

/* A copy between the places with the options that both commands take; hooks go to the view. */
struct storage_copy copy_view_copy(struct copy_view *view);

/* A key or path of a place as a person types it. */
void copy_view_show(char *out, size_t size, const struct place *place, const char *key);

/* The last line: for people, or {summary: …}. */
void copy_view_print_summary(struct app *app, const struct storage_summary *summary);

#endif
