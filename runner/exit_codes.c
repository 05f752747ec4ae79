#include "runner/exit_codes.h"

#include "runner/runner_banned.h"

enum exit_code exit_code_of_storage(enum storage_code code)
{
    static const enum exit_code codes[] = {
        [STORAGE_OK] = EXIT_DONE,
        [STORAGE_USAGE] = EXIT_USAGE,
        [STORAGE_NOT_FOUND] = EXIT_MISSING,
        [STORAGE_DENIED] = EXIT_DENIED,
        [STORAGE_UNREACHABLE] = EXIT_UNREACHABLE,
        [STORAGE_TRANSFER] = EXIT_TRANSFER,
        [STORAGE_INTEGRITY] = EXIT_INTEGRITY,
        [STORAGE_DISK] = EXIT_DISK,
        [STORAGE_HOSTILE] = EXIT_TRANSFER,
        [STORAGE_CHANGED] = EXIT_TRANSFER,
        [STORAGE_CONFLICT] = EXIT_TRANSFER,
        [STORAGE_WITHHELD] = EXIT_TRANSFER,
        [STORAGE_STOPPED] = EXIT_INTERRUPTED,
        [STORAGE_BUG] = EXIT_BUG,
    };
    return codes[code];
}

enum exit_code exit_code_of_model(enum model_code code)
{
    static const enum exit_code codes[] = {
        [MODEL_OK] = EXIT_DONE,
        [MODEL_ARGUMENT] = EXIT_USAGE,
        [MODEL_DATA] = EXIT_DATA,
        [MODEL_NOT_FOUND] = EXIT_MISSING,
        [MODEL_CORRUPT] = EXIT_DATA,
        [MODEL_DISK] = EXIT_DISK,
        [MODEL_CONFIG] = EXIT_CONFIG,
        [MODEL_DIVERGED] = EXIT_DIVERGED,
        [MODEL_STOPPED] = EXIT_INTERRUPTED,
        [MODEL_BUG] = EXIT_BUG,
    };
    return codes[code];
}
