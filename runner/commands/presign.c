/* presign.c - `jobferry presign URL`: prints a URL that permits one request to whoever has it. */
#include "runner/commands/commands.h"

#include "runner/json_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runner/runner_banned.h"

enum exit_code command_presign(struct app *app)
{
    const struct settings *settings = app->settings;
    struct place place = {0};
    struct storage_error err;
    char expires[32];
    char *url = NULL;
    if (app->arguments->positional_count != 1) {
        return app_fail(app, EXIT_USAGE, "presign takes one URL, not %zu words",
                        app->arguments->positional_count);
    }
    if (settings->expires_at && options_given(app->arguments, "expires_in")) {
        return app_fail(app, EXIT_USAGE, "presign takes --expires_in or --expires_at, not both");
    }
    enum exit_code code =
        place_open(&place, app, SIDE_DATA, app->arguments->positional[0], app->stop, 0);
    if (code) {
        goto done;
    }
    if (!place.url.key[0]) {
        code = app_fail(app, EXIT_USAGE, "presign %s: the URL must name an object", place.text);
        goto done;
    }
    url = malloc(STORAGE_PRESIGN_MAX);
    if (!url) {
        code = app_fail(app, EXIT_BUG, "presign %s: no memory", place.text);
        goto done;
    }
    int64_t until = settings->expires_at ? (int64_t)settings->expires_at
                                         : (int64_t)time(NULL) + (int64_t)settings->expires_in;
    if (storage_presign(place.store, place.url.key, settings->method, until, url,
                        STORAGE_PRESIGN_MAX, &err)) {
        code = app_fail_storage(app, &err);
        goto done;
    }
    format_time(expires, sizeof expires, until * 1000000000);
    if (settings->json) {
        json_line_print(
            json_pack("{ss ss ss}", "url", url, "method", settings->method, "expires", expires));
    } else {
        puts(url);
    }
done:
    free(url);
    place_close(&place);
    return code;
}
