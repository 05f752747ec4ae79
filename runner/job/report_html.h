/*
 * report_html.h - the report as one page that needs nothing else: no script, no font, no picture
 * from anywhere. It reads on a phone and follows the reader's light or dark scheme; its style is
 * runner/report.css, built in.
 *
 * Warnings and the end come first, then phases as a time line, curves of loss and accuracy, what
 * the final weights got wrong, and each checkpoint with how it was verified. Every text is escaped,
 * and the page forbids the browser to load anything, whatever a name may hold.
 */
#ifndef RUNNER_REPORT_HTML_H
#define RUNNER_REPORT_HTML_H

#include "runner/job/report.h"

/*
 * The page of a report.json and the pictures of what was wrong; malloc'ed, NULL without memory.
 * What the object lacks is left out.
 */
char *report_html(const json_t *report, const struct report_wrong *wrong, size_t wrong_count);

#endif
