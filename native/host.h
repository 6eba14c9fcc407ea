/* What the parts of the server's own operations share. */
#ifndef RMAP_HOST_H
#define RMAP_HOST_H

#include "actor.h"

/* Where files of the scenario go; ext4, as far as the caller knows. */
extern char work_directory[192];

void fail_with(struct answer *answer, int error);
/* Both return 0 or an errno, −1 for a number that cannot be read. */
int put_text(const char *path, const char *text);
long get_number(const char *path);

/* host_files.c: 0 if the operation concerns no file. */
int run_on_file(const struct operation *operation, struct answer *answer);
void close_files(void);

/* host_ksm.c */
void scan_ksm(long scans);
int unmerge_ksm(void);
void end_ksm(void);

/* host_swap.c */
int start_swap(const char *kind);
int stop_swap(void);
void end_swap(void);

/* host_cgroup.c */
int join_cgroup(pid_t pid, int on);
int reclaim_cgroup(void);
void end_cgroup(void);

#endif
