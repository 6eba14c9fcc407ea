/* The server: one operation a line on stdin, one line of JSON for each on stdout. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "actor.h"

/* The longest that one operation may take. */
#define OPERATION_MS 60000
#define LIFELINE 3

struct control *control;
int lifeline = LIFELINE;
static int lifeline_end;
static int pidfds[PROCESSES]; /* descriptor + 1 */

static int is_alive(long process) {
  return process >= 0 && process < PROCESSES && control->slots[process].state != SLOT_EMPTY;
}

static void leave(int status) {
  settings_restore();
  exit(status);
}

static void give_up(const char *what, long process) {
  printf("{\"error\":\"%s (process %ld)\"}\n", what, process);
  fflush(stdout);
  for (int i = 0; i < PROCESSES; i++)
    if (pidfds[i]) syscall(SYS_pidfd_send_signal, pidfds[i] - 1, SIGKILL, NULL, 0);
  usleep(100000);
  host_end_scenario();
  leave(70);
}

static int has_exited(long process, int timeout_ms) {
  struct pollfd end = {pidfds[process] - 1, POLLIN, 0};
  return poll(&end, 1, timeout_ms) > 0;
}

/*
 * A ring is taken apart in the background, with its pins, after an RCU grace period: that is what
 * MEMBARRIER_CMD_GLOBAL waits for.
 */
static void settle_rings(void) {
  for (int i = 0; i < 3; i++) {
    syscall(SYS_membarrier, 1, 0, 0);
    usleep(2000);
  }
}

/* Returns whether the process had a ring. */
static int forget_process(long process) {
  int had_ring = control->slots[process].has_ring;
  close(pidfds[process] - 1);
  pidfds[process] = 0;
  control->slots[process].state = SLOT_EMPTY;
  control->slots[process].pid = 0;
  control->slots[process].has_ring = 0;
  return had_ring;
}

/* Waits until the slot leaves `state`. */
static void await_slot(long process, int state) {
  struct slot *slot = &control->slots[process];
  for (int waited = 0; slot->state == state; waited += 100) {
    futex_wait(&slot->state, state, 100);
    if (slot->state != state) return;
    if (pidfds[process] && has_exited(process, 0)) give_up("a process died", process);
    if (waited > OPERATION_MS) give_up("an operation did not end", process);
  }
}

static void adopt(long process) {
  await_slot(process, SLOT_EMPTY);
  int pidfd = syscall(SYS_pidfd_open, control->slots[process].pid, 0);
  if (pidfd < 0) give_up("pidfd_open failed", process);
  pidfds[process] = pidfd + 1;
}

static void command(long process, const struct operation *operation) {
  struct slot *slot = &control->slots[process];
  control->operation = *operation;
  slot->state = SLOT_COMMAND;
  futex_wake(&slot->state);
}

static void command_and_wait(long process, const struct operation *operation) {
  command(process, operation);
  await_slot(process, SLOT_COMMAND);
  control->slots[process].state = SLOT_IDLE;
}

/*
 * With protection keys left, execute-only memory would get one that denies reading. Children
 * inherit the allocation, so with none left it behaves as on processors without keys.
 */
static void use_up_protection_keys(void) {
  while (syscall(SYS_pkey_alloc, 0, 0) >= 0) continue;
}

/*
 * Folios wait in lists of each CPU before they reach the LRU: on one CPU what has been added is
 * there for the next operation, whichever process it comes from.
 */
static void stay_on_one_cpu(void) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed)) return;
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    CPU_ZERO(&allowed);
    CPU_SET(cpu, &allowed);
    sched_setaffinity(0, sizeof allowed, &allowed);
    return;
  }
}

static void begin_scenario(void) {
  long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
  if (child == 0) {
    int nothing = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(nothing, i);
    syscall(SYS_close_range, LIFELINE + 1, ~0u, 0);
    use_up_protection_keys();
    start_process_ops();
    process_main(0);
  }
  if (child < 0) give_up("fork failed", 0);
  control->slots[0].pid = child;
  adopt(0);
}

static void end_scenario(void) {
  for (int i = 0; i < PROCESSES; i++)
    if (pidfds[i]) syscall(SYS_pidfd_send_signal, pidfds[i] - 1, SIGKILL, NULL, 0);
  int had_rings = 0;
  for (int i = 0; i < PROCESSES; i++) {
    if (!pidfds[i]) continue;
    if (!has_exited(i, OPERATION_MS)) give_up("a process does not die", i);
    had_rings |= forget_process(i);
  }
  if (had_rings) settle_rings();
  host_end_scenario();
}

static void run_with_process(const struct operation *operation, struct answer *answer) {
  long process = operation->p;
  if (!strcmp(operation->name, "exit")) {
    if (!is_alive(process)) return;
    command(process, operation);
    if (!has_exited(process, OPERATION_MS)) give_up("a process does not exit", process);
    if (forget_process(process)) settle_rings();
    return;
  }
  if (!is_alive(process) || (!strcmp(operation->name, "pvm_write") && !is_alive(operation->q))) {
    answer->ret = -1;
    answer->error = ESRCH;
    return;
  }
  int forks = !strcmp(operation->name, "fork");
  if (forks && (operation->c < 0 || operation->c >= PROCESSES || is_alive(operation->c))) {
    answer->ret = -1;
    answer->error = EEXIST;
    return;
  }
  if (!strcmp(operation->name, "memcg")) {
    /* Before it joins, or the pages that locking copies would be charged to the group. */
    if (operation->on) command_and_wait(process, operation);
    control->slots[process].is_grouped = operation->on;
  }
  if (run_in_server(operation, answer)) return;
  command_and_wait(process, operation);
  if (forks && !answer->ret) adopt(operation->c);
}

/* Every process that maps through an open file has its descriptor. */
static void advise_everywhere(const struct operation *operation, struct answer *answer) {
  for (int i = 0; i < PROCESSES && !answer->ret; i++)
    if (is_alive(i)) command_and_wait(i, operation);
}

static void print_answer(const struct answer *answer) {
  printf("{\"ret\":%ld", answer->ret);
  if (answer->ret < 0)
    printf(",\"err\":\"%s\"", answer->error < 0 ? "0" : errno_name(answer->error));
  if (answer->has_faults)
    printf(",\"flt\":%ld,\"maj\":%ld", answer->minor_faults, answer->major_faults);
  if (answer->has_file)
    printf(",\"file\":\"%02x:%02x %lu\"", answer->device_major, answer->device_minor,
           answer->inode);
  if (answer->has_values) {
    printf(",\"vals\":[");
    for (uint32_t i = 0; i < answer->runs; i++) {
      const struct value_run *run = &control->values[i];
      if (i) printf(",");
      if (run->kind == VALUE_WORD)
        printf("[%lu,%u]", run->value, run->count);
      else
        printf("[\"%s\",%u]", run->kind == VALUE_BUS ? "BUS" : "SEGV", run->count);
    }
    printf("]");
  }
  printf("}\n");
}

static int takes_no_process(const char *name) {
  static const char *const names[] = {"file",    "filewrite", "fileread", "ftruncate", "punch",
                                      "set",     "ksm",       "ksm_unmerge", "swapon", "swapoff",
                                      "reclaim", "drain",     "sleep",    "compact",   0};
  for (int i = 0; names[i]; i++)
    if (!strcmp(names[i], name)) return 1;
  return 0;
}

static void run(struct operation *operation) {
  struct answer *answer = &control->answer;
  memset(answer, 0, sizeof *answer);
  int is_advice = !strcmp(operation->name, "fadvise");
  if (operation->has_file && (is_advice || !strcmp(operation->name, "mmap"))) {
    /* Processes know the file by the server's descriptor, and open that through /proc. */
    int file = file_descriptor_of(operation->file);
    if (file < 0) {
      answer->ret = -1;
      answer->error = EBADF;
      return print_answer(answer);
    }
    operation->file = file;
  }
  if (is_advice)
    advise_everywhere(operation, answer);
  else if (takes_no_process(operation->name))
    run_in_server(operation, answer);
  else
    run_with_process(operation, answer);
  print_answer(answer);
}

static void print_pids(void) {
  const char *comma = "";
  printf("{\"pids\":[");
  for (int i = 0; i < PROCESSES; i++) {
    if (!is_alive(i)) continue;
    printf("%s[%d,%d]", comma, i, control->slots[i].pid);
    comma = ",";
  }
  printf("]}\n");
}

/* Our caller is gone: what it still had in the pipe is of no interest to anybody. */
static int is_abandoned(void) {
  struct pollfd input = {0, 0, 0};
  return poll(&input, 1, 0) > 0;
}

static void on_signal(int signal) {
  (void)signal;
  /* Closing our input ends the main loop after the operation at hand. */
  close(0);
}

static void open_control(void) {
  control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (control == MAP_FAILED) exit(3);
  madvise(control, sizeof *control, MADV_NOHUGEPAGE);
  memset(control, 0, sizeof *control);
  control->server = getpid();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) exit(3);
  /* The server's end must not be among those that a process keeps. */
  lifeline_end = fcntl(ends[1], F_DUPFD_CLOEXEC, 100);
  close(ends[1]);
  if (ends[0] != LIFELINE) {
    dup2(ends[0], LIFELINE);
    close(ends[0]);
  }
}

int main(int argc, char **argv) {
  static char output[1 << 16], line[4096];
  struct operation operation;
  if (argc != 3) return 2;
  setvbuf(stdout, output, _IOFBF, sizeof output);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGCHLD, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  struct rlimit stack = {8 << 20, 8 << 20};
  setrlimit(RLIMIT_STACK, &stack);
  stay_on_one_cpu();
  open_control();
  settings_open(argv[1]);
  host_open(argv[2]);
  printf("{\"ready\":1}\n");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) && !is_abandoned()) {
    if (!parse_operation(line, &operation)) {
      give_up("malformed line", -1);
    } else if (!strcmp(operation.name, "begin")) {
      begin_scenario();
      printf("{\"ret\":0}\n");
    } else if (!strcmp(operation.name, "end")) {
      end_scenario();
      printf("{\"ret\":0}\n");
    } else if (!strcmp(operation.name, "pids")) {
      drain();
      print_pids();
    } else if (!strcmp(operation.name, "quit")) {
      break;
    } else {
      run(&operation);
    }
    fflush(stdout);
  }
  end_scenario();
  leave(0);
}
