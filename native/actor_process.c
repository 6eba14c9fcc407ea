/* A process of the scenario: waits for a command, runs it, answers. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "actor.h"

struct slot *own_slot;

/* How often an idle process looks whether the server still lives. */
#define LIFELINE_CHECK_MS 1000

void futex_wait(volatile int *word, int expected, int timeout_ms) {
  struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000l};
  syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0);
}

void futex_wake(volatile int *word) { syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0); }

static int server_is_gone(void) {
  struct pollfd end = {lifeline, POLLIN, 0};
  return poll(&end, 1, 0) > 0;
}

/* Returns in the parent with the child's pid or −1; the child lives in process_main. */
static void fork_process(const struct operation *operation, struct answer *answer) {
  long child = syscall(SYS_clone, 17 /* SIGCHLD */, NULL, NULL, NULL, NULL);
  if (child == 0) process_main(operation->c);
  if (child < 0) {
    answer->ret = -1;
    answer->error = errno;
    return;
  }
  control->slots[operation->c].pid = child;
  control->slots[operation->c].has_ring = own_slot->has_ring;
}

void process_main(int number) {
  struct slot *slot = &control->slots[number];
  /* A fork is in the group of its parent but does not inherit locks. */
  slot->is_grouped = own_slot && own_slot->is_grouped;
  own_slot = slot;
  forget_userfaultfd();
  if (slot->is_grouped) keep_own_memory();
  slot->state = SLOT_IDLE;
  futex_wake(&slot->state);
  for (;;) {
    while (slot->state != SLOT_COMMAND) {
      int seen = slot->state;
      if (seen == SLOT_COMMAND) break;
      futex_wait(&slot->state, seen, LIFELINE_CHECK_MS);
      if (slot->state != SLOT_COMMAND && server_is_gone()) _exit(1);
    }
    struct operation *operation = &control->operation;
    struct answer *answer = &control->answer;
    if (!strcmp(operation->name, "exit")) _exit(0);
    if (!strcmp(operation->name, "fork"))
      fork_process(operation, answer);
    else
      run_in_process(operation, answer);
    slot->state = SLOT_DONE;
    futex_wake(&slot->state);
  }
}
