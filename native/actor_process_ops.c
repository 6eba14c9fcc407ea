/* The operations that a process of the scenario performs on its own memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "actor.h"

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif

static sigjmp_buf touch_failed;
static volatile int touching;

static void on_fault(int signal) {
  if (!touching) _exit(98);
  siglongjmp(touch_failed, signal);
}

void start_process_ops(void) {
  struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
}

void add_value(struct answer *answer, enum value_kind kind, uint64_t value) {
  struct value_run *last = answer->runs ? &control->values[answer->runs - 1] : NULL;
  if (last && last->kind == kind && last->value == value) {
    last->count++;
    return;
  }
  if (answer->runs == VALUE_RUNS) return;
  struct value_run run = {value, 1, kind};
  control->values[answer->runs++] = run;
}

void set_result(struct answer *answer, long ret) {
  answer->ret = ret < 0 ? -1 : ret;
  answer->error = ret < 0 ? errno : 0;
}

/* Faults of our own on what touch_pages writes would count as those of the pages. */
static void touch_own_memory(struct answer *answer, long runs) {
  struct rusage usage;
  answer->runs = 0;
  touching = 0;
  sigsetjmp(touch_failed, 0);
  for (long i = 0; i < runs && i < VALUE_RUNS; i += PAGE_BYTES / sizeof *control->values)
    control->values[i].count = 0;
  getrusage(RUSAGE_SELF, &usage);
}

/* Reads or writes the first word of each page. A page that raises a signal does not stop it. */
static void touch_pages(const struct operation *operation, struct answer *answer, int write) {
  struct rusage before, after;
  volatile long page;
  volatile int signals = 0;
  touch_own_memory(answer, operation->n);
  getrusage(RUSAGE_SELF, &after);
  getrusage(RUSAGE_SELF, &before);
  for (page = 0; page < operation->n; page++) {
    volatile uint64_t *word = (uint64_t *)ADDRESS_OF(operation->at + page);
    volatile uint64_t value = 0;
    int signal = sigsetjmp(touch_failed, 0);
    if (signal) {
      touching = 0;
      signals++;
      add_value(answer, signal == SIGBUS ? VALUE_BUS : VALUE_SEGV, 0);
      continue;
    }
    touching = 1;
    if (write)
      *word = operation->v;
    else
      value = *word;
    touching = 0;
    add_value(answer, VALUE_WORD, value);
  }
  getrusage(RUSAGE_SELF, &after);
  answer->has_values = !write || signals;
  /* Signal frames fault too, so the count would not be that of the pages. */
  answer->has_faults = !signals;
  answer->minor_faults = after.ru_minflt - before.ru_minflt;
  answer->major_faults = after.ru_majflt - before.ru_majflt;
}

/*
 * Descriptors through which something was mapped, also by those of whom the process was forked, with
 * the server's one of the same file. Kept for fadvise, which a mapping alone does not allow.
 */
#define KEPT 256
static struct kept {
  long file;
  int descriptor;
} kept[KEPT];
static int kept_count;

static void keep_descriptor(long file, int descriptor) {
  if (kept_count < KEPT)
    kept[kept_count] = (struct kept){file, descriptor};
  else
    close(descriptor);
  kept_count++;
}

/* With the advice of posix_fadvise. */
static void advise_file(const struct operation *operation, struct answer *answer) {
  int advice = strcmp(operation->advice, "noreuse") ? POSIX_FADV_NORMAL : POSIX_FADV_NOREUSE;
  errno = EMFILE;
  if (kept_count > KEPT) return set_result(answer, -1);
  for (int i = 0; i < kept_count; i++) {
    if (kept[i].file != operation->file) continue;
    errno = posix_fadvise(kept[i].descriptor, 0, 0, advice);
    if (errno) return set_result(answer, -1);
  }
}

static void map_pages(const struct operation *operation, struct answer *answer) {
  int flags = mmap_flags_of(operation->flags);
  int file = -1;
  char path[64];
  if (!(flags & MAP_FIXED)) flags |= MAP_FIXED_NOREPLACE;
  if (operation->has_file) {
    /* Opened anew for each mapping, as separate programs would. */
    snprintf(path, sizeof path, "/proc/%d/fd/%ld", control->server, operation->file);
    file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) {
      set_result(answer, -1);
      return;
    }
  }
  char *where = mmap(ADDRESS_OF(operation->at), operation->n * PAGE_BYTES,
                     protection_of(operation->prot), flags, file, operation->off * PAGE_BYTES);
  set_result(answer, where == MAP_FAILED ? -1 : (long)(((uint64_t)where - REGION_START) / PAGE_BYTES));
  if (file >= 0 && where == MAP_FAILED) close(file);
  if (file >= 0 && where != MAP_FAILED) keep_descriptor(operation->file, file);
}

static void remap_pages(const struct operation *operation, struct answer *answer) {
  long where = syscall(SYS_mremap, ADDRESS_OF(operation->at), operation->n * PAGE_BYTES,
                       operation->new * PAGE_BYTES, mremap_flags_of(operation->flags),
                       operation->has_to ? ADDRESS_OF(operation->to) : NULL);
  set_result(answer, where == -1 ? -1 : (long)((where - REGION_START) / PAGE_BYTES));
}

static int break_is_placed;

/* The break of a process can only be placed through all fields of its memory descriptor. */
static void place_break(const struct operation *operation, struct answer *answer) {
  unsigned long field[52] = {0};
  char text[2048];
  int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  if (length <= 0) {
    set_result(answer, -1);
    return;
  }
  text[length] = 0;
  char *rest = strrchr(text, ')') + 1;
  for (int i = 3; i < 52 && rest; i++) {
    rest = strchr(rest, ' ');
    if (rest) field[i] = strtoul(++rest, NULL, 10);
  }
  struct prctl_mm_map map = {.start_code = field[26],
                             .end_code = field[27],
                             .start_data = field[45],
                             .end_data = field[46],
                             .start_brk = (uint64_t)ADDRESS_OF(operation->at),
                             .brk = (uint64_t)ADDRESS_OF(operation->at),
                             .start_stack = field[28],
                             .arg_start = field[48],
                             .arg_end = field[49],
                             .env_start = field[50],
                             .env_end = field[51],
                             .exe_fd = (uint32_t)-1};
  set_result(answer, prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
  break_is_placed = !answer->ret;
}

static void move_break(const struct operation *operation, struct answer *answer) {
  errno = EINVAL;
  /* Elsewhere it is the heap of this program, far below the region. */
  if (!break_is_placed) return set_result(answer, -1);
  set_result(answer, (syscall(SYS_brk, ADDRESS_OF(operation->at)) - REGION_START) / PAGE_BYTES);
}

/* Rings and pipes of this process, by the id of the scenario. Children inherit both. */
#define HELD 256
static struct held {
  long id;
  int used, pipe, ends[2];
} held[HELD];

static struct held *find_held(long id, int pipe) {
  for (int i = 0; i < HELD; i++)
    if (held[i].used && held[i].id == id && held[i].pipe == pipe) return &held[i];
  return NULL;
}

static struct held *new_held(long id, int pipe) {
  for (int i = 0; i < HELD; i++) {
    if (held[i].used) continue;
    struct held fresh = {id, 1, pipe, {-1, -1}};
    held[i] = fresh;
    return &held[i];
  }
  errno = EMFILE;
  return NULL;
}

static void drop_held(struct held *dropped) {
  close(dropped->ends[0]);
  if (dropped->pipe) close(dropped->ends[1]);
  dropped->used = 0;
}

static void pin(const struct operation *operation, struct answer *answer) {
  struct io_uring_params parameters;
  memset(&parameters, 0, sizeof parameters);
  struct held *ring = new_held(operation->id, 0);
  if (!ring) return set_result(answer, -1);
  ring->ends[0] = syscall(SYS_io_uring_setup, 1, &parameters);
  own_slot->has_ring = 1;
  struct iovec buffer = {ADDRESS_OF(operation->at), operation->n * PAGE_BYTES};
  long ret = ring->ends[0] < 0 ? -1
                               : syscall(SYS_io_uring_register, ring->ends[0],
                                         IORING_REGISTER_BUFFERS, &buffer, 1);
  set_result(answer, ret);
  if (ret < 0) drop_held(ring);
}

static void unpin(const struct operation *operation, struct answer *answer) {
  struct held *ring = find_held(operation->id, 0);
  errno = ENOENT;
  if (!ring) return set_result(answer, -1);
  set_result(answer, syscall(SYS_io_uring_register, ring->ends[0], IORING_UNREGISTER_BUFFERS,
                             NULL, 0));
  drop_held(ring);
}

static void splice_pages(const struct operation *operation, struct answer *answer) {
  struct held *ends = new_held(operation->id, 1);
  if (!ends) return set_result(answer, -1);
  if (pipe2(ends->ends, O_NONBLOCK)) {
    set_result(answer, -1);
    ends->used = 0;
    return;
  }
  struct iovec buffer = {ADDRESS_OF(operation->at), operation->n * PAGE_BYTES};
  long bytes = vmsplice(ends->ends[1], &buffer, 1, SPLICE_F_NONBLOCK);
  set_result(answer, bytes < 0 ? -1 : bytes / (long)PAGE_BYTES);
  if (bytes <= 0) drop_held(ends);
}

static void drain_pipe(const struct operation *operation, struct answer *answer) {
  struct held *ends = find_held(operation->id, 1);
  errno = ENOENT;
  if (!ends) return set_result(answer, -1);
  answer->has_values = 1;
  for (long i = 0; i < operation->n; i++) {
    if (read(ends->ends[0], control->data_page, PAGE_BYTES) != PAGE_BYTES) break;
    uint64_t value;
    memcpy(&value, control->data_page, sizeof value);
    add_value(answer, VALUE_WORD, value);
  }
  drop_held(ends);
}

static void write_other(const struct operation *operation, struct answer *answer) {
  memcpy(control->data_page, &operation->v, sizeof operation->v);
  for (long i = 0; i < operation->n; i++) {
    struct iovec from = {control->data_page, sizeof operation->v};
    struct iovec to = {ADDRESS_OF(operation->at + i), sizeof operation->v};
    long bytes = process_vm_writev(control->slots[operation->q].pid, &from, 1, &to, 1, 0);
    if (bytes < 0) return set_result(answer, -1);
  }
}

/* What a process has by itself is no part of the scenario: calls `act` for each mapping of it. */
static void for_own_memory(void (*act)(char *start, size_t bytes)) {
  static char maps[1 << 16];
  int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  ssize_t length = 0, more;
  while (file >= 0 && (more = read(file, maps + length, sizeof maps - 1 - length)) > 0)
    length += more;
  if (file >= 0) close(file);
  maps[length] = 0;
  for (char *line = maps; *line; line += strcspn(line, "\n") + 1) {
    unsigned long start, end;
    if (sscanf(line, "%lx-%lx", &start, &end) != 2) break;
    if (start >= REGION_START && start < REGION_END) continue;
    act((char *)start, end - start);
  }
}

/*
 * prctl makes all private memory mergeable, our own too: ksmd would merge it, and every search for
 * one of its pages changes the order of the merged pages on the way. A fork inherits that it is
 * left out.
 */
static void leave_unmerged(char *start, size_t bytes) { madvise(start, bytes, MADV_UNMERGEABLE); }

static void keep_in_memory(char *start, size_t bytes) { mlock(start, bytes); }

void keep_own_memory(void) { for_own_memory(keep_in_memory); }

static void set_merge_any(const struct operation *operation, struct answer *answer) {
  set_result(answer, prctl(PR_SET_MEMORY_MERGE, operation->on, 0, 0, 0));
  if (operation->on && answer->ret == 0) for_own_memory(leave_unmerged);
}

void run_in_process(const struct operation *operation, struct answer *answer) {
  const char *name = operation->name;
  char *start = ADDRESS_OF(operation->at);
  size_t bytes = operation->n * PAGE_BYTES;
  if (!strcmp(name, "read")) return touch_pages(operation, answer, 0);
  if (!strcmp(name, "write")) return touch_pages(operation, answer, 1);
  if (!strcmp(name, "mmap")) return map_pages(operation, answer);
  if (!strcmp(name, "fadvise")) return advise_file(operation, answer);
  if (!strcmp(name, "munmap")) return set_result(answer, munmap(start, bytes));
  if (!strcmp(name, "mprotect"))
    return set_result(answer, mprotect(start, bytes, protection_of(operation->prot)));
  if (!strcmp(name, "madvise"))
    return set_result(answer, madvise(start, bytes, advice_of(operation->advice)));
  if (!strcmp(name, "mremap")) return remap_pages(operation, answer);
  if (!strcmp(name, "mlock"))
    return set_result(answer, syscall(SYS_mlock2, start, bytes, operation->onfault ? 1 : 0));
  if (!strcmp(name, "munlock")) return set_result(answer, munlock(start, bytes));
  if (!strcmp(name, "brk_at")) return place_break(operation, answer);
  if (!strcmp(name, "brk")) return move_break(operation, answer);
  if (!strcmp(name, "pin")) return pin(operation, answer);
  if (!strcmp(name, "unpin")) return unpin(operation, answer);
  if (!strcmp(name, "vmsplice")) return splice_pages(operation, answer);
  if (!strcmp(name, "vmdrain")) return drain_pipe(operation, answer);
  if (!strcmp(name, "pvm_write")) return write_other(operation, answer);
  if (!strncmp(name, "uffd_", 5)) return run_userfault(operation, answer);
  if (!strcmp(name, "prctl_merge")) return set_merge_any(operation, answer);
  if (!strcmp(name, "memcg")) return keep_own_memory();
  errno = ENOSYS;
  set_result(answer, -1);
}
