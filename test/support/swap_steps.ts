import fc from 'fast-check';
import { Machine } from '../../src/kernel/machine.js';
import type { MadviseAdvice, Operation } from '../../src/kernel/operation.js';

/** Page from which addresses count. */
export const REGION_START = 0x1000000;
/** Pages that process 0 maps at 0. */
export const PAGES = 64;
const PROCESSES = 3;

const process = fc.nat({ max: PROCESSES - 1 });
const range = fc.record({ at: fc.nat({ max: PAGES - 1 }), n: fc.integer({ min: 1, max: 24 }) });
const advice = fc.constantFrom<MadviseAdvice>(
  'pageout',
  'pageout',
  'cold',
  'free',
  'willneed',
  'dontneed',
  'populate_read',
  'random',
  'normal',
);

const step: fc.Arbitrary<Operation> = fc.oneof(
  fc
    .tuple(process, range, fc.nat({ max: 2 }))
    .map(([p, r, v]) => ({ op: 'write', p, ...r, v }) as const),
  fc.tuple(process, range).map(([p, r]) => ({ op: 'read', p, ...r }) as const),
  fc
    .tuple(process, range, advice)
    .map(([p, r, a]) => ({ op: 'madvise', p, ...r, advice: a }) as const),
  fc.tuple(process, process).map(([p, c]) => ({ op: 'fork', p, c }) as const),
  fc.integer({ min: 1, max: PROCESSES - 1 }).map((p) => ({ op: 'exit', p }) as const),
  fc.tuple(process, range).map(([p, r]) => ({ op: 'munmap', p, ...r }) as const),
  fc.tuple(process, fc.nat({ max: 1 })).map(([p, on]) => ({ op: 'memcg', p, on }) as const),
  fc.constant({ op: 'reclaim' } as const),
  fc
    .tuple(process, range, fc.nat({ max: 3 }))
    .map(([p, r, id]) => ({ op: 'vmsplice', p, ...r, id }) as const),
  fc.tuple(process, fc.nat({ max: 3 })).map(([p, id]) => ({ op: 'vmdrain', p, id, n: 4 }) as const),
  fc
    .tuple(process, fc.nat({ max: PAGES - 4 }))
    .map(([p, at]) => ({ op: 'mlock', p, at, n: 3 }) as const),
  fc.tuple(process, range).map(([p, r]) => ({ op: 'munlock', p, ...r }) as const),
  fc.constantFrom(0, 2, 3).map((value) => ({ op: 'config', key: 'page_cluster', value }) as const),
);

/** Random operations on swapped memory; `adapted` makes each one possible. */
export const swapOperations = fc.array(step, { minLength: 20, maxLength: 80, size: 'max' });

/** A machine with swap whose process 0 has mapped and written `PAGES` pages. */
export function beginSwapping(kind: 'zram' | 'file', mthp: boolean, shared: boolean): Machine {
  const machine = new Machine({ profile: { memoryPages: 4096 }, regionStart: REGION_START });
  machine.apply({ op: 'swapon', kind });
  if (mthp) machine.apply({ op: 'config', key: 'mthp.16kB', value: 'always' });
  const flags = shared ? 'shared|anon' : 'private|anon';
  machine.apply({ op: 'mmap', p: 0, at: 0, n: PAGES, prot: 'rw', flags });
  machine.apply({ op: 'write', p: 0, at: 0, n: PAGES, v: 9 });
  return machine;
}

/**
 * The operation with its process number mapped to a living process, and a free number for a child.
 * Undefined if it makes no sense now: process 0 stays, and there are at most three.
 */
export function adapted(machine: Machine, operation: Operation): Operation | undefined {
  if (!('p' in operation)) return operation;
  const living = [...machine.kernel.processes.keys()];
  const p = living[operation.p % living.length];
  if (operation.op === 'exit') return p === 0 ? undefined : { op: 'exit', p };
  if (operation.op !== 'fork') return { ...operation, p };
  const c = [1, 2].find((number) => !living.includes(number));
  return c === undefined ? undefined : { op: 'fork', p, c };
}
