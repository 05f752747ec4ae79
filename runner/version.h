/* version.h - the version, from CMake's project(). */
#ifndef RUNNER_VERSION_H
#define RUNNER_VERSION_H

const char *jobferry_version(void);

#endif
