/* curve.h - a training's curve as a picture. */
#ifndef MODEL_CURVE_H
#define MODEL_CURVE_H

#include "model/callbacks/history.h"

/* What model_history_draw does. */
enum model_code curve_draw(const struct history *history, const char *path,
                           struct model_error *err);

#endif
