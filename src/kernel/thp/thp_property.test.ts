import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkInvariants } from '../invariants/index.js';
import { Machine } from '../machine.js';
import type { MadviseAdvice, PageValue } from '../operation.js';

/** Private memory at 512, a shared file of the same length at 4096. */
const PRIVATE = 512;
const SHARED = 4096;
const PAGES = 1536;
const PROCESSES = 3;

interface Step {
  readonly kind: 'write' | 'zap' | 'advise' | 'fork' | 'exit' | 'protect' | 'pin' | 'hole' | 'scan';
  readonly process: number;
  readonly isShared: boolean;
  readonly at: number;
  readonly n: number;
  readonly choice: number;
}

const ADVICE: readonly MadviseAdvice[] = [
  'collapse',
  'hugepage',
  'nohugepage',
  'cold',
  'pageout',
  'populate_read',
];

/** Whole blocks as often as parts. */
const range = fc.oneof(
  fc.nat({ max: PAGES / 512 - 1 }).map((block) => ({ at: block * 512, n: 512 })),
  fc.record({ at: fc.nat({ max: PAGES - 1 }), n: fc.integer({ min: 1, max: 600 }) }),
);
const step: fc.Arbitrary<Step> = fc
  .tuple(
    fc.constantFrom<Step['kind']>(
      'write',
      'write',
      'write',
      'zap',
      'advise',
      'advise',
      'fork',
      'exit',
      'protect',
      'pin',
      'hole',
      'scan',
    ),
    fc.nat({ max: PROCESSES - 1 }),
    fc.boolean(),
    range,
    fc.nat({ max: 59 }),
  )
  .map(([kind, process, isShared, { at, n }, choice]) => {
    return { kind, process, isShared, at, n: Math.min(n, PAGES - at), choice };
  });

/** A machine and what every page of every process must read as. */
class Oracle {
  readonly machine = new Machine({ profile: { memoryPages: 32_768 }, regionStart: 0x1000000 });
  readonly own = new Map<number, Uint32Array>([[0, new Uint32Array(PAGES)]]);
  readonly file = new Uint32Array(PAGES);
  private nextValue = 1;
  private nextPin = 0;

  constructor(size: string) {
    const { machine } = this;
    machine.apply({ op: 'config', key: 'thp', value: 'always' });
    machine.apply({ op: 'config', key: 'shmem_thp', value: 'always' });
    machine.apply({ op: 'config', key: `mthp.${size}`, value: 'always' });
    machine.apply({ op: 'config', key: `shmem_mthp.${size}`, value: 'always' });
    machine.apply({ op: 'swapon', kind: 'zram' });
    machine.apply({ op: 'file', id: 'f', n: PAGES, kind: 'memfd' });
    const map = { op: 'mmap', p: 0, n: PAGES, prot: 'rw' } as const;
    machine.apply({ ...map, at: PRIVATE, flags: 'private|anon' });
    machine.apply({ ...map, at: SHARED, flags: 'shared', file: 'f', off: 0 });
  }

  run(one: Step): void {
    const { machine, own } = this;
    const living = [...own.keys()];
    const p = living[one.process % living.length];
    const at = one.at + (one.isShared ? SHARED : PRIVATE);
    const { n } = one;
    const pages = one.isShared ? this.file : own.get(p);
    if (one.kind === 'write') {
      const v = one.choice % 3 === 0 ? 0 : this.nextValue;
      this.nextValue += 1;
      machine.apply({ op: 'write', p, at, n, v });
      pages?.fill(v, one.at, one.at + n);
    } else if (one.kind === 'zap') {
      machine.apply({ op: 'madvise', p, at, n, advice: 'dontneed' });
      if (!one.isShared) pages?.fill(0, one.at, one.at + n);
    } else if (one.kind === 'advise') {
      machine.apply({ op: 'madvise', p, at, n, advice: ADVICE[one.choice % ADVICE.length] });
    } else if (one.kind === 'fork') {
      const c = [1, 2].find((number) => !own.has(number));
      if (c === undefined) return;
      machine.apply({ op: 'fork', p, c });
      own.set(c, Uint32Array.from(own.get(p) ?? []));
    } else if (one.kind === 'exit') {
      if (living.length === 1) return;
      machine.apply({ op: 'exit', p });
      own.delete(p);
    } else if (one.kind === 'protect') {
      machine.apply({ op: 'mprotect', p, at, n, prot: 'r' });
      if (one.choice % 2 === 0) checkInvariants(machine.kernel);
      machine.apply({ op: 'mprotect', p, at, n, prot: 'rw' });
    } else if (one.kind === 'pin') {
      machine.apply({ op: 'pin', p, at, n: Math.min(n, 8), id: this.nextPin });
      if (one.choice % 2 === 0) machine.apply({ op: 'unpin', p, id: this.nextPin });
      this.nextPin += 1;
    } else if (one.kind === 'hole') {
      machine.apply({ op: 'punch', file: 'f', at: one.at, n });
      this.file.fill(0, one.at, one.at + n);
    } else {
      machine.apply({ op: 'khugepaged', p });
    }
  }

  /** First page whose value is wrong, or nothing. */
  firstWrongPage(): string {
    for (const [p, pages] of this.own) {
      const wrong = this.compare(p, PRIVATE, pages) + this.compare(p, SHARED, this.file);
      if (wrong !== '') return wrong;
    }
    return '';
  }

  private compare(p: number, at: number, expected: Uint32Array): string {
    const { vals } = this.machine.apply({ op: 'read', p, at, n: PAGES });
    const values = (vals ?? []).flatMap(([value, count]) =>
      new Array<PageValue>(count).fill(value),
    );
    const wrong = values.findIndex((value, i) => value !== expected[i]);
    if (wrong < 0) return '';
    return `page ${at + wrong} of process ${p}: ${values[wrong]}, not ${expected[wrong]}`;
  }
}

describe('any sequence of operations on large folios', () => {
  it.each(['16kB', '64kB', '1024kB'])('keeps contents and claims, with %s folios', (size) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 25 }), (steps) => {
        const oracle = new Oracle(size);
        for (const one of steps) {
          oracle.run(one);
          checkInvariants(oracle.machine.kernel);
        }
        expect(oracle.firstWrongPage()).toBe('');
        checkInvariants(oracle.machine.kernel);
        for (const p of oracle.own.keys()) oracle.machine.apply({ op: 'exit', p });
        checkInvariants(oracle.machine.kernel);
      }),
      { numRuns: 12, seed: 20_260_101 },
    );
  });
});
