/** The tests of the copy-on-write selftest as operations. Each returns whether its claim holds. */
import type { Machine } from '../../kernel/machine.js';
import type { Operation, PageValue } from '../../kernel/operation.js';
import { readPinned } from '../../kernel/syscalls/page_holders.js';
import { NEW, OLD, perform, prepare, preparePair, type Prepared } from './conditions.js';

const PARENT = 0;
const CHILD = 1;
const HOLDER = 0;
/** A pipe holds this many pages. */
const PIPE_PAGES = 16;

type Test = (prepared: Prepared) => boolean;

function write(p: number, { at, pages }: Prepared): Operation {
  return { op: 'write', p, at, n: pages, v: NEW };
}

const FORK: Operation = { op: 'fork', p: PARENT, c: CHILD };

function readsOnly(machine: Machine, p: number, at: number, n: number, value: PageValue): boolean {
  const { vals = [] } = machine.apply({ op: 'read', p, at, n });
  return vals.every(([read]) => read === value);
}

/** Removes write permission and gives it back: an optimisation might make entries writable. */
function protectAndRestore({ machine, at, pages }: Prepared): void {
  perform(machine, [
    { op: 'mprotect', p: PARENT, at, n: pages, prot: 'r' },
    { op: 'mprotect', p: PARENT, at, n: pages, prot: 'rw' },
  ]);
}

function basicCow(withMprotect: boolean): Test {
  return (prepared) => {
    const { machine, at, pages } = prepared;
    perform(machine, [FORK]);
    if (!readsOnly(machine, CHILD, at, pages, OLD)) return false;
    if (withMprotect) protectAndRestore(prepared);
    perform(machine, [write(PARENT, prepared)]);
    return readsOnly(machine, CHILD, at, pages, OLD);
  };
}

function drainsOld({ machine, pages }: Prepared, p: number): boolean {
  const n = Math.min(pages, PIPE_PAGES);
  const { vals = [] } = machine.apply({ op: 'vmdrain', p, id: HOLDER, n });
  return vals.length > 0 && vals.every(([read]) => read === OLD);
}

function splice({ at, pages }: Prepared, p: number): Operation {
  return { op: 'vmsplice', p, at, n: Math.min(pages, PIPE_PAGES), id: HOLDER };
}

function spliceInChild(withMprotect: boolean): Test {
  return (prepared) => {
    const { machine, at, pages } = prepared;
    perform(machine, [FORK, splice(prepared, CHILD), { op: 'munmap', p: CHILD, at, n: pages }]);
    if (withMprotect) protectAndRestore(prepared);
    perform(machine, [write(PARENT, prepared)]);
    return drainsOld(prepared, CHILD);
  };
}

function spliceInParent(beforeFork: boolean): Test {
  return (prepared) => {
    const { machine, at, pages } = prepared;
    if (beforeFork) perform(machine, [splice(prepared, PARENT), FORK]);
    else perform(machine, [FORK, splice(prepared, PARENT)]);
    perform(machine, [{ op: 'munmap', p: PARENT, at, n: pages }, write(CHILD, prepared)]);
    return drainsOld(prepared, PARENT);
  };
}

function pinSees(machine: Machine, value: number): boolean {
  const values = readPinned(machine.kernel, PARENT, HOLDER);
  return values.length > 0 && values.every((read) => read === value);
}

const fixedBufferReadOnly: Test = (prepared) => {
  const { machine, at, pages } = prepared;
  perform(machine, [{ op: 'pin', p: PARENT, at, n: pages, id: HOLDER }]);
  protectAndRestore(prepared);
  perform(machine, [write(PARENT, prepared)]);
  return pinSees(machine, NEW);
};

const fixedBufferFork: Test = (prepared) => {
  const { machine, at, pages } = prepared;
  perform(machine, [{ op: 'pin', p: PARENT, at, n: pages, id: HOLDER }, FORK]);
  perform(machine, [write(PARENT, prepared)]);
  return pinSees(machine, NEW) && readsOnly(machine, CHILD, at, pages, OLD);
};

function readOnlyPin(sharing: 'shared' | 'previously-shared' | 'exclusive', fast: number): Test {
  return (prepared) => {
    const { machine, at, pages } = prepared;
    if (sharing !== 'exclusive') perform(machine, [FORK]);
    if (sharing === 'previously-shared') perform(machine, [{ op: 'exit', p: CHILD }]);
    perform(machine, [
      { op: 'mprotect', p: PARENT, at, n: pages, prot: 'r' },
      { op: 'pin_read', p: PARENT, at, n: pages, id: HOLDER, fast },
      { op: 'mprotect', p: PARENT, at, n: pages, prot: 'rw' },
      write(PARENT, prepared),
    ]);
    return pinSees(machine, NEW);
  };
}

const ANONYMOUS: Readonly<Record<string, Test>> = {
  'Basic COW after fork()': basicCow(false),
  'Basic COW after fork() with mprotect() optimization': basicCow(true),
  'vmsplice() + unmap in child': spliceInChild(false),
  'vmsplice() + unmap in child with mprotect() optimization': spliceInChild(true),
  'vmsplice() before fork(), unmap in parent after fork()': spliceInParent(true),
  'vmsplice() + unmap in parent after fork()': spliceInParent(false),
  'R/O-mapping a page registered as iouring fixed buffer': fixedBufferReadOnly,
  'fork() with an iouring fixed buffer': fixedBufferFork,
  'R/O GUP pin on R/O-mapped shared page': readOnlyPin('shared', 0),
  'R/O GUP-fast pin on R/O-mapped shared page': readOnlyPin('shared', 1),
  'R/O GUP pin on R/O-mapped previously-shared page': readOnlyPin('previously-shared', 0),
  'R/O GUP-fast pin on R/O-mapped previously-shared page': readOnlyPin('previously-shared', 1),
  'R/O GUP pin on R/O-mapped exclusive page': readOnlyPin('exclusive', 0),
  'R/O GUP-fast pin on R/O-mapped exclusive page': readOnlyPin('exclusive', 1),
};

/** Collapse into a THP before or after the fork; `shares` = what the child keeps. */
function collapse(shares: 'before' | 'fully' | 'lower' | 'upper'): boolean {
  const prepared = prepare('with base page');
  const { machine, at } = prepared;
  const pages = 512;
  const whole: Prepared = { machine, at, pages };
  perform(machine, [
    { op: 'mmap', p: PARENT, at, n: pages, prot: 'rw', flags: 'private|anon|fixed' },
    { op: 'write', p: PARENT, at, n: pages, v: OLD },
  ]);
  const collapsed: Operation = { op: 'madvise', p: PARENT, at, n: pages, advice: 'collapse' };
  const half = { n: 256 };
  if (shares === 'before') {
    perform(machine, [collapsed]);
    return basicCow(false)(whole);
  }
  const upper = { p: PARENT, at: at + 256, ...half };
  if (shares === 'lower') perform(machine, [{ op: 'madvise', ...upper, advice: 'dontfork' }]);
  perform(machine, [FORK]);
  if (shares === 'lower') perform(machine, [{ op: 'madvise', ...upper, advice: 'dofork' }]);
  if (shares === 'upper') perform(machine, [{ op: 'munmap', p: CHILD, at, ...half }]);
  perform(machine, [collapsed]);
  const written = machine.apply(write(PARENT, whole));
  const from = shares === 'upper' ? at + 256 : at;
  const count = shares === 'fully' ? pages : 256;
  return written.flt === 0 && readsOnly(machine, CHILD, from, count, OLD);
}

const COLLAPSES: Readonly<Record<string, Parameters<typeof collapse>[0]>> = {
  'Basic COW after fork() when collapsing before fork()': 'before',
  'Basic COW after fork() when collapsing after fork() (fully shared)': 'fully',
  'Basic COW after fork() when collapsing after fork() (lower shared)': 'lower',
  'Basic COW after fork() when collapsing after fork() (upper shared)': 'upper',
};

function basicPair(condition: string): boolean {
  const prepared = preparePair(condition);
  const { machine, otherAt, pages, untouched } = prepared;
  perform(machine, [write(PARENT, prepared)]);
  return readsOnly(machine, PARENT, otherAt, pages, untouched);
}

function pinPair(condition: string, fast: number): boolean {
  const prepared = preparePair(condition);
  const { machine, at, otherAt, pages, untouched } = prepared;
  perform(machine, [
    { op: 'pin_read', p: PARENT, at, n: pages, id: HOLDER, fast },
    write(PARENT, prepared),
  ]);
  return pinSees(machine, NEW) && readsOnly(machine, PARENT, otherAt, pages, untouched);
}

/** Runs one row of the matrix on fresh machines: does the claim hold? */
export function runCowTest(test: string, condition: string): boolean {
  const shares = COLLAPSES[test];
  if (shares !== undefined) return collapse(shares);
  if (test === 'Basic COW') return basicPair(condition);
  if (test === 'R/O longterm GUP pin') return pinPair(condition, 0);
  if (test === 'R/O longterm GUP-fast pin') return pinPair(condition, 1);
  const anonymous = ANONYMOUS[test];
  if (anonymous === undefined) throw new Error(`unknown test: ${test}`);
  return anonymous(prepare(condition));
}
