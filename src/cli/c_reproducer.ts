import type { MadviseAdvice, Operation, Prot } from '../kernel/operation.js';
import { REGION_START_PAGE } from '../trace/scenario.js';

/** Why a scenario has no program: it uses this operation. */
export interface Unsupported {
  readonly unsupported: string;
}

/**
 * A stand-alone C program that performs a scenario with real processes and prints, for each, its
 * mappings and the page map of the region. Only operations on memory and processes are known; those
 * on files, swap, KSM and control groups need the live server.
 */
export function cReproducer(operations: readonly Operation[]): string | Unsupported {
  const rows: string[] = [];
  for (const operation of operations) {
    if (operation.op === 'dump' || operation.op === 'drain') continue;
    const row = rowOf(operation);
    if (row === undefined) return { unsupported: operation.op };
    rows.push(`  {${row}},`);
  }
  return PROGRAM.replace('@REGION@', `0x${(REGION_START_PAGE * 4096).toString(16)}`).replace(
    '@ROWS@',
    () => rows.join('\n'),
  );
}

/** Fields of `struct operation`. */
function rowOf(operation: Operation): string | undefined {
  switch (operation.op) {
    case 'mmap': {
      if (operation.at === undefined || operation.file !== undefined) return undefined;
      const { p, at, n } = operation;
      return `MMAP, ${p}, ${at}, ${n}, 0, 0, ${protOf(operation.prot)}, ${mapFlags(operation.flags)}`;
    }
    case 'munmap':
    case 'munlock':
    case 'read':
      return range(operation);
    case 'mlock':
      return operation.onfault === 1 ? undefined : range(operation);
    case 'write':
      return `${range(operation)}, 0, 0, ${operation.v}`;
    case 'mprotect':
      return `${range(operation)}, 0, 0, ${protOf(operation.prot)}`;
    case 'mremap': {
      const { new: length, to = 0 } = operation;
      return `${range(operation)}, ${length}, ${to}, 0, ${remapFlags(operation.flags)}`;
    }
    case 'madvise':
      return `${range(operation)}, 0, 0, ${ADVICE[operation.advice]}`;
    case 'fork':
      return `FORK, ${operation.p}, ${operation.c}`;
    case 'exit':
      return `EXIT, ${operation.p}`;
    default:
      return undefined;
  }
}

function range(operation: { op: string; p: number; at: number; n: number }): string {
  return `${operation.op.toUpperCase()}, ${operation.p}, ${operation.at}, ${operation.n}`;
}

function protOf(prot: Prot): string {
  const words: Record<string, string> = { r: 'PROT_READ', w: 'PROT_WRITE', x: 'PROT_EXEC' };
  const known = prot.split('').map((letter) => words[letter] ?? 'PROT_NONE');
  return known.join(' | ');
}

function mapFlags(flags: string): string {
  const words = flags.split('|').map((word) => (word === 'anon' ? 'anonymous' : word));
  // Without MAP_FIXED nothing is replaced.
  if (!words.includes('fixed')) words.push('fixed_noreplace');
  return words.map((word) => `MAP_${word.toUpperCase()}`).join(' | ');
}

function remapFlags(flags: string): string {
  const names: Record<string, string> = {
    none: '0',
    maymove: 'MREMAP_MAYMOVE',
    fixed: 'MREMAP_MAYMOVE | MREMAP_FIXED',
    dontunmap: 'MREMAP_MAYMOVE | MREMAP_DONTUNMAP',
  };
  return flags
    .split('|')
    .map((word) => names[word] ?? '0')
    .join(' | ');
}

/** MADV_* by number: headers of older systems lack the newest names. */
const ADVICE: Readonly<Record<MadviseAdvice, number>> = {
  normal: 0,
  random: 1,
  sequential: 2,
  willneed: 3,
  dontneed: 4,
  free: 8,
  remove: 9,
  dontfork: 10,
  dofork: 11,
  mergeable: 12,
  unmergeable: 13,
  hugepage: 14,
  nohugepage: 15,
  dontdump: 16,
  dodump: 17,
  wipeonfork: 18,
  keeponfork: 19,
  cold: 20,
  pageout: 21,
  populate_read: 22,
  populate_write: 23,
  dontneed_locked: 24,
  collapse: 25,
  guard_install: 102,
  guard_remove: 103,
};

const PROGRAM = String.raw`/* cc -o reproducer THIS.c && ./reproducer */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGION @REGION@ul
#define AT(page) ((char *)(REGION + (unsigned long)(page) * 4096))

enum kind { MMAP, MUNMAP, MPROTECT, MREMAP, MADVISE, MLOCK, MUNLOCK, READ, WRITE, FORK, EXIT };
/* The process that acts; first page (FORK: the child's number) and number of pages; new length and
   place of mremap; protection, advice or value; flags. */
static const struct operation {
  enum kind kind;
  long process, at, pages, length, to, value;
  int flags;
} operations[] = {
@ROWS@
};
#define COUNT (sizeof operations / sizeof *operations)

static volatile unsigned long *step; /* shared: number of the operation that is next */
static sigjmp_buf fault;

static void on_fault(int signal) { siglongjmp(fault, signal); }

static void touch(const struct operation *one) {
  for (volatile long i = 0; i < one->pages; i++) {
    int signal = sigsetjmp(fault, 1);
    if (signal) {
      printf("  page %ld: %s\n", one->at + i, strsignal(signal));
    } else if (one->kind == WRITE) {
      *(volatile uint64_t *)AT(one->at + i) = one->value;
    } else {
      printf("  page %ld: %lu\n", one->at + i, *(volatile uint64_t *)AT(one->at + i));
    }
  }
}

static long perform(const struct operation *one) {
  size_t bytes = one->pages * 4096;
  switch (one->kind) {
  case MMAP: return (long)mmap(AT(one->at), bytes, one->value, one->flags, -1, 0);
  case MUNMAP: return munmap(AT(one->at), bytes);
  case MPROTECT: return mprotect(AT(one->at), bytes, one->value);
  case MREMAP: return (long)mremap(AT(one->at), bytes, one->length * 4096, one->flags, AT(one->to));
  case MADVISE: return madvise(AT(one->at), bytes, one->value);
  case MLOCK: return mlock(AT(one->at), bytes);
  case MUNLOCK: return munlock(AT(one->at), bytes);
  default: touch(one); return 0;
  }
}

static void show(long self) {
  char line[512];
  FILE *maps = fopen("/proc/self/smaps", "r");
  int is_inside = 0;
  printf("process %ld\n", self);
  while (maps && fgets(line, sizeof line, maps)) {
    unsigned long start, end;
    if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
      is_inside = start >= REGION && start < REGION + (1ul << 40);
      if (is_inside) printf("  pages %ld-%ld\n", (long)((start - REGION) / 4096), (long)((end - REGION) / 4096));
    } else if (is_inside && !strstr(line, " 0 kB")) {
      printf("    %s", line);
    }
  }
}

int main(void) {
  long self = 0;
  step = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  setvbuf(stdout, NULL, _IONBF, 0);
  for (unsigned long i = 0; i < COUNT; i++) {
    const struct operation *one = &operations[i];
    if (one->process != self) {
      /* Another one's turn; a process that is gone leaves its operations out. */
      for (long tries = 0; *step == i; tries++) {
        sched_yield();
        if (tries > 2000000) *step = i + 1;
      }
      continue;
    }
    while (*step < i) sched_yield();
    if (one->kind == EXIT) {
      *step = i + 1;
      _exit(0);
    }
    if (one->kind == FORK) {
      fflush(stdout);
      if (fork() == 0) {
        self = one->at;
        while (*step == i) sched_yield();
        continue;
      }
    } else {
      errno = 0;
      long ret = perform(one);
      printf("operation %lu by process %ld: %s\n", i, self, ret == -1 ? strerror(errno) : "done");
    }
    *step = i + 1;
  }
  usleep(200000 * (self + 1)); /* one after the other, while all are there */
  show(self);
  usleep(2000000);
  while (wait(NULL) > 0) {
  }
  return 0;
}
`;
