import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Machine } from '../machine.js';
import type { Profile } from '../profile.js';
import { createMm } from '../syscalls/fork.js';
import { Mm } from '../vm/mm.js';
import {
  folioAddReturnLargeMapcount,
  folioLockLargeMapcount,
  folioMmId,
  folioSetLargeMapcount,
  folioSubReturnLargeMapcount,
  folioUnlockLargeMapcount,
  MM_ID_MIN,
  mmIdLayout,
} from './large_mapcount.js';

// @covers folio_set_large_mapcount, folio_add_return_large_mapcount, folio_mm_id, folio_set_mm_id
// @covers folio_sub_return_large_mapcount, folio_add_large_mapcount, folio_sub_large_mapcount
// @covers folio_inc_large_mapcount, folio_dec_large_mapcount, folio_inc_return_large_mapcount
// @covers folio_dec_return_large_mapcount, folio_lock_large_mapcount, folio_unlock_large_mapcount
// @covers __folio_large_mapcount_sanity_checks, folio._large_mapcount, folio._mm_id, folio._mm_ids
// @covers folio._mm_id_mapcount, mm_id_t, MM_ID_DUMMY, MM_ID_MIN, MM_ID_BITS, MM_ID_MASK
// @covers MM_ID_MAX, MM_ID_MAPCOUNT_MAX, FOLIO_MM_IDS_LOCK_BITNUM, FOLIO_MM_IDS_LOCK_BIT
// @covers FOLIO_MM_IDS_SHARED_BITNUM, FOLIO_MM_IDS_SHARED_BIT

type Name = 'P' | 'C1' | 'C2' | 'C3';
const NAMES: readonly Name[] = ['P', 'C1', 'C2', 'C3'];

/** One large folio that no page table knows, and four mms. */
class Counted {
  readonly kernel: Machine['kernel'];
  readonly row: number;
  private readonly mms: ReadonlyMap<Name, Mm>;

  constructor(order = 2, profile: Partial<Profile> = {}) {
    this.kernel = new Machine({ profile: { memoryPages: 1024, ...profile } }).kernel;
    this.row = this.kernel.large.alloc(0, order);
    this.mms = new Map(NAMES.map((name, i) => [name, createMm(this.kernel, 10 + i)]));
  }

  mm(name: Name): Mm {
    const mm = this.mms.get(name);
    if (mm === undefined) throw new Error(name);
    return mm;
  }

  set(name: Name, count: number): void {
    folioSetLargeMapcount(this.kernel, this.row, count, this.mm(name));
  }

  add(name: Name, count: number): number {
    return folioAddReturnLargeMapcount(this.kernel, this.row, count, this.mm(name));
  }

  sub(name: Name, count: number): number {
    return folioSubReturnLargeMapcount(this.kernel, this.row, count, this.mm(name));
  }

  /** `+P 4` and `-P 4` in a row. */
  run(script: string): this {
    for (const [, sign, name, count] of script.matchAll(/([+-])(\w+) (\d+)/g)) {
      if (sign === '+') this.add(name as Name, Number(count));
      else this.sub(name as Name, Number(count));
    }
    return this;
  }

  /** `total slot0 slot1 shared`. */
  toString(): string {
    const { large } = this.kernel;
    const slot = (id: number, count: number): string => {
      if (id === 0) return count === 0 ? '–' : `free:${count}`;
      return `${NAMES.find((name) => this.mm(name).mmId === id) ?? id}:${count}`;
    };
    const first = slot(folioMmId(this.kernel, this.row, 0), large.mmIdMapcount0[this.row]);
    const second = slot(folioMmId(this.kernel, this.row, 1), large.mmIdMapcount1[this.row]);
    return `${large.largeMapcount[this.row]} ${first} ${second} ${large.shared[this.row]}`;
  }
}

describe('slots of a folio of 4 pages (worked examples of the specification)', () => {
  const b = '+P 4 +C1 4';
  const e = `${b} +C2 4`;
  const g = `${e} -P 4 -C1 4`;
  const k = `${e} -P 4 +C2 1`;
  it.each([
    ['a: one mm maps', '+P 4', '4 P:4 – 0'],
    ['b: fork', b, '8 P:4 C1:4 1'],
    ['c: the child unmaps', `${b} -C1 4`, '4 P:4 – 0'],
    ['d: the parent unmaps a part', `${b} -P 1`, '7 P:3 C1:4 1'],
    ['d: and the rest', `${b} -P 1 -P 3`, '4 – C1:4 0'],
    ['d: but one page', `${b} -P 3`, '5 P:1 C1:4 1'],
    ['d: or the child does', `${b} -C1 3`, '5 P:4 C1:1 1'],
    ['d: and remains alone with it', `${b} -C1 3 -P 4`, '1 – C1:1 0'],
    ['e: a third mm finds no slot', e, '12 P:4 C1:4 1'],
    ['f: it goes again', `${e} -C2 4`, '8 P:4 C1:4 1'],
    ['g: it alone remains, untracked: falsely shared', g, '4 – – 1'],
    ['h: a newcomer takes a slot', `${g} +C3 4`, '8 C3:4 – 1'],
    ['i: the untracked one goes, which heals', `${g} +C3 4 -C2 4`, '4 C3:4 – 0'],
    ['j: the untracked one keeps one page', `${g} -C2 3`, '1 – – 1'],
    ['k: the third is counted late', k, '9 C2:1 C1:4 1'],
    ['l: and falls below what was counted', `${k} -C2 2`, '7 – C1:4 1'],
    ['m: then goes', `${k} -C2 2 -C2 3`, '4 – C1:4 0'],
    ['n: nobody is left', `${k} -C2 2 -C2 3 -C1 4`, '0 – – 0'],
    ['n: the untracked one goes last', `${g} -C2 4`, '0 – – 0'],
    ['both children leave', `${e} -C1 4 -C2 4`, '4 P:4 – 0'],
  ])('%s', (_name, script, expected) => {
    expect(String(new Counted().run(script))).toBe(expected);
  });

  it('starts with the first mapper in slot 0, not shared', () => {
    const folio = new Counted();
    folio.set('C1', 4);
    expect(String(folio)).toBe('4 C1:4 – 0');
  });

  it('returns the new total', () => {
    const folio = new Counted();
    expect([folio.add('P', 4), folio.add('C1', 1), folio.sub('P', 2)]).toEqual([4, 5, 3]);
  });

  it('leaves no lock behind', () => {
    const folio = new Counted().run(`${k} -C2 2`);
    expect(folio.kernel.large.locked[folio.row]).toBe(0);
  });
});

describe('narrow words of 32-bit builds', () => {
  it('have these widths', () => {
    expect(mmIdLayout(new Counted(2, { mmIds: '32-bit' }).kernel)).toEqual({
      idBits: 15,
      idMax: 0x7fff,
      mapcountMax: 0x7fff,
      lockBitNumber: 15,
      sharedBitNumber: 31,
    });
    expect(mmIdLayout(new Counted().kernel)).toEqual({
      idBits: 31,
      idMax: 0x7fff_ffff,
      mapcountMax: 0x7fff_ffff,
      lockBitNumber: 31,
      sharedBitNumber: 63,
    });
    expect(MM_ID_MIN).toBe(1);
  });

  it.each([
    ['slot 0', '', '32769 – – 1'],
    ['slot 1', '+C1 1', '32770 C1:1 – 1'],
  ])('free %s when its count overflows', (_slot, before, expected) => {
    const folio = new Counted(15, { mmIds: '32-bit' }).run(`${before} +P 32768`);
    folio.run('+P 1');
    expect(String(folio)).toBe(expected);
  });

  it('make a folio shared that one mm maps, from slot 1', () => {
    const folio = new Counted(15, { mmIds: '32-bit' }).run('+C1 1 +P 1 -C1 1 +P 32767');
    expect(String(folio)).toBe('32768 – P:32768 0');
    expect(String(folio.run('+P 1'))).toBe('32769 – – 1');
  });

  it('count 32768 mappings, the largest stored value', () => {
    const folio = new Counted(15, { mmIds: '32-bit' }).run('+P 32768');
    expect(String(folio)).toBe('32768 P:32768 – 0');
    const grown = new Counted(15, { mmIds: '32-bit' }).run('+P 32767 +P 1');
    expect(String(grown)).toBe('32768 P:32768 – 0');
  });

  it('heal from an overflow once everything is gone', () => {
    const folio = new Counted(15, { mmIds: '32-bit' }).run('+P 32768 +P 1 +P 1');
    expect(String(folio)).toBe('32770 P:1 – 1');
    expect(String(folio.run('-P 2'))).toBe('32768 – – 1');
    expect(String(folio.run('-P 32768'))).toBe('0 – – 0');
  });

  it('do not overflow with 64 bits', () => {
    expect(String(new Counted(15).run('+P 32768 +P 1'))).toBe('32769 P:32769 – 0');
  });

  it('are too narrow for huge folios', () => {
    expect(() => new Counted(16, { mmIds: '32-bit' }).add('P', 1)).toThrow(/too large for mm ids/);
  });
});

it('counts only the total without mm ids', () => {
  const folio = new Counted(2, { mmIds: 'none' });
  folio.set('P', 4);
  expect([folio.add('C1', 4), folio.sub('P', 1)]).toEqual([8, 7]);
  expect(String(folio)).toBe('7 – – 0');
});

describe('checks before each change', () => {
  it.each([
    ['no mapping changes', (f: Counted) => f.add('P', 0), /0 mappings of a folio of 4 pages/],
    ['more than the folio has', (f: Counted) => f.add('P', 5), /5 mappings of a folio of 4 pages/],
    ['below zero', (f: Counted) => f.sub('P', 1), /has -1 mappings/],
    [
      'an id without count',
      (f: Counted) => {
        f.kernel.large.mmId1[f.row] = 7;
        f.add('P', 1);
      },
      /disagree with their counts/,
    ],
    [
      'the same id twice',
      (f: Counted) => {
        f.run('+P 1 +C1 1');
        f.kernel.large.mmId1[f.row] = f.mm('P').mmId;
        f.add('C2', 1);
      },
      /both mm-id slots/,
    ],
    [
      'shared while unmapped',
      (f: Counted) => {
        f.kernel.large.shared[f.row] = 1;
        f.add('P', 1);
      },
      /is marked shared/,
    ],
    [
      'the id of no mm',
      (f: Counted) => folioAddReturnLargeMapcount(f.kernel, f.row, 1, new Mm(99, 0, 0)),
      /out of range/,
    ],
    [
      'a fresh folio that is mapped',
      (f: Counted) => {
        f.add('P', 1);
        f.set('P', 1);
      },
      /already mapped/,
    ],
    ['the lock held', (f: Counted) => lockTwice(f), /taken while held/],
    ['the lock not held', (f: Counted) => folioUnlockLargeMapcount(f.kernel, f.row), /not held/],
  ])('stop %s', (_name, change, message) => {
    expect(() => change(new Counted())).toThrow(message);
  });
});

function lockTwice(folio: Counted): void {
  folioLockLargeMapcount(folio.kernel, folio.row);
  folioLockLargeMapcount(folio.kernel, folio.row);
}

describe('random histories against a recount', () => {
  const steps = fc.array(
    fc.tuple(fc.constantFrom(...NAMES), fc.boolean(), fc.integer({ min: 1, max: 4 })),
    { maxLength: 80 },
  );

  it('never call a shared folio exclusive', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const folio = new Counted();
        const { kernel, row } = folio;
        const { large } = kernel;
        const truth = new Map<number, number>();
        for (const [name, maps, count] of history) {
          const { mmId } = folio.mm(name);
          const have = truth.get(mmId) ?? 0;
          if (!maps && have === 0) continue;
          const change = maps ? count : -Math.min(count, have);
          truth.set(mmId, have + change);
          const total = [...truth.values()].reduce((sum, value) => sum + value, 0);
          expect(maps ? folio.add(name, change) : folio.sub(name, -change)).toBe(total);
          const mappers = [...truth.values()].filter((value) => value > 0).length;
          expect(mappers < 2 || large.shared[row] === 1).toBe(true);
          const ids = [folioMmId(kernel, row, 0), folioMmId(kernel, row, 1)];
          const counts = [large.mmIdMapcount0[row], large.mmIdMapcount1[row]];
          for (const [i, id] of ids.entries()) {
            expect(counts[i]).toBeLessThanOrEqual(truth.get(id) ?? 0);
            expect(id === 0).toBe(counts[i] === 0);
          }
          expect(ids[0] === 0 || ids[0] !== ids[1]).toBe(true);
          expect(total > 0 || String(folio) === '0 – – 0').toBe(true);
        }
      }),
      { seed: 20, numRuns: 150 },
    );
  });

  it('track exactly while two mms at most map', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const folio = new Counted();
        const have: Record<string, number> = { P: 0, C1: 0 };
        for (const [name, maps, count] of history) {
          if (name !== 'P' && name !== 'C1') continue;
          const change = maps ? count : -Math.min(count, have[name]);
          if (change === 0) continue;
          have[name] += change;
          if (change > 0) folio.add(name, change);
          else folio.sub(name, -change);
          const isShared = have['P'] > 0 && have['C1'] > 0;
          expect(folio.kernel.large.shared[folio.row]).toBe(isShared ? 1 : 0);
        }
      }),
      { seed: 21, numRuns: 150 },
    );
  });
});
