/*
 * events.h - a report's feed for other programs: --events, JSON lines; --metrics_file, Prometheus'
 * text format.
 *
 * An event is one object a line, {"time": …, "event": "epoch", …the thing as report.json has it},
 * written at once and behind what the file holds. A checkpoint is told when it is taken (queued)
 * and when it is confirmed, superseded or failed. The metrics file is replaced whole (a temporary
 * name, then renamed), as node_exporter's textfile collector asks for: at the end, and meanwhile at
 * most once a second, at the next tick after anything was told. What goes wrong with either file is
 * warned of once and never ends a job.
 */
#ifndef RUNNER_EVENTS_H
#define RUNNER_EVENTS_H

#include "runner/job/report.h"

struct events;

/* Listens to report until events_close; paths may be NULL. NULL: errno says what path refused. */
struct events *events_open(struct report *report, const char *events_path, const char *metrics_path,
                           struct log *log);
/* Writes the metrics once more. After the last report_…; NULL is fine. */
void events_close(struct events *events);

#endif
