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
 * the run has a name it is jobferry.log. A log that cannot be written costs a warning. While the
 * job runs it goes to train_url from time to time (keeper.h).
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

/* RESUME's end: from now on the log goes to train_url from time to time (keeper.h). */
void records_upload_log(struct job *job);
/* A state begins of which the log should tell there, come what may. */
void records_upload_soon(struct job *job);
/* A checkpoint more waits for its way out, or one less; from any thread. */
void records_checkpoint(struct job *job, bool waits);

/* FINALIZE, after report_exit: everything is written, here and in train_url. */
enum exit_code records_write(struct job *job);

/*
 * What little there is of a job that failed before train_url was its own: its log and its report
 * go there as log/jobferry.log and log/jobferry.report.json, over those of the last that failed so,
 * if the store can be spoken with in a few seconds. Another job's report.json is left alone.
 */
void records_put_failure(struct job *job);

/* Ends all of it; before the report goes. Fine when nothing began. */
void records_end(struct job *job);

#endif
