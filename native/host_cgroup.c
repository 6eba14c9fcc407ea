/* The memory cgroup (version 1) whose pages `reclaim` pushes out. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

static char memory_root[192], own_cgroup[512], our_cgroup[256];

static int find_memory_cgroup(void) {
  char line[1024], path[512];
  if (*memory_root) return 0;
  FILE *mounts = fopen("/proc/self/mounts", "re");
  while (mounts && fgets(line, sizeof line, mounts)) {
    char kind[64], options[512];
    if (sscanf(line, "%*s %191s %63s %511s", path, kind, options) != 3) continue;
    if (strcmp(kind, "cgroup") || !strstr(options, "memory")) continue;
    snprintf(memory_root, sizeof memory_root, "%.191s", path);
    break;
  }
  if (mounts) fclose(mounts);
  if (!*memory_root) return ENODEV;
  FILE *own = fopen("/proc/self/cgroup", "re");
  while (own && fgets(line, sizeof line, own))
    if (sscanf(line, "%*d:memory:%511s", path) == 1)
      snprintf(own_cgroup, sizeof own_cgroup, "%s%.300s/cgroup.procs", memory_root,
               strcmp(path, "/") ? path : "");
  if (own) fclose(own);
  snprintf(our_cgroup, sizeof our_cgroup, "%s/rmap-live", memory_root);
  return 0;
}

int join_cgroup(pid_t pid, int on) {
  char path[300], text[32];
  int error = find_memory_cgroup();
  if (error) return error;
  journal_note("rmdir", our_cgroup, NULL);
  if (mkdir(our_cgroup, 0700) && errno != EEXIST) return errno;
  snprintf(path, sizeof path, "%s/cgroup.procs", our_cgroup);
  snprintf(text, sizeof text, "%d", pid);
  return put_text(on ? path : own_cgroup, text);
}

int reclaim_cgroup(void) {
  char path[300];
  if (!*our_cgroup) return 0;
  snprintf(path, sizeof path, "%s/memory.force_empty", our_cgroup);
  int error = put_text(path, "0");
  return error == ENOENT ? 0 : error;
}

void end_cgroup(void) {
  for (int i = 0; *our_cgroup && i < 200 && rmdir(our_cgroup) && errno == EBUSY; i++) usleep(2000);
}
