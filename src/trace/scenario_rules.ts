/** Fields of each operation of the scenario format, and what they may hold. */
import type { MadviseAdvice, Operation, Prot } from '../kernel/operation.js';

/** What a field may hold: the value as the engine takes it, or undefined if it does not fit. */
export interface FieldRule {
  readonly expected: string;
  /** The words that it is made of, where those are known. */
  readonly words?: readonly string[];
  check(value: unknown): string | number | undefined;
}

interface OperationField {
  readonly rule: FieldRule;
  readonly isOptional: boolean;
}

const MOST_PAGES = 2 ** 35;
const MOST_PROCESS = 2 ** 22;
const MOST_NAME_LENGTH = 256;

const ADVICE: readonly MadviseAdvice[] = [
  'normal',
  'random',
  'sequential',
  'willneed',
  'dontneed',
  'free',
  'remove',
  'dontfork',
  'dofork',
  'mergeable',
  'unmergeable',
  'hugepage',
  'nohugepage',
  'dontdump',
  'dodump',
  'wipeonfork',
  'keeponfork',
  'cold',
  'pageout',
  'populate_read',
  'populate_write',
  'dontneed_locked',
  'collapse',
  'guard_install',
  'guard_remove',
];
const PROTS: readonly Prot[] = ['n', 'r', 'w', 'x', 'rw', 'rx', 'wx', 'rwx'];
const MMAP_FLAGS = [
  'private',
  'shared',
  'anon',
  'fixed',
  'hugetlb',
  'hugetlb1g',
  'populate',
  'locked',
  'noreserve',
  'growsdown',
  'stack',
] as const;
const MREMAP_FLAGS = ['none', 'maymove', 'fixed', 'dontunmap'] as const;
const MLOCKALL_FLAGS = ['current', 'future', 'onfault'] as const;
const UFFD_MODES = ['missing', 'wp'] as const;
const UFFD_FEATURES = ['sigbus', 'wp_async', 'wp_unpopulated', 'event_fork'] as const;
const CONFIG_KEY =
  /^(thp|shmem_thp|zero_thp|hugetlb|hugetlb1g|ksm_zero|ksm_max_sharing|page_cluster|shrink_underused|(shmem_)?mthp\.\d{1,7}kB)$/;

/** A whole number, also when it is written as a text of digits. */
function numberRule(expected: string, least: number, most: number): FieldRule {
  return {
    expected,
    check(value) {
      const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
      if (typeof number !== 'number' || !Number.isInteger(number)) return undefined;
      return number >= least && number <= most ? number : undefined;
    },
  };
}

function oneOf(words: readonly string[]): FieldRule {
  return {
    expected: `one of ${words.join(' ')}`,
    words,
    check: (value) => (typeof value === 'string' && words.includes(value) ? value : undefined),
  };
}

/** `|`-joined words, each at most once. */
function joined(words: readonly string[]): FieldRule {
  return {
    expected: `words joined by | out of ${words.join(' ')}`,
    words,
    check(value) {
      if (typeof value !== 'string') return undefined;
      const given = value.split('|');
      const fits =
        given.every((word) => words.includes(word)) && new Set(given).size === given.length;
      return fits ? value : undefined;
    },
  };
}

const PROCESS = numberRule('a process number', 0, MOST_PROCESS);
const PAGE = numberRule(`a page number from 0 to ${MOST_PAGES}`, 0, MOST_PAGES);
const COUNT = numberRule(`a number of pages from 0 to ${MOST_PAGES}`, 0, MOST_PAGES);
const SWAP_PAGES = numberRule('a number of pages from 2 to 16777216', 2, 2 ** 24);
const ID = numberRule('a number', 0, 2 ** 31 - 1);
const VALUE = numberRule('a whole number', 0, Number.MAX_SAFE_INTEGER);
const SWITCH = numberRule('0 or 1', 0, 1);
const SCANS = numberRule('a number of scans from 0 to 1000000', 0, 1e6);
const MILLISECONDS = numberRule('milliseconds from 0 to 3600000', 0, 3_600_000);
const FILE: FieldRule = {
  expected: 'the name or number of a file',
  check(value) {
    if (typeof value === 'number') return Number.isInteger(value) && value >= 0 ? value : undefined;
    return isName(value) ? value : undefined;
  },
};
const LABEL: FieldRule = {
  expected: `a text of 1 to ${MOST_NAME_LENGTH} characters`,
  check: (value) => (isName(value) ? value : undefined),
};
const KEY: FieldRule = {
  expected: 'thp, mthp.64kB, shmem_thp, shmem_mthp.64kB, zero_thp, hugetlb or another setting',
  check: (value) => (typeof value === 'string' && CONFIG_KEY.test(value) ? value : undefined),
};
const SETTING: FieldRule = {
  expected: 'a word or a number',
  check(value) {
    if (typeof value === 'string' && !/^\d{1,16}$/.test(value))
      return isName(value) ? value : undefined;
    return VALUE.check(value);
  },
};

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MOST_NAME_LENGTH;
}

function required(rules: Readonly<Record<string, FieldRule>>): Record<string, OperationField> {
  return mark(rules, false);
}

function optional(rules: Readonly<Record<string, FieldRule>>): Record<string, OperationField> {
  return mark(rules, true);
}

function mark(
  rules: Readonly<Record<string, FieldRule>>,
  isOptional: boolean,
): Record<string, OperationField> {
  return Object.fromEntries(
    Object.entries(rules).map(([field, rule]) => [field, { rule, isOptional }]),
  );
}

const RANGE = required({ p: PROCESS, at: PAGE, n: COUNT });
const FILE_RANGE = required({ file: FILE, at: PAGE, n: COUNT });

const RULES: Readonly<Record<Operation['op'], Readonly<Record<string, OperationField>>>> = {
  mmap: {
    ...required({ p: PROCESS, n: COUNT, prot: oneOf(PROTS), flags: joined(MMAP_FLAGS) }),
    ...optional({ at: PAGE, file: FILE, off: PAGE }),
  },
  munmap: RANGE,
  mprotect: { ...RANGE, ...required({ prot: oneOf(PROTS) }) },
  mlock: { ...RANGE, ...optional({ onfault: SWITCH }) },
  munlock: RANGE,
  mremap: {
    ...RANGE,
    ...required({ new: COUNT, flags: joined(MREMAP_FLAGS) }),
    ...optional({ to: PAGE }),
  },
  madvise: { ...RANGE, ...required({ advice: oneOf(ADVICE) }) },
  read: RANGE,
  write: { ...RANGE, ...required({ v: VALUE }) },
  fork: required({ p: PROCESS, c: PROCESS }),
  vfork: required({ p: PROCESS, c: PROCESS }),
  clone_vm: required({ p: PROCESS, c: PROCESS }),
  inherit: { ...RANGE, ...required({ q: PROCESS }) },
  exec: required({ p: PROCESS }),
  exit: required({ p: PROCESS }),
  fault: required({ p: PROCESS, at: PAGE, write: SWITCH }),
  mlockall: required({ p: PROCESS, flags: joined(MLOCKALL_FLAGS) }),
  munlockall: required({ p: PROCESS }),
  khugepaged: required({ p: PROCESS }),
  brk_at: { ...required({ p: PROCESS, at: PAGE }), ...optional({ end: PAGE }) },
  brk: required({ p: PROCESS, at: PAGE }),
  pin: { ...RANGE, ...required({ id: ID }) },
  pin_read: { ...RANGE, ...required({ id: ID, fast: SWITCH }) },
  unpin: required({ p: PROCESS, id: ID }),
  vmsplice: { ...RANGE, ...required({ id: ID }) },
  vmdrain: required({ p: PROCESS, n: COUNT, id: ID }),
  pvm_write: { ...RANGE, ...required({ q: PROCESS, v: VALUE }) },
  mem_write: { ...RANGE, ...required({ v: VALUE }) },
  uffd_move: { ...RANGE, ...required({ to: PAGE }), ...optional({ allow_holes: SWITCH }) },
  uffd_register: {
    ...RANGE,
    ...required({ mode: joined(UFFD_MODES) }),
    ...optional({ features: joined(UFFD_FEATURES) }),
  },
  uffd_unregister: RANGE,
  uffd_zero: RANGE,
  uffd_wp: { ...RANGE, ...required({ on: SWITCH }) },
  uffd_copy: { ...RANGE, ...required({ v: VALUE }), ...optional({ wp: SWITCH }) },
  move_pages: { ...RANGE, ...required({ node: ID }), ...optional({ all: SWITCH }) },
  migrate_pages: {
    ...required({ p: PROCESS, from: ID, to: ID }),
    ...optional({ all: SWITCH }),
  },
  memory_failure: RANGE,
  soft_offline: RANGE,
  process_madvise: { ...RANGE, ...required({ q: PROCESS, advice: oneOf(ADVICE) }) },
  clear_refs: required({ p: PROCESS, what: oneOf(['all', 'anon', 'mapped', 'soft_dirty']) }),
  prctl_merge: required({ p: PROCESS, on: SWITCH }),
  file: required({
    id: FILE,
    n: COUNT,
    kind: oneOf(['tmp', 'memfd', 'memfd_hugetlb', 'memfd_hugetlb1g']),
  }),
  filewrite: { ...FILE_RANGE, ...required({ v: VALUE }) },
  fileread: FILE_RANGE,
  punch: FILE_RANGE,
  ftruncate: required({ file: FILE, n: COUNT }),
  fadvise: required({ file: FILE, advice: oneOf(['noreuse', 'normal']) }),
  config: required({ key: KEY, value: SETTING }),
  ksm: required({ scans: SCANS }),
  ksm_unmerge: {},
  ksm_merge: required({ p: PROCESS, at: PAGE, q: PROCESS, to: PAGE }),
  swap_out: RANGE,
  swapon: optional({ kind: oneOf(['zram', 'file']), n: SWAP_PAGES }),
  swapoff: {},
  memcg: required({ p: PROCESS, on: SWITCH }),
  reclaim: {},
  dump: required({ label: LABEL }),
  drain: {},
  sleep: required({ ms: MILLISECONDS }),
  compact: {},
};

/** Fields of each operation, by its name. */
export const OPERATION_RULES: Readonly<
  Record<string, Readonly<Record<string, OperationField>> | undefined>
> = RULES;
