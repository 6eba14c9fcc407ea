import { describe, expect, it } from 'vitest';
import { SwapScript } from '../../../test/support/swap_script.js';

// @covers mem_cgroup_force_empty, folio_check_references, folio_referenced, do_shrink_slab

describe('reclaim of a small control group', () => {
  it('unmaps from every process, and nothing that others charged', () => {
    const script = new SwapScript();
    script.fillInGroup(0, 2, 5);
    script.fill(8, 1, 9);
    for (let c = 1; c <= 3; c += 1) script.fork(0, c);
    script.reclaim();
    expect([0, 1, 2, 3].map((p) => script.slot(1, p))).toEqual(['1', '1', '1', '1']);
    expect([script.slot(8), script.usedSlots]).toEqual([undefined, 2]);
    expect([script.read(0, 2, 3), script.problems]).toEqual([[5, 6], []]);
  });

  it('counts a slot that seventy processes refer to', () => {
    const script = new SwapScript();
    script.fillInGroup(0, 1, 5);
    for (let c = 1; c < 70; c += 1) script.fork(0, c);
    script.reclaim();
    expect([script.slot(0, 69), script.problems]).toEqual(['0', []]);
    for (let c = 1; c < 70; c += 1) script.run({ op: 'exit', p: c });
    expect([script.read(0), script.usedSlots]).toEqual([[5], 0]);
  });

  it('remembers what writing cost, so that the next time anonymous memory is looked at less', () => {
    const script = new SwapScript();
    script.fillInGroup(0, 2);
    const { smallGroup } = script.kernel;
    script.reclaim();
    const { anonCost } = smallGroup;
    expect([anonCost > 0, smallGroup.fileCost]).toEqual([true, 0]);
    script.reclaim();
    expect(smallGroup.anonCost).toBe(anonCost);
    script.fillInGroup(16, 16);
    script.reclaim();
    expect(smallGroup.anonCost).toBeGreaterThan(anonCost);
  });

  it('leaves active anonymous memory alone', () => {
    const script = new SwapScript();
    script.fillInGroup(0, 1);
    for (let i = 0; i < 2; i += 1) {
      script.run({ op: 'madvise', p: 0, at: 0, n: 1, advice: 'populate_write' });
    }
    expect(script.folio(0)).toBe('A B');
    script.reclaim();
    expect([script.folio(0), script.usedSlots]).toEqual(['A B', 0]);
  });

  it('leaves pinned and locked folios alone', () => {
    const script = new SwapScript();
    script.fillInGroup(0, 2);
    script.run(
      { op: 'pin', p: 0, at: 0, n: 1, id: 1 },
      { op: 'mlock', p: 0, at: 1, n: 1 },
      { op: 'reclaim' },
    );
    expect([script.folio(0), script.folio(1), script.usedSlots]).toEqual(['B', 'B V M', 0]);
  });

  it('without swap touches clean lazily freed pages only', () => {
    const script = new SwapScript('none');
    script.fillInGroup(0, 2);
    script.advise(0, 1, 'free');
    script.reclaim();
    expect([script.read(0, 2), script.folio(1)]).toEqual([[0, 2], 'B']);
  });
});

describe('lazily freed pages of a small control group', () => {
  function freed(): SwapScript {
    const script = new SwapScript();
    script.fillInGroup(0, 2, 5);
    script.advise(0, 2, 'free');
    return script;
  }

  it('go if clean in every process', () => {
    const script = freed();
    script.fork(0, 1);
    script.reclaim();
    expect([script.read(0), script.read(0, 1, 1), script.usedSlots]).toEqual([[0], [0], 0]);
  });

  it('stay if written, swap-backed, dirty and active', () => {
    const script = freed();
    script.write(0, 1, 8);
    script.reclaim();
    expect([script.folio(0), script.read(0), script.read(1)]).toEqual(['D A B', [8], [0]]);
  });

  it('stay while somebody holds them, out of the active list', () => {
    const script = freed();
    script.splice(0, 1);
    script.reclaim();
    expect([script.folio(0), script.read(0)]).toEqual(['W', [5]]);
    script.run({ op: 'vmdrain', p: 0, id: 1, n: 1 });
    script.reclaim();
    expect(script.read(0)).toEqual([0]);
  });
});

describe('rounds over the lists of a small control group', () => {
  /** Folios of eight pages; the one at 0 lacks a page if they are four, the last is in two VMAs. */
  function partial(count: number): SwapScript {
    const script = new SwapScript();
    script.set('mthp.32kB', 'always');
    script.run({ op: 'memcg', p: 0, on: 1 });
    script.map(0, 16 * count);
    for (let at = 0; at < 16 * count; at += 8) script.write(at, 8, at + 1);
    for (let i = 0; i < count - 1; i += 1) script.advise(16 * i + 2, 1, 'dontneed');
    script.run({ op: 'munmap', p: 0, at: 16 * count - 5, n: 1 });
    return script;
  }

  function mapFile(script: SwapScript, at: number, file: string): void {
    script.run({ op: 'mmap', p: 0, at, n: 4, prot: 'r', flags: 'shared', file, off: 0 });
  }

  it('split the only queued folio in the last one, behind the lists: it is active by then', () => {
    const script = partial(1);
    script.reclaim();
    expect([script.order(8), script.folio(8), script.usedSlots]).toEqual([0, 'D A B', 8]);
  });

  it('split two in the last but one, before the walk has come to the second', () => {
    const script = partial(2);
    script.reclaim();
    expect([script.folio(24), script.usedSlots]).toEqual(['swap', 30]);
    expect([script.read(24), script.problems]).toEqual([[25], []]);
  });

  it('make active anonymous memory old if active file pages are all there is', () => {
    const script = new SwapScript();
    script.run({ op: 'file', id: 'f', n: 4, kind: 'tmp' });
    script.run({ op: 'memcg', p: 0, on: 1 });
    script.fill(0, 2, 5);
    mapFile(script, 8, 'f');
    script.read(8, 4);
    for (let i = 0; i < 2; i += 1) {
      script.run({ op: 'madvise', p: 0, at: 0, n: 2, advice: 'populate_write' });
      script.run({ op: 'madvise', p: 0, at: 8, n: 4, advice: 'populate_read' });
    }
    expect([script.folio(0), script.folio(8)]).toEqual(['A B', 'A']);
    script.reclaim();
    expect([script.usedSlots, script.folio(8)]).toEqual([2, 'none']);
  });

  it('take what a fault of the group read ahead, and not what a system call read', () => {
    const script = new SwapScript();
    script.run({ op: 'file', id: 'f', n: 4, kind: 'tmp' });
    script.run({ op: 'file', id: 'g', n: 4, kind: 'tmp' });
    script.run({ op: 'memcg', p: 0, on: 1 }, { op: 'fileread', file: 'g', at: 0, n: 4 });
    mapFile(script, 8, 'f');
    mapFile(script, 16, 'g');
    script.read(8, 1);
    script.read(16, 1);
    script.reclaim();
    expect([script.folio(9), script.folio(17)]).toEqual(['none', '']);
  });
});
