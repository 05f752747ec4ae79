#include "version.h"

#include <stdio.h>

int main(void)
{
    printf("jobferry %s\n", jobferry_version());
    return 0;
}
