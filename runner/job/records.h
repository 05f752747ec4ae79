/*
 * records.h - what a start of a job leaves behind, whatever its end: the log, report.json,
 * report.html, and the files of --events and --metrics_file.
 *
 *                       here, under --work_dir             in train_url
 *   log                 .jobferry/log/<run>.log (.0 .1)    log/<run>.log
 *   report.json         report.json                        report.json, log/<run>.report.json
 *   report.html         report.html                        report.html
 *
 * The log has jobferry's own lines with their time, the lab's lines, and what COMMAND prints. Until
 * the run has a name it is jobferry.log. A log that cannot be written costs a warning.
 */
#ifndef RUNNER_RECORDS_H
#define RUNNER_RECORDS_H

#include "runner/job/job.h"

struct records;

/*
 * VALIDATE begins: events and metrics listen to job->report. A file that was asked for and cannot
 * be written is EXIT_DISK.
 */
enum exit_code records_begin(struct job *job);

/* VALIDATE went well: the log begins; COMMAND's output is teed into it too. */
void records_open_log(struct job *job);

/* RESUME: the run has its name. What train_url has of its log, and this disk has not, comes first.
 */
void records_name_run(struct job *job);

/* FINALIZE, after report_exit: everything is written, here and in train_url. */
enum exit_code records_write(struct job *job);

/* Ends all of it; before the report goes. Fine when nothing began. */
void records_end(struct job *job);

#endif
