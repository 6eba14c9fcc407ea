import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';
import type { Operation } from '../operation.js';

// @covers move_pages_pte, move_pages_huge_pmd, validate_move_areas, move_present_pte
// @covers move_zeropage_pte, move_swap_pte

function move(at: number, n: number, to: number, holes = 0): Operation {
  return { op: 'uffd_move', p: 0, at, n, to, allow_holes: holes };
}

/** A source of four pages at 0, a destination of four at 16. */
function twoAreas(): MachineScript {
  const script = new MachineScript();
  script.map(0, 4);
  script.map(16, 4);
  script.write(0, 4, 6);
  return script;
}

describe('small pages', () => {
  it('go to the destination’s anon_vma and index', () => {
    const script = twoAreas();
    const pfn = script.pfn(1);
    expect(script.answer(move(1, 1, 17))).toBe(0);
    expect([script.pfn(17), script.bits(1), script.bits(17)]).toEqual([pfn, 'none', 'wde']);
    const page = script.page(17);
    const destination = script.state().procs[0].vmas[1];
    expect(page?.k === 'page' && page.folioState?.index).toBe(17);
    expect(page?.k === 'page' && page.folioState?.av).toBe(destination.av);
    expect(script.read(17)).toEqual([6]);
  });

  it('stay clean if they were', () => {
    const script = twoAreas();
    script.map(32, 4);
    script.write(32, 1, 1);
    script.run({ op: 'mprotect', p: 0, at: 32, n: 4, prot: 'r' });
    script.run({ op: 'madvise', p: 0, at: 32, n: 1, advice: 'free' });
    script.run({ op: 'mprotect', p: 0, at: 32, n: 4, prot: 'rw' }, move(32, 1, 16));
    expect(script.bits(16)).toBe('w-e');
  });

  it('must be exclusive and not pinned', () => {
    const script = twoAreas();
    script.run({ op: 'pin', p: 0, at: 0, n: 1, id: 1 });
    expect(script.answer(move(0, 1, 16))).toBe('EBUSY');
    script.fork(0, 1);
    script.run({ op: 'exit', p: 1 });
    // Mapped once again, but nobody has noticed.
    expect(script.answer(move(1, 1, 16))).toBe('EBUSY');
    script.write(1, 1, 7);
    expect(script.answer(move(1, 1, 16))).toBe(0);
  });

  it('leave holes where there are holes, if that is allowed', () => {
    const script = twoAreas();
    script.run({ op: 'madvise', p: 0, at: 1, n: 1, advice: 'dontneed' });
    expect(script.answer(move(1, 1, 16))).toBe('ENOENT');
    expect(script.answer(move(0, 4, 16, 1))).toBe(0);
    expect([16, 17, 18].map((at) => script.bits(at))).toEqual(['wde', 'none', 'wde']);
  });

  it('do not replace anything; what was moved before stays moved', () => {
    const script = twoAreas();
    script.write(17, 1, 1);
    expect(script.answer(move(1, 1, 17))).toBe('EEXIST');
    expect(script.answer(move(0, 2, 16))).toBe('EAGAIN');
    expect([script.bits(0), script.bits(16)]).toEqual(['none', 'wde']);
  });

  it('need both sides private, writable, and locked or not', () => {
    const script = twoAreas();
    script.map(32, 4, 'r');
    script.mapShared(48, 4);
    script.map(64, 4);
    script.run({ op: 'mlock', p: 0, at: 64, n: 4 });
    for (const to of [32, 48, 64]) expect(script.answer(move(0, 1, to))).toBe('EINVAL');
    expect(script.answer(move(0, 1, 999))).toBe('EINVAL');
    expect(script.answer(move(2, 4, 16))).toBe('EINVAL');
  });

  it('may be the zero page', () => {
    const script = new MachineScript();
    script.map(0, 1);
    script.map(16, 1);
    script.read(0);
    script.run(move(0, 1, 16));
    expect([script.kind(0), script.kind(16)]).toEqual(['none', 'zero']);
  });
});

describe('huge pages', () => {
  function hugeArea(): MachineScript {
    const script = new MachineScript();
    script.map(0, 512);
    script.map(1024, 1024);
    script.run({ op: 'madvise', p: 0, at: 0, n: 512, advice: 'hugepage' });
    return script;
  }

  it('move as a whole between aligned places', () => {
    const script = hugeArea();
    script.write(0, 1, 5);
    expect(script.answer(move(0, 512, 1024))).toBe(0);
    const page = script.page(1024);
    expect(page?.k === 'page' && [page.level, page.w, page.d, page.ae]).toEqual(['pmd', 1, 1, 1]);
    expect(page?.k === 'page' && page.folioState?.index).toBe(1024);
    expect(script.read(1024)).toEqual([5]);
  });

  it('may be the huge zero page', () => {
    const script = hugeArea();
    script.read(0);
    expect(script.answer(move(0, 512, 1024))).toBe(0);
    expect([script.kind(1024), script.bits(0)]).toEqual(['zero', 'none']);
  });

  it('are refused while shared, without a split', () => {
    const script = hugeArea();
    script.write(0, 1, 5);
    script.fork(0, 1);
    expect(script.answer(move(0, 1, 1024))).toBe('EBUSY');
    const page = script.page(0);
    expect(page?.k === 'page' && page.level).toBe('pmd');
  });

  it('are split for a part, whose pages then move one by one', () => {
    const script = hugeArea();
    script.write(0, 512, 5);
    script.write(2, 1, 0);
    expect(script.answer(move(0, 4, 1025))).toBe(0);
    expect([1025, 1026, 1027].map((at) => script.bits(at))).toEqual(['wde', 'wde', '---']);
    expect([script.kind(1027), script.bits(4)]).toEqual(['zero', 'wde']);
    const page = script.page(4);
    expect(page?.k === 'page' && [page.level, page.folioState?.order]).toEqual(['pte', 0]);
  });

  it('are refused while somebody else holds them, which shows only in the entry', () => {
    const script = hugeArea();
    script.write(0, 512, 5);
    script.run({ op: 'pin', p: 0, at: 0, n: 1, id: 1 });
    expect(script.answer(move(0, 512, 1024))).toBe('EBUSY');
    expect(script.answer(move(0, 4, 1024))).toBe('EBUSY');
    const page = script.page(0);
    expect(page?.k === 'page' && [page.level, page.folioState?.order]).toEqual(['pte', 9]);
  });
});

describe('mapped pages of a large folio', () => {
  /** Two areas of 32 pages; the first folio of 16 at 512 is written. */
  function largeFolio(): MachineScript {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'mthp.64kB', value: 'always' });
    script.map(512, 64);
    script.write(512, 16, 6);
    return script;
  }

  it('are refused where the first page is shared, exclusive or not', () => {
    const script = largeFolio();
    script.fork(0, 1);
    script.run({ op: 'exit', p: 1 });
    script.write(515, 1, 7);
    expect(script.bits(515)).toBe('wde');
    expect(script.answer(move(515, 1, 560))).toBe('EBUSY');
    script.write(512, 1, 8);
    // The folio is split now, and then the page itself is asked.
    expect(script.answer(move(514, 1, 560))).toBe('EBUSY');
    expect(script.answer(move(515, 1, 560))).toBe(0);
    expect(script.read(560)).toEqual([7]);
    checkInvariants(script.kernel);
  });

  it('are split, shared as they are, where the first page was exclusive when it went', () => {
    const script = largeFolio();
    script.write(516, 1, 0);
    script.run({ op: 'madvise', p: 0, at: 512, n: 1, advice: 'dontneed' });
    script.fork(0, 1);
    expect(script.answer(move(515, 1, 560))).toBe('EBUSY');
    // A page of zeros became the zero page, which may go.
    expect(script.answer(move(516, 1, 560))).toBe(0);
    expect([script.read(515, 2), script.read(515, 2, 1)]).toEqual([
      [6, 0],
      [6, 0],
    ]);
    checkInvariants(script.kernel);
  });
});

describe('swapped pages', () => {
  it('move as entries if they are exclusive', () => {
    const script = twoAreas();
    script.run({ op: 'swapon' }, { op: 'madvise', p: 0, at: 0, n: 2, advice: 'pageout' });
    expect([script.bits(0), script.answer(move(0, 1, 16))]).toEqual(['swap', 0]);
    expect([script.bits(0), script.bits(16)]).toEqual(['none', 'swap']);
    expect(script.read(16)).toEqual([6]);
    const page = script.page(16);
    expect(page?.k === 'page' && page.folioState?.index).toBe(16);
    script.fork(0, 1);
    expect(script.answer(move(1, 1, 17))).toBe('EBUSY');
  });
});

describe('the destination', () => {
  it('is registered for the move only, which refuses what cannot be registered', () => {
    const script = twoAreas();
    script.run(
      { op: 'file', id: 'f', n: 4, kind: 'tmp' },
      { op: 'mmap', p: 0, at: 32, n: 4, prot: 'rw', flags: 'private', file: 'f', off: 0 },
    );
    expect(script.answer(move(0, 1, 32))).toBe('EINVAL');
    expect(script.answer(move(0, 1, 16))).toBe(0);
    expect(script.flags(16)).not.toContain('um');
    expect(script.state().procs[0].vmas).toHaveLength(3);
  });
});
