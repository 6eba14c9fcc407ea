/** Arguments and results of system calls as strace prints them. */
import type { FlagNames } from './flag_names.js';
import {
  CLONE_FLAGS,
  MADVISE_ADVICE,
  MAP_FLAGS,
  MLOCK2_FLAGS,
  MLOCKALL_FLAGS,
  MREMAP_FLAGS,
  PROT_FLAGS,
  flagsValue,
} from './flag_names.js';
import type { ImportSink } from './import_sink.js';

type ArgumentRule = 'number' | readonly [names: FlagNames, prefix: string];

const NUMBER = 'number';
const PROT: ArgumentRule = [PROT_FLAGS, 'PROT_'];

/** Arguments of the system calls that change an address space. */
const CALL_ARGUMENTS: Readonly<Record<string, readonly ArgumentRule[]>> = {
  mmap: [NUMBER, NUMBER, PROT, [MAP_FLAGS, 'MAP_'], NUMBER, NUMBER],
  munmap: [NUMBER, NUMBER],
  mprotect: [NUMBER, NUMBER, PROT],
  pkey_mprotect: [NUMBER, NUMBER, PROT, NUMBER],
  mremap: [NUMBER, NUMBER, NUMBER, [MREMAP_FLAGS, 'MREMAP_'], NUMBER],
  brk: [NUMBER],
  madvise: [NUMBER, NUMBER, [MADVISE_ADVICE, 'MADV_']],
  mlock: [NUMBER, NUMBER],
  mlock2: [NUMBER, NUMBER, [MLOCK2_FLAGS, 'MLOCK_']],
  munlock: [NUMBER, NUMBER],
  mlockall: [[MLOCKALL_FLAGS, 'MCL_']],
  munlockall: [],
  shmdt: [NUMBER],
  fork: [],
  vfork: [],
  // Their flags are read from the text, their other arguments are of no use.
  clone: [],
  clone3: [],
  execve: [],
  execveat: [],
};

/** True if the call matters to an address space or to the tree of tasks. */
export function isMemoryCall(name: string): boolean {
  return Object.hasOwn(CALL_ARGUMENTS, name);
}

/** Cells of the arguments of a memory call; undefined if one cannot be read. */
export function callCells(sink: ImportSink, name: string, text: string): number[] | undefined {
  const rules = CALL_ARGUMENTS[name] ?? [];
  const parts = splitArguments(text);
  const cells: number[] = [];
  for (const [i, rule] of rules.entries()) {
    // mremap has its last argument only with MREMAP_FIXED.
    const part = parts[i] ?? '0';
    const cell = rule === NUMBER ? numberCell(sink, part) : flagsValue(part, rule[0], rule[1]);
    if (cell === undefined) return undefined;
    cells.push(cell);
  }
  return cells;
}

/** Clone flags of `clone(…, flags=CLONE_VM|…|SIGCHLD, …)` or `clone3({flags=CLONE_VM|…, …})`. */
export function cloneFlagsOf(name: string, text: string): number | undefined {
  if (name === 'fork') return 0;
  if (name === 'vfork') return (CLONE_FLAGS['VM'] ?? 0) | (CLONE_FLAGS['VFORK'] ?? 0);
  const flags = /flags=([\w|]{1,1024})/.exec(text)?.[1];
  if (flags === undefined) return undefined;
  // The signal is sent at exit; it is not among the flags of the kernel's event either.
  const names = flags.split('|').filter((word) => !word.startsWith('SIG'));
  return names.length === 0 ? 0 : flagsValue(names.join('|'), CLONE_FLAGS, 'CLONE_');
}

/** First argument as text, for execve: `"/bin/ls"`. */
export function firstText(text: string): string {
  const quoted = /^\s*(?:[\w-]+, )?"((?:[^"\\]|\\.){0,4096})"/.exec(text)?.[1] ?? '';
  return quoted.replace(/\\(.)/g, '$1');
}

/** Cell of the result; errors are negative numbers. Undefined for `?`. */
export function resultCell(sink: ImportSink, text: string): number | undefined {
  const [, value = '', error] = /^(-?\w{1,18})(?: (E[A-Z0-9]+))?/.exec(text) ?? [];
  if (value === '-1' && error !== undefined) return -(ERRNO[error] ?? UNKNOWN_ERRNO);
  return numberCell(sink, value);
}

const UNKNOWN_ERRNO = 22;

const ERRNO: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ETXTBSY: 26,
  ENOSYS: 38,
};

function numberCell(sink: ImportSink, text: string): number | undefined {
  const value = text.trim();
  if (value === 'NULL') return 0;
  // With -y a descriptor is followed by its file: 3</lib/libc.so.6>.
  const digits = /^(-?\d{1,15}|0x[0-9a-f]{1,16})(?:<.*)?$/.exec(value)?.[1];
  return digits === undefined ? undefined : sink.cell(digits);
}

/** Splits at commas outside of quotes and brackets. */
function splitArguments(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let isQuoted = false;
  let start = 0;
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i];
    if (isQuoted) {
      if (char === '\\') i += 1;
      else if (char === '"') isQuoted = false;
    } else if (char === '"') isQuoted = true;
    else if (char === '[' || char === '{' || char === '(') depth += 1;
    else if (char === ']' || char === '}' || char === ')') depth -= 1;
    else if (char === ',' && depth === 0) {
      parts.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  const last = text.slice(start).trim();
  if (last !== '' || parts.length > 0) parts.push(last);
  return parts;
}
