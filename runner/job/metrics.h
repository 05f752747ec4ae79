/* metrics.h - an evaluation's results as JSON; as a line: job.h. */
#ifndef RUNNER_METRICS_H
#define RUNNER_METRICS_H

#include "runner/job/job.h"

#include <jansson.h>

/* All of them: numbers, lists by class with their averages, the confusion matrix by truth. NULL
   without memory. */
json_t *job_metrics_json(const struct model_metrics *metrics);

#endif
