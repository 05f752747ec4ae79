/*
 * cores.h - how many threads may really run at once: the processor set of this process and the
 * processor quota of its control groups (a container's --cpus), whichever is less.
 */
#ifndef MODEL_CORES_H
#define MODEL_CORES_H

/* At least 1. */
unsigned cores_usable(void);

/*
 * The quota of control groups in whole cores, rounded up; 0 when there is none. Every group from
 * ours to the root counts (a parent's quota binds its children). Version 2 (cpu.max) and version 1
 * (cpu.cfs_quota_us, cpu.cfs_period_us) are read. membership is a file as /proc/self/cgroup, root
 * a folder as /sys/fs/cgroup: given so that a test can have its own. See cgroups(7) and the
 * kernel's Documentation/admin-guide/cgroup-v2.rst.
 */
unsigned cores_quota(const char *membership, const char *root);

#endif
