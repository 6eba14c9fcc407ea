/* The userfaultfd of a process: registrations and what is filled in through it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "actor.h"

#ifndef UFFDIO_MOVE
struct uffdio_move {
  uint64_t dst, src, len, mode;
  int64_t move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#define UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES (1ull << 1)
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

/* Descriptors of pipes and rings have the numbers that they would have without it. */
#define LOWEST_DESCRIPTOR 700

static int own_userfaultfd = -1;
static uint64_t own_features;

/* A fork's copy belongs to the parent's memory. */
void forget_userfaultfd(void) {
  if (own_userfaultfd >= 0) close(own_userfaultfd);
  own_userfaultfd = -1;
}

static int open_userfaultfd(uint64_t features) {
  struct uffdio_api api = {.api = UFFD_API, .features = features};
  int low = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  int uffd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR);
  if (low >= 0) close(low);
  if (uffd >= 0 && ioctl(uffd, UFFDIO_API, &api)) {
    close(uffd);
    return -1;
  }
  return uffd;
}

static uint64_t features_of(const char *names) {
  uint64_t features = 0;
  if (strstr(names, "sigbus")) features |= UFFD_FEATURE_SIGBUS;
  if (strstr(names, "wp_async")) features |= UFFD_FEATURE_WP_ASYNC;
  if (strstr(names, "wp_unpopulated")) features |= UFFD_FEATURE_WP_UNPOPULATED;
  return features;
}

static struct uffdio_range range_of(const struct operation *operation) {
  struct uffdio_range range = {(uint64_t)ADDRESS_OF(operation->at), operation->n * PAGE_BYTES};
  return range;
}

/* The first registration that succeeds makes the userfaultfd; later ones must want the same. */
static void register_range(const struct operation *operation, struct answer *answer) {
  uint64_t features = features_of(operation->features);
  int is_first = own_userfaultfd < 0;
  errno = EINVAL;
  if (!is_first && features != own_features) return set_result(answer, -1);
  int uffd = is_first ? open_userfaultfd(features) : own_userfaultfd;
  if (uffd < 0) return set_result(answer, -1);
  struct uffdio_register wanted = {.range = range_of(operation)};
  if (strstr(operation->mode, "missing")) wanted.mode |= UFFDIO_REGISTER_MODE_MISSING;
  if (strstr(operation->mode, "wp")) wanted.mode |= UFFDIO_REGISTER_MODE_WP;
  set_result(answer, ioctl(uffd, UFFDIO_REGISTER, &wanted));
  if (answer->ret == 0) {
    own_userfaultfd = uffd;
    own_features = features;
  } else if (is_first) {
    close(uffd);
  }
}

static long copy_pages(int uffd, const struct operation *operation) {
  size_t bytes = operation->n * PAGE_BYTES;
  int map_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
  char *source = mmap(NULL, bytes, PROT_READ | PROT_WRITE, map_flags, -1, 0);
  if (source == MAP_FAILED) return -1;
  for (long i = 0; i < operation->n; i++)
    memcpy(source + i * PAGE_BYTES, &operation->v, sizeof operation->v);
  struct uffdio_copy copy = {.dst = (uint64_t)ADDRESS_OF(operation->at),
                             .src = (uint64_t)source,
                             .len = bytes,
                             .mode = operation->wp ? UFFDIO_COPY_MODE_WP : 0};
  long ret = ioctl(uffd, UFFDIO_COPY, &copy);
  int error = errno;
  munmap(source, bytes);
  errno = error;
  return ret;
}

static long call_userfaultfd(int uffd, const struct operation *operation) {
  struct uffdio_range range = range_of(operation);
  if (!strcmp(operation->name, "uffd_copy")) return copy_pages(uffd, operation);
  if (!strcmp(operation->name, "uffd_zero")) {
    struct uffdio_zeropage zero = {.range = range};
    return ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
  }
  if (!strcmp(operation->name, "uffd_wp")) {
    struct uffdio_writeprotect protect = {
        .range = range, .mode = operation->on ? UFFDIO_WRITEPROTECT_MODE_WP : 0};
    return ioctl(uffd, UFFDIO_WRITEPROTECT, &protect);
  }
  if (!strcmp(operation->name, "uffd_unregister")) return ioctl(uffd, UFFDIO_UNREGISTER, &range);
  errno = ENOSYS;
  return -1;
}

/* A move needs no registration of the scenario's: its target gets one of its own meanwhile. */
static void move_pages_uffd(const struct operation *operation, struct answer *answer) {
  int uffd = open_userfaultfd(0);
  struct uffdio_register target = {
      .range = {(uint64_t)ADDRESS_OF(operation->to), operation->n * PAGE_BYTES},
      .mode = UFFDIO_REGISTER_MODE_MISSING};
  struct uffdio_move move = {
      (uint64_t)ADDRESS_OF(operation->to), (uint64_t)ADDRESS_OF(operation->at),
      operation->n * PAGE_BYTES, operation->allow_holes ? UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES : 0, 0};
  if (uffd < 0) return set_result(answer, -1);
  if (ioctl(uffd, UFFDIO_REGISTER, &target)) {
    set_result(answer, -1);
  } else {
    set_result(answer, ioctl(uffd, UFFDIO_MOVE, &move));
    ioctl(uffd, UFFDIO_UNREGISTER, &target.range);
  }
  close(uffd);
}

void run_userfault(const struct operation *operation, struct answer *answer) {
  if (!strcmp(operation->name, "uffd_register")) return register_range(operation, answer);
  if (!strcmp(operation->name, "uffd_move")) return move_pages_uffd(operation, answer);
  /* Without a userfaultfd of the process nothing is registered, and any other says so. */
  int uffd = own_userfaultfd < 0 ? open_userfaultfd(0) : own_userfaultfd;
  if (uffd < 0) return set_result(answer, -1);
  set_result(answer, call_userfaultfd(uffd, operation));
  if (own_userfaultfd < 0) close(uffd);
}
