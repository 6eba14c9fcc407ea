/*
 * The actor performs scenarios with real processes. The server (this program's first process)
 * reads operations from stdin; the processes of the scenario are forked from it and from each
 * other, and wait for commands in shared memory, so that nothing of theirs but the operation
 * itself touches the tested region.
 */
#ifndef RMAP_ACTOR_H
#define RMAP_ACTOR_H

#include <stdint.h>
#include <sys/types.h>

#define PAGE_BYTES 4096ul
#define REGION_START 0x1000000000ul
#define REGION_END 0x500000000000ul /* Below all that a process has by itself. */
#define ADDRESS_OF(page) ((char *)(REGION_START + (uint64_t)(page) * PAGE_BYTES))
#define PROCESSES 512
/* Runs of equal values that one read may answer with. */
#define VALUE_RUNS 65536

enum value_kind { VALUE_WORD, VALUE_SEGV, VALUE_BUS };
struct value_run {
  uint64_t value;
  uint32_t count;
  uint32_t kind;
};

/* Fields of an operation as read from its line; see op_fields in actor_parse.c. */
struct operation {
  char name[24];
  long p, c, q, at, n, to, new, off, id, v, wp, onfault, on, allow_holes, ms, scans, file;
  int has_to, has_file;
  char prot[8], flags[96], advice[24], kind[24], mode[24], features[64], path[192], value[64];
};

struct answer {
  long ret;
  int error; /* errno, 0 when none; −1: ret is −1 without an errno */
  int has_faults, has_values;
  long minor_faults, major_faults;
  uint32_t runs;
  /* Identity of a new file, as /proc/PID/smaps shows it. */
  int has_file;
  unsigned device_major, device_minor;
  unsigned long inode;
};

enum slot_state { SLOT_EMPTY, SLOT_IDLE, SLOT_COMMAND, SLOT_DONE };
struct slot {
  volatile int state; /* futex */
  volatile pid_t pid;
  volatile int has_ring; /* the process has, or was born with, an io_uring */
  int is_grouped;        /* the process is in the memory cgroup of the scenario */
};

/* Mapped MAP_SHARED before the first fork. */
struct control {
  pid_t server;
  struct operation operation; /* of the one process that is in SLOT_COMMAND */
  struct answer answer;
  struct value_run values[VALUE_RUNS];
  struct slot slots[PROCESSES];
  char data_page[PAGE_BYTES]; /* what pvm_write sends, what vmdrain receives */
};

extern struct control *control;
/* Read end closes when the server dies; processes leave then. */
extern int lifeline;

void futex_wait(volatile int *word, int expected, int timeout_ms);
void futex_wake(volatile int *word);

/* actor_parse.c: `name key=value …` to an operation; 0 when the line is malformed. */
int parse_operation(char *line, struct operation *operation);
const char *errno_name(int error);
/* −1 when a name is unknown. */
int protection_of(const char *letters);
int mmap_flags_of(const char *names);
int mremap_flags_of(const char *names);
int advice_of(const char *name);

/* actor_process.c: the life of a process of the scenario; never returns. */
extern struct slot *own_slot;
void process_main(int number) __attribute__((noreturn));

/* actor_process_ops.c */
void run_in_process(const struct operation *operation, struct answer *answer);
void start_process_ops(void);
/*
 * Locks what the process has beside the region: in a memory cgroup its copies of that would be
 * reclaimed with the pages of the scenario, and take their swap slots.
 */
void keep_own_memory(void);
void add_value(struct answer *answer, enum value_kind kind, uint64_t value);
/* A negative result is −1 with errno. */
void set_result(struct answer *answer, long ret);

/* actor_userfault.c: operations whose names begin with uffd_. */
void run_userfault(const struct operation *operation, struct answer *answer);
void forget_userfaultfd(void);

/* settings.c: global settings, kept in a journal so that every way out restores them. */
void settings_open(const char *directory);
/* Writes a setting, after its present value has gone to the journal. 0 or errno. */
int settings_write(const char *path, const char *value);
/* Notes an undo action: swapoff, unlink, rmdir, zram (hot_remove), write. */
void journal_note(const char *action, const char *path, const char *value);
void settings_restore(void);

/* actor_host.c: operations of the server itself. Returns 0 if the name is not one of them. */
int run_in_server(const struct operation *operation, struct answer *answer);
void host_open(const char *work_directory);
void host_end_scenario(void);
int file_descriptor_of(long file);
void drain(void);

#endif
