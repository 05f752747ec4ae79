/*
 * cgroup.h - how often the kernel has killed for want of memory in this process's control group.
 *
 * A child that was killed by SIGKILL may have been killed by anyone; the group's counter tells.
 */
#ifndef RUNNER_CGROUP_H
#define RUNNER_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Reads the counter `oom_kill`: of memory.events in version 2, of memory.oom_control in version 1
 * (Linux Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst). proc is
 * "/proc/self/cgroup" and mount "/sys/fs/cgroup", but for tests. Within a container the path that
 * proc tells may lie outside; then the mount's own top is the container's group. False: no counter
 * to be had.
 */
bool cgroup_oom_kills(const char *proc, const char *mount, uint64_t *kills);

#endif
