/* report_html.c - the page, section by section, in the order in which it is read. */
#include "runner/job/report_html.h"

#include "runner/app.h"
#include "runner/job/report_picture.h"
#include "runner/report_css.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

_Static_assert(MODEL_IDX_SIDE <= (int)PICTURE_SIDE_MAX, "a test image fits a picture");

/* ---- texts ----------------------------------------------------------------------------------- */

/* Any bytes as text of the page, and of its attributes. */
static void put_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            /* Control bytes have no place in HTML, however they are written. */
            fputc((unsigned char)*text < ' ' && *text != '\n' && *text != '\t' ? ' ' : *text, out);
        }
    }
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* A cell with a number; a dash where there is none. */
static void put_cell(FILE *out, int decimals, double value)
{
    if (isfinite(value)) {
        fprintf(out, "<td class=n>%.*f</td>", decimals, value);
    } else {
        fputs("<td class=n>–</td>", out);
    }
}

static void put_bytes(FILE *out, double bytes)
{
    char text[32];
    if (isfinite(bytes) && bytes > 0) {
        format_bytes(text, sizeof text, (uint64_t)bytes);
        fprintf(out, "<td class=n>%s</td>", text);
    } else {
        fputs("<td class=n>–</td>", out);
    }
}

/* ---- head ------------------------------------------------------------------------------------ */

static void put_head(FILE *out, const json_t *report)
{
    fputs("<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
          "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
          "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; "
          "style-src 'unsafe-inline'; img-src data:\">\n<link rel=icon href=\"data:,\">\n<title>",
          out);
    put_text(out, text_of(report, "run"));
    fputs(" – jobferry</title>\n<style>\n", out);
    fwrite(report_css, 1, sizeof report_css, out);
    fputs("</style>\n</head>\n<body>\n", out);
}

static void put_pair(FILE *out, const char *name, const char *text)
{
    if (text[0]) {
        fprintf(out, "<dt>%s</dt><dd>", name);
        put_text(out, text);
        fputs("</dd>\n", out);
    }
}

static void put_end(FILE *out, const json_t *report)
{
    const json_t *end = json_object_get(report, "exit");
    json_int_t code = json_integer_value(json_object_get(end, "code"));
    const json_t *dataset = json_object_get(report, "dataset");
    char text[64];
    fputs("<h1>Run ", out);
    put_text(out, text_of(report, "run"));
    fprintf(out, "</h1>\n<p class=\"mark %s\">", code == 0 ? "good" : "bad");
    fprintf(out, code == 0 ? "Done" : "Exit code %lld, by the ", (long long)code);
    if (code != 0) {
        put_text(out, text_of(end, "by"));
    }
    fputs(code == 0 ? "</p>\n<dl>\n" : ": ", out);
    if (code != 0) {
        put_text(out, text_of(end, "reason"));
        fputs("</p>\n<dl>\n", out);
    }
    snprintf(text, sizeof text, "%lld",
             (long long)json_integer_value(json_object_get(report, "attempt")));
    put_pair(out, "Start", text);
    put_pair(out, "Began", text_of(report, "started"));
    put_pair(out, "Ended", text_of(report, "ended"));
    put_pair(out, "Data", text_of(dataset, "url"));
    double files = number_of(dataset, "files");
    if (isfinite(files)) {
        char bytes[32];
        format_bytes(bytes, sizeof bytes, (uint64_t)number_of(dataset, "bytes"));
        snprintf(text, sizeof text, "%.0f %s, %s", files, files > 1 ? "files" : "file", bytes);
        put_pair(out, "", text);
    }
    put_pair(out, "jobferry", text_of(report, "jobferry"));
    fputs("</dl>\n", out);
}

static void put_warnings(FILE *out, const json_t *report)
{
    const json_t *warnings = json_object_get(report, "warnings");
    if (json_array_size(warnings) == 0) {
        return;
    }
    fputs("<ul class=warnings>\n", out);
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const char *text = json_string_value(json_array_get(warnings, i));
        fputs("<li>", out);
        put_text(out, text ? text : "");
        fputs("</li>\n", out);
    }
    fputs("</ul>\n", out);
}

/* COMMAND's steps are not known: its newest checkpoint is, by its name. */
static void put_named_exposure(FILE *out, const json_t *exposure)
{
    const char *local = text_of(exposure, "newest_local");
    const char *confirmed = text_of(exposure, "newest_confirmed");
    bool safe = strcmp(local, confirmed) == 0;
    if (!local[0]) {
        return;
    }
    fprintf(out, "<p class=%s>", safe ? "good" : "bad");
    put_text(out, local);
    fputs(safe ? ", the newest, is safe in the store.</p>\n"
               : ", the newest, is on the local disk only; the store has ",
          out);
    if (!safe) {
        put_text(out, confirmed[0] ? confirmed : "none of this start");
        fputs(".</p>\n", out);
    }
}

/* What would be lost if the machine went now, and what was promoted. */
static void put_safety(FILE *out, const json_t *report)
{
    const json_t *exposure = json_object_get(report, "exposure");
    const json_t *promotion = json_object_get(report, "promotion");
    double local = number_of(exposure, "newest_local_step");
    double confirmed = number_of(exposure, "newest_confirmed_step");
    if (local <= 0) {
        put_named_exposure(out, exposure);
    } else if (isfinite(local) && isfinite(confirmed)) {
        bool safe = confirmed >= local;
        fprintf(out, "<p class=%s>", safe ? "good" : "bad");
        if (safe) {
            fprintf(out, "Step %.0f, the newest, is safe in the store.</p>\n", local);
        } else {
            fprintf(out,
                    "The store has step %.0f; %.0f steps after it are on the local disk only."
                    "</p>\n",
                    confirmed, local - confirmed);
        }
    }
    if (json_is_object(promotion)) {
        fprintf(out, "<p class=%s>",
                json_is_true(json_object_get(promotion, "promoted")) ? "good" : "soft");
        put_text(out, text_of(promotion, "reason"));
        fputs("</p>\n", out);
    }
}

/* ---- phases ---------------------------------------------------------------------------------- */

static void put_phases(FILE *out, const json_t *report)
{
    enum {
        COLOURS = 5
    };
    const json_t *phases = json_object_get(report, "phases");
    size_t count = json_array_size(phases);
    if (count == 0) {
        return;
    }
    fputs("<h2>Phases</h2>\n<div class=line>", out);
    for (size_t i = 0; i < count; i++) {
        const json_t *phase = json_array_get(phases, i);
        double seconds = number_of(phase, "seconds");
        fprintf(out, "<span class=p%zu style=\"flex-grow:%.6f\" title=\"", i % COLOURS,
                isfinite(seconds) && seconds > 0 ? seconds : 0);
        put_text(out, text_of(phase, "name"));
        fprintf(out, " %.2f s\"></span>", seconds);
    }
    fputs("</div>\n<div class=wide><table>\n<tr><th>Phase<th class=n>Seconds<th class=n>Bytes"
          "<th class=n>Objects<th class=n>Bytes/s</tr>\n",
          out);
    for (size_t i = 0; i < count; i++) {
        const json_t *phase = json_array_get(phases, i);
        double seconds = number_of(phase, "seconds");
        double bytes = number_of(phase, "bytes");
        double objects = number_of(phase, "objects");
        fprintf(out, "<tr><td><span class=\"key p%zu\"></span>", i % COLOURS);
        put_text(out, text_of(phase, "name"));
        fputs("</td>", out);
        put_cell(out, 3, seconds);
        put_bytes(out, bytes);
        put_cell(out, 0, objects > 0 ? objects : (double)NAN);
        put_bytes(out, seconds > 0 ? bytes / seconds : (double)NAN);
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
}

/* ---- curves ---------------------------------------------------------------------------------- */

enum {
    CURVE_WIDTH = 360,
    CURVE_HEIGHT = 200,
    CURVE_LEFT = 48,
    CURVE_TOP = 12,
    CURVE_BOTTOM = 28
};

/* One number over the epochs, as a line with dots; css is "a" or "b". */
static void put_curve(FILE *out, const json_t *epochs, const char *key, const char *title,
                      const char *css)
{
    size_t count = json_array_size(epochs);
    double least = (double)INFINITY;
    double most = -(double)INFINITY;
    for (size_t i = 0; i < count; i++) {
        double value = number_of(json_array_get(epochs, i), key);
        least = isfinite(value) && value < least ? value : least;
        most = isfinite(value) && value > most ? value : most;
    }
    if (count == 0 || !isfinite(least)) {
        return;
    }
    double span = most > least ? most - least : 1;
    double width = CURVE_WIDTH - CURVE_LEFT - 12;
    double height = CURVE_HEIGHT - CURVE_TOP - CURVE_BOTTOM;
    fprintf(out, "<figure><svg viewBox=\"0 0 %d %d\" role=img aria-label=\"%s\">\n", CURVE_WIDTH,
            CURVE_HEIGHT, title);
    fprintf(out, "<path class=axis d=\"M%d %d V%d H%d\"/>\n", CURVE_LEFT, CURVE_TOP,
            CURVE_HEIGHT - CURVE_BOTTOM, CURVE_WIDTH - 12);
    fprintf(out, "<text x=2 y=%d>%.5g</text><text x=2 y=%d>%.5g</text>\n", CURVE_TOP + 8, most,
            CURVE_HEIGHT - CURVE_BOTTOM, least);
    fprintf(out, "<text x=%d y=%d>epoch %.0f</text><text x=%d y=%d text-anchor=end>%.0f</text>\n",
            CURVE_LEFT, CURVE_HEIGHT - 8, number_of(json_array_get(epochs, 0), "epoch"),
            CURVE_WIDTH - 12, CURVE_HEIGHT - 8,
            number_of(json_array_get(epochs, count - 1), "epoch"));
    /* Dots first into the page, then the line through them. */
    fprintf(out, "<g class=%sdot>", css);
    for (int pass = 0; pass < 2; pass++) {
        bool drawn = false;
        for (size_t i = 0; i < count; i++) {
            double value = number_of(json_array_get(epochs, i), key);
            double x =
                CURVE_LEFT + (count > 1 ? width * (double)i / (double)(count - 1) : width / 2);
            double y = CURVE_TOP + height - height * (value - least) / span;
            if (!isfinite(value)) {
                continue;
            }
            if (pass == 0) {
                fprintf(out, "<circle cx=%.1f cy=%.1f r=3></circle>", x, y);
            } else {
                fprintf(out, "%s%.1f %.1f", drawn ? " L" : "M", x, y);
            }
            drawn = true;
        }
        if (pass == 0) {
            fprintf(out, "</g>\n<path class=%s d=\"", css);
        }
    }
    fprintf(out, "\"/>\n</svg><figcaption>%s</figcaption></figure>\n", title);
}

static void put_training(FILE *out, const json_t *report)
{
    const json_t *training = json_object_get(report, "training");
    const json_t *epochs = json_object_get(training, "epochs");
    const json_t *metrics = json_object_get(training, "metrics");
    size_t count = json_array_size(epochs);
    if (count == 0 && !metrics) {
        return;
    }
    fputs("<h2>Training</h2>\n", out);
    const char *name = NULL;
    json_t *value = NULL;
    fputs("<p>", out);
    json_object_foreach((json_t *)(uintptr_t)metrics, name, value)
    {
        put_text(out, name);
        fprintf(out, " <span class=mark>%.6g</span> &nbsp; ", json_number_value(value));
    }
    fputs("</p>\n<div class=curves>\n", out);
    put_curve(out, epochs, "loss", "Mean loss of each epoch", "a");
    put_curve(out, epochs, "acc", "Accuracy on the test images after each epoch", "b");
    fputs("</div>\n", out);
    const char *curve = text_of(training, "curve");
    if (curve[0]) {
        fputs("<p><a href=\"", out);
        put_text(out, curve);
        fputs("\">The loss of each step, also of the starts before this one</a></p>\n", out);
    }
    fputs("<div class=wide><table>\n<tr><th class=n>Epoch<th class=n>Loss<th class=n>"
          "Accuracy<th class=n>Seconds<th class=n>Images/s</tr>\n",
          out);
    for (size_t i = 0; i < count; i++) {
        const json_t *epoch = json_array_get(epochs, i);
        fputs("<tr>", out);
        put_cell(out, 0, number_of(epoch, "epoch"));
        put_cell(out, 5, number_of(epoch, "loss"));
        put_cell(out, 4, number_of(epoch, "acc"));
        put_cell(out, 2, number_of(epoch, "seconds"));
        put_cell(out, 0, number_of(epoch, "images_per_second"));
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
}

/* ---- what was wrong -------------------------------------------------------------------------- */

static void put_confusion(FILE *out, const json_t *report)
{
    const json_t *rows = json_object_get(json_object_get(report, "training"), "confusion");
    size_t size = json_array_size(rows);
    if (size == 0) {
        return;
    }
    fputs("<h2>Confusion</h2>\n<p class=soft>A row for each true class, a column for each "
          "prediction.</p>\n<div class=wide><table class=confusion>\n<tr><th>",
          out);
    for (size_t k = 0; k < size; k++) {
        fprintf(out, "<th>%zu", k);
    }
    fputs("<th>right</tr>\n", out);
    for (size_t truth = 0; truth < size; truth++) {
        const json_t *row = json_array_get(rows, truth);
        double sum = 0;
        for (size_t k = 0; k < size; k++) {
            sum += (double)json_integer_value(json_array_get(row, k));
        }
        fprintf(out, "<tr><th>%zu", truth);
        for (size_t k = 0; k < size; k++) {
            double value = (double)json_integer_value(json_array_get(row, k));
            /* Few mistakes should still be seen: their shade goes by the square root. */
            double shade = sum > 0 ? sqrt(value / sum) * (k == truth ? 0.3 : 0.6) : 0;
            fprintf(out, "<td style=\"background:rgba(var(--cell),%.2f)\">%.0f", shade, value);
        }
        double right = (double)json_integer_value(json_array_get(row, truth));
        fprintf(out, "<td>%.1f %%</tr>\n", sum > 0 ? 100 * right / sum : 0);
    }
    fputs("</table></div>\n", out);
}

static void put_wrong(FILE *out, const struct report_wrong *wrong, size_t count)
{
    char url[PICTURE_URL_MAX];
    if (count == 0) {
        return;
    }
    fputs("<h2>Wrong predictions</h2>\n<div class=wrong>\n", out);
    for (size_t i = 0; i < count; i++) {
        report_picture_url(url, wrong[i].pixels, MODEL_IDX_SIDE);
        fprintf(out,
                "<figure><img alt=\"test image %llu\" src=\"%s\"><figcaption>%u, not %u"
                "</figcaption></figure>\n",
                (unsigned long long)wrong[i].image, url, wrong[i].truth, wrong[i].prediction);
    }
    fputs("</div>\n", out);
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

static void put_checkpoints(FILE *out, const json_t *report)
{
    const json_t *list = json_object_get(report, "checkpoints");
    if (json_array_size(list) == 0) {
        return;
    }
    fputs(
        "<h2>Checkpoints</h2>\n<div class=wide><table>\n<tr><th>Name<th>State<th>Complete "
        "by<th>Verified by"
        "<th class=n>Epoch<th class=n>Step<th class=n>Size<th>CRC-32<th class=n>Seconds to pointer"
        "</tr>\n",
        out);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *state = text_of(one, "state");
        const char *verified = text_of(one, "verified");
        fputs("<tr><td>", out);
        put_text(out, text_of(one, "name"));
        fprintf(out, "</td><td class=%s>",
                strcmp(state, "confirmed") == 0 ? "good"
                : strcmp(state, "failed") == 0  ? "bad"
                                                : "soft");
        put_text(out, state);
        fputs("</td><td>", out);
        put_text(out, text_of(one, "evidence"));
        fputs("</td><td>", out);
        put_text(out, verified[0] ? verified : "–");
        fputs("</td>", out);
        put_cell(out, 0, number_of(one, "epoch"));
        put_cell(out, 0, number_of(one, "step"));
        put_bytes(out, number_of(one, "size"));
        fputs("<td>", out);
        put_text(out, text_of(one, "crc32"));
        fputs("</td>", out);
        put_cell(out, 3, number_of(one, "seconds_to_pointer"));
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void put_arguments(FILE *out, const json_t *report)
{
    json_t *arguments = json_object_get(report, "arguments");
    const json_t *unknown = json_object_get(report, "unknown_arguments");
    const char *name = NULL;
    json_t *value = NULL;
    if (json_object_size(arguments) == 0 && json_array_size(unknown) == 0) {
        return;
    }
    fputs("<h2>Arguments</h2>\n<dl>\n", out);
    json_object_foreach(arguments, name, value)
    {
        char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
        fputs("<dt>--", out);
        put_text(out, name);
        fputs("</dt><dd>", out);
        put_text(out, text ? text : json_is_string(value) ? json_string_value(value) : "");
        fputs("</dd>\n", out);
        free(text);
    }
    for (size_t i = 0; i < json_array_size(unknown); i++) {
        fputs("<dt>", out);
        put_text(out, json_string_value(json_array_get(unknown, i)));
        fputs("</dt><dd class=soft>not ours: its value is not kept</dd>\n", out);
    }
    fputs("</dl>\n", out);
}

char *report_html(const json_t *report, const struct report_wrong *wrong, size_t wrong_count)
{
    char *page = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&page, &size);
    if (!out) {
        return NULL;
    }
    put_head(out, report);
    put_end(out, report);
    put_warnings(out, report);
    put_safety(out, report);
    put_phases(out, report);
    put_training(out, report);
    put_confusion(out, report);
    put_wrong(out, wrong, wrong_count);
    put_checkpoints(out, report);
    put_arguments(out, report);
    fputs("</body>\n</html>\n", out);
    bool good = !ferror(out);
    good = fclose(out) == 0 && good;
    if (!good) {
        free(page);
        return NULL;
    }
    return page;
}
