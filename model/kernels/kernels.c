#include "model/kernels/kernels.h"

#include <stdio.h>
#include <string.h>

#include "model/model_error.h"

#include "model/model_banned.h"

#if defined(__x86_64__)
extern const struct lenet_kernels lenet_avx512;
extern const struct lenet_kernels lenet_avx2;
#elif defined(__aarch64__)
extern const struct lenet_kernels lenet_neon;
#endif
extern const struct lenet_kernels lenet_baseline;

static bool always(void)
{
    return true;
}

#if defined(__x86_64__)
/* What CMakeLists.txt lets the compiler use in avx2.c and avx512.c; the builtin also asks whether
   the system keeps the wide registers. */
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

/* Best first. A NULL kernels is of another machine. */
static const struct choice {
    const char *name;
    const struct lenet_kernels *kernels;
    bool (*runs_here)(void);
} choices[] = {
#if defined(__x86_64__)
    {"avx512", &lenet_avx512, has_avx512},
    {"avx2", &lenet_avx2, has_avx2},
    {"neon", NULL, always},
#elif defined(__aarch64__)
    {"avx512", NULL, always},
    {"avx2", NULL, always},
    {"neon", &lenet_neon, always},
#else
    {"avx512", NULL, always},
    {"avx2", NULL, always},
    {"neon", NULL, always},
#endif
    {"baseline", &lenet_baseline, always},
    {"reference", &lenet_reference, always},
};

enum {
    CHOICES = sizeof choices / sizeof choices[0]
};

static bool runs_here(const struct choice *choice)
{
    return choice->kernels && choice->runs_here();
}

const struct lenet_kernels *kernels_here(size_t index)
{
    for (size_t i = 0; i < CHOICES; i++) {
        if (runs_here(&choices[i]) && index-- == 0) {
            return choices[i].kernels;
        }
    }
    return NULL;
}

/* "auto, avx2, baseline, reference" */
static void list_names(char *text, size_t size)
{
    int used = snprintf(text, size, "auto");
    for (size_t i = 0; i < CHOICES; i++) {
        if (runs_here(&choices[i]) && used > 0 && (size_t)used < size) {
            used += snprintf(text + used, size - (size_t)used, ", %s", choices[i].name);
        }
    }
}

enum model_code kernels_find(const struct lenet_kernels **kernels, const char *name,
                             struct model_error *err)
{
    *kernels = kernels_here(0);
    if (!name || *name == '\0' || strcmp(name, "auto") == 0) {
        return MODEL_OK;
    }
    bool is_known = false;
    for (size_t i = 0; i < CHOICES; i++) {
        if (strcmp(name, choices[i].name) == 0) {
            is_known = true;
            *kernels = runs_here(&choices[i]) ? choices[i].kernels : NULL;
            if (*kernels) {
                return MODEL_OK;
            }
        }
    }
    char names[128];
    list_names(names, sizeof names);
    model_fail(err, MODEL_ARGUMENT, "kernels is %s; %s", name,
               is_known ? "this processor or build has no such kernels"
                        : "there are no such kernels");
    model_hint(err, "here it can be one of: %s", names);
    return MODEL_ARGUMENT;
}
