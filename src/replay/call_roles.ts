import type { StringTable } from '../trace/tables.js';

/** What a system call means for the replay. */
export type CallRole =
  /** Changes VMAs under the mmap lock: takes effect where the lock is taken. */
  | 'vma'
  /** Zaps pages under the read lock: takes effect at its first counter change. */
  | 'madvise'
  /** Copies or shares the address space. */
  | 'fork'
  | 'exec'
  /** Takes effect when it returns. */
  | 'file'
  | 'none';

const ROLES: Readonly<Record<string, CallRole>> = {
  mmap: 'vma',
  munmap: 'vma',
  mprotect: 'vma',
  pkey_mprotect: 'vma',
  mremap: 'vma',
  brk: 'vma',
  mlock: 'vma',
  mlock2: 'vma',
  munlock: 'vma',
  mlockall: 'vma',
  munlockall: 'vma',
  shmat: 'vma',
  shmdt: 'vma',
  prctl: 'vma',
  madvise: 'madvise',
  process_madvise: 'madvise',
  fork: 'fork',
  vfork: 'fork',
  clone: 'fork',
  clone3: 'fork',
  execve: 'exec',
  execveat: 'exec',
  shmget: 'file',
  openat: 'file',
  open: 'file',
  memfd_create: 'file',
  ftruncate: 'file',
  fallocate: 'file',
  close: 'file',
  process_vm_writev: 'file',
};

/** Roles by row of the string table, filled as names come. */
export class CallRoles {
  private readonly strings: StringTable;
  private readonly roles: CallRole[] = [];

  constructor(strings: StringTable) {
    this.strings = strings;
  }

  roleOf(row: number): CallRole {
    while (this.roles.length <= row) {
      this.roles.push(ROLES[this.strings.text(this.roles.length)] ?? 'none');
    }
    return this.roles[row] ?? 'none';
  }
}
