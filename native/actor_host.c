/* Operations of the server itself: those that concern no single process, and /proc/PID/mem. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host.h"

char work_directory[192];

void fail_with(struct answer *answer, int error) {
  answer->ret = -1;
  answer->error = error;
}

int put_text(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  int error = write(file, text, strlen(text)) < 0 ? errno : 0;
  close(file);
  return error;
}

long get_number(const char *path) {
  char text[64];
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  text[length > 0 ? length : 0] = 0;
  return strtol(text, NULL, 10);
}

/* move_pages() starts by emptying the LRU batches of all CPUs; nothing needs to move for that. */
void drain(void) {
  static char *page;
  if (!page) page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *(volatile char *)page = 1;
  void *addresses[1] = {page};
  int nodes[1] = {0}, status[1];
  syscall(SYS_move_pages, 0, 1ul, addresses, nodes, status, 2 /* MPOL_MF_MOVE */);
}

static void write_memory(const struct operation *operation, struct answer *answer) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", control->slots[operation->p].pid);
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) {
    fail_with(answer, errno);
    return;
  }
  for (long i = 0; i < operation->n && !answer->ret; i++)
    if (pwrite(file, &operation->v, sizeof operation->v,
               (off_t)ADDRESS_OF(operation->at + i)) != sizeof operation->v)
      fail_with(answer, errno);
  close(file);
}

int run_in_server(const struct operation *operation, struct answer *answer) {
  const char *name = operation->name;
  int error = 0;
  if (run_on_file(operation, answer)) return 1;
  if (!strcmp(name, "mem_write")) {
    write_memory(operation, answer);
    return 1;
  }
  if (!strcmp(name, "set")) {
    error = settings_write(operation->path, operation->value);
  } else if (!strcmp(name, "ksm")) {
    scan_ksm(operation->scans);
  } else if (!strcmp(name, "ksm_unmerge")) {
    error = unmerge_ksm();
  } else if (!strcmp(name, "swapon")) {
    error = start_swap(operation->kind);
  } else if (!strcmp(name, "swapoff")) {
    error = stop_swap();
  } else if (!strcmp(name, "memcg")) {
    error = join_cgroup(control->slots[operation->p].pid, operation->on);
  } else if (!strcmp(name, "reclaim")) {
    error = reclaim_cgroup();
  } else if (!strcmp(name, "drain")) {
    drain();
  } else if (!strcmp(name, "sleep")) {
    /* Shorter when the caller goes away. */
    struct pollfd input = {0, 0, 0};
    poll(&input, 1, operation->ms);
  } else if (!strcmp(name, "compact")) {
    error = put_text("/proc/sys/vm/compact_memory", "1");
  } else {
    return 0;
  }
  if (error) fail_with(answer, error);
  return 1;
}

void host_open(const char *directory) {
  snprintf(work_directory, sizeof work_directory, "%s", directory);
}

void host_end_scenario(void) {
  close_files();
  end_ksm();
  end_swap();
  end_cgroup();
}
