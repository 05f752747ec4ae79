#include "runner/version.h"

const char *jobferry_version(void)
{
    return JOBFERRY_VERSION;
}
