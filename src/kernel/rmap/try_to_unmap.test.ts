import { describe, expect, it } from 'vitest';
import { UnmapFixture } from '../../../test/support/unmap_fixture.js';
import type { Operation } from '../operation.js';
import {
  PG_ACTIVE,
  PG_DIRTY,
  PG_MLOCKED,
  PG_SWAPBACKED,
  PG_UNEVICTABLE,
} from '../phys/page_flags.js';
import { VM_DROPPABLE } from '../vm/vm_flags.js';
import {
  TTU_BATCH_FLUSH,
  TTU_IGNORE_MLOCK,
  TTU_RMAP_LOCKED,
  TTU_SPLIT_HUGE_PMD,
  TTU_SYNC,
} from './ttu_flags.js';

// @covers try_to_unmap, ttu_flags, TTU_SPLIT_HUGE_PMD, TTU_IGNORE_MLOCK, TTU_SYNC, TTU_RMAP_LOCKED

/** One page at 16 in processes 0 and 1, in the swap cache. */
function shared(): UnmapFixture {
  const f = new UnmapFixture();
  f.swapOn();
  f.map(16, 4);
  f.write(16, 4, 7);
  f.fork(0, 1);
  f.takeSlots(f.folio(16));
  return f;
}

/** A folio of 16 pages at page 16, in the swap cache. */
function large(): UnmapFixture {
  const f = new UnmapFixture();
  f.swapOn();
  f.useFoliosOf16();
  f.map(0, 64);
  f.write(16, 16, 7);
  f.takeSlots(f.folio(16));
  return f;
}

function huge(): UnmapFixture {
  const f = new UnmapFixture();
  f.swapOn();
  f.useHugePages();
  f.map(512, 512);
  f.write(512, 512, 7);
  return f;
}

function anonLock(f: UnmapFixture, at: number) {
  const { anonVma } = f.vma(at);
  if (anonVma === undefined) throw new Error('no anon_vma');
  return anonVma.root.rwsem;
}

const FILE: Operation = { op: 'file', id: 'f', n: 512, kind: 'memfd' };

function mapFile(at: number, n: number, p = 0): Operation {
  return { op: 'mmap', p, at, n, prot: 'rw', flags: 'shared', file: 'f', off: 0 };
}

describe('the walk', () => {
  it('takes all mappings away, and no others', () => {
    const f = shared();
    expect(f.unmap(f.folio(16))).toBe(0);
    expect([f.texts(16, 2), f.texts(16, 2, 1)]).toEqual(['16:swap, 17:dy', '16:swap, 17:d']);
    expect(f.broken).toEqual([]);
  });

  it('stops when nothing maps the folio any more', () => {
    const f = shared();
    f.fork(1, 2);
    f.write(17, 1, 9, 0);
    const own = f.folio(17);
    f.takeSlots(own);
    const before = f.kernel.work.rmapVmasVisited;
    expect(f.unmap(own)).toBe(0);
    expect(f.kernel.work.rmapVmasVisited - before).toBe(1);
  });

  it('stops at a mapping that must stay; those before are gone', () => {
    const f = shared();
    f.lockVma(16, 1);
    expect(f.unmap(f.folio(16))).toBe(1);
    expect([f.text(16), f.text(16, 1)]).toEqual(['swap', 'd']);
    expect(f.broken).toEqual([]);
  });

  it('removes the mappings of a file from all processes', () => {
    const f = new UnmapFixture();
    f.run(FILE, mapFile(8, 8));
    f.write(9, 1, 7);
    f.fork(0, 1);
    f.read(9, 1, 1);
    expect([f.rss(), f.rss(1)]).toEqual(['0 0 0 1', '0 0 0 1']);
    const head = f.folio(9);
    expect(f.unmap(head)).toBe(0);
    expect([f.text(9), f.text(9, 1), f.rss(), f.rss(1)]).toEqual([
      'none',
      'none',
      '0 0 0 0',
      '0 0 0 0',
    ]);
    expect(f.kernel.memory.flags[head] & PG_DIRTY).toBe(PG_DIRTY);
    expect([f.read(9), f.broken]).toEqual([[7], []]);
  });

  it('tells secondary users before and after', () => {
    const f = shared();
    const heard: string[] = [];
    f.kernel.notifiers.add(f.mm(1), {
      rangeStart: (_mm, start, end, event) =>
        heard.push(`${event} ${start}-${end} ${f.text(16, 1)}`),
      rangeEnd: (_mm, start, end, event) => heard.push(`${event} ${start}-${end} ${f.text(16, 1)}`),
    });
    f.unmap(f.folio(16));
    const range = `${f.vpn(16)}-${f.vpn(17)}`;
    expect(heard).toEqual([`clear ${range} d`, `clear ${range} swap`]);
  });
});

describe('TTU_RMAP_LOCKED', () => {
  it('leaves the lock to the caller', () => {
    const f = shared();
    const lock = anonLock(f, 16);
    lock.writers = 1;
    // With the lookup of the lock, a folio that is unmapped meanwhile would not be found.
    expect(f.unmap(f.folio(16), TTU_RMAP_LOCKED)).toBe(0);
    expect([f.text(16), f.text(16, 1)]).toEqual(['swap', 'swap']);
    lock.writers = 0;
    expect(lock.readers).toBe(0);
  });

  it('is impossible for KSM folios, which have many locks', () => {
    const f = new UnmapFixture();
    f.map(16, 2);
    f.write(16, 2, 7);
    f.run({ op: 'madvise', p: 0, at: 16, n: 2, advice: 'mergeable' }, { op: 'ksm', scans: 3 });
    expect(() => f.unmap(f.folio(16), TTU_RMAP_LOCKED)).toThrow(/KSM folio/);
  });
});

describe('locked VMAs', () => {
  it('keep the folio, which gets its lock back; TTU_IGNORE_MLOCK unmaps it all the same', () => {
    const f = shared();
    f.lockVma(16);
    const head = f.folio(16);
    expect(f.unmap(head)).toBe(2);
    expect([f.text(16), f.text(16, 1)]).toEqual(['dy', 'd']);
    const { flags } = f.kernel.memory;
    const locked = PG_MLOCKED | PG_UNEVICTABLE;
    expect(flags[head] & locked).toBe(locked);
    expect(f.unmap(head, TTU_IGNORE_MLOCK)).toBe(0);
    expect(flags[head] & locked).toBe(0);
    expect([f.text(16), f.text(16, 1)]).toEqual(['swap', 'swap']);
  });

  it('that map a part of a large folio keep their part and end the walk, without a lock', () => {
    const f = large();
    const head = f.folio(16);
    f.run({ op: 'mprotect', p: 0, at: 24, n: 8, prot: 'r' });
    f.lockVma(24);
    expect(f.unmap(head)).toBe(8);
    expect(f.texts(16, 16)).toBe('16:swap e, 24:dy e');
    expect(f.kernel.memory.flags[head] & PG_MLOCKED).toBe(0);
    expect(f.broken).toEqual([]);
    const first = large();
    first.run({ op: 'mprotect', p: 0, at: 24, n: 8, prot: 'r' });
    first.lockVma(16);
    expect(first.unmap(first.folio(16))).toBe(16);
    expect(first.texts(16, 16)).toBe('16:wdy e, 24:dy e');
  });

  it('that map all of a large folio lock it, unless it lies across two tables', () => {
    const whole = large();
    whole.lockVma(16);
    expect(whole.unmap(whole.folio(16))).toBe(16);
    expect(whole.kernel.memory.flags[whole.folio(16)] & PG_MLOCKED).toBe(PG_MLOCKED);
    const crossing = large();
    crossing.run({ op: 'mremap', p: 0, at: 16, n: 16, new: 16, to: 1016, flags: 'fixed' });
    crossing.lockVma(1016);
    expect(crossing.unmap(crossing.folio(1016))).toBe(16);
    expect(crossing.kernel.memory.flags[crossing.folio(1016)] & PG_MLOCKED).toBe(0);
  });

  it('lock a huge page by its one entry', () => {
    const f = huge();
    f.lockVma(512);
    expect(f.unmap(f.folio(512), TTU_SPLIT_HUGE_PMD)).toBe(1);
    expect([f.text(512), f.kernel.memory.flags[f.folio(512)] & PG_MLOCKED]).toEqual([
      'wdy e',
      PG_MLOCKED,
    ]);
  });
});

describe('huge entries', () => {
  it('are split and unmapped page by page with TTU_SPLIT_HUGE_PMD', () => {
    const f = huge();
    const head = f.folio(512);
    const slot = f.takeSlots(head);
    expect(f.unmap(head, TTU_SPLIT_HUGE_PMD | TTU_SYNC)).toBe(0);
    expect(f.texts(512, 512)).toBe('512:swap e');
    expect([f.payload(512), f.payload(1023)]).toEqual([slot, slot + 511]);
    expect([f.rss(), f.broken]).toEqual(['0 0 512 0', []]);
  });

  it('of files are dropped: faults bring them back', () => {
    const f = new UnmapFixture();
    f.run({ op: 'config', key: 'shmem_thp', value: 'always' }, FILE, mapFile(512, 512));
    f.write(512, 512, 7);
    const head = f.folio(512);
    expect(f.page(512)).toMatchObject({ level: 'pmd' });
    expect(f.unmap(head, TTU_SPLIT_HUGE_PMD)).toBe(0);
    expect([f.text(700), f.rss()]).toEqual(['none', '0 0 0 0']);
    expect([f.read(700), f.broken]).toEqual([[7], []]);
  });

  it('are a bug of the caller without it', () => {
    const f = huge();
    f.takeSlots(f.folio(512));
    expect(() => f.unmap(f.folio(512))).toThrow(/may not split/);
  });

  describe('of a lazyfree folio', () => {
    function lazy(): UnmapFixture {
      const f = huge();
      f.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'free' });
      return f;
    }

    it('are discarded as a whole', () => {
      const f = lazy();
      expect(f.unmap(f.folio(512), TTU_SPLIT_HUGE_PMD)).toBe(0);
      expect([f.text(512), f.rss(), f.read(700)]).toEqual(['none', '0 0 0 0', [0]]);
      expect(f.broken).toEqual([]);
    });

    it('stay if they were written to, and the folio is swap-backed again', () => {
      const f = lazy();
      f.write(700, 1, 9);
      const head = f.folio(512);
      expect(f.unmap(head)).toBe(1);
      expect([f.text(512), f.rss()]).toEqual(['wdy e', '0 512 0 0']);
      const wanted = PG_SWAPBACKED | PG_DIRTY;
      expect(f.kernel.memory.flags[head] & wanted).toBe(wanted);
      expect([f.read(700), f.broken]).toEqual([[9], []]);
    });

    it('stay, lazyfree, if somebody else holds the folio', () => {
      const f = lazy();
      f.run({ op: 'vmsplice', p: 0, at: 515, n: 1, id: 1 });
      const head = f.folio(512);
      expect(f.unmap(head)).toBe(1);
      expect(f.kernel.memory.flags[head] & (PG_SWAPBACKED | PG_DIRTY | PG_ACTIVE)).toBe(0);
      f.run({ op: 'vmdrain', p: 0, n: 1, id: 1 });
      expect([f.unmap(head), f.text(512)]).toEqual([0, 'none']);
    });

    it('are split if they cannot be discarded and may be', () => {
      const f = lazy();
      f.write(700, 1, 9);
      expect(f.unmap(f.folio(512), TTU_SPLIT_HUGE_PMD)).toBe(512);
      expect(f.texts(512, 512)).toBe('512:wdy e');
      expect([f.page(512), f.broken]).toMatchObject([{ level: 'pte' }, []]);
    });

    it('are discarded even when written to in droppable memory', () => {
      const f = lazy();
      f.write(700, 1, 9);
      f.vma(512).flags |= VM_DROPPABLE;
      expect([f.unmap(f.folio(512)), f.text(512)]).toEqual([0, 'none']);
    });
  });
});

describe('flags that change nothing about the outcome', () => {
  it.each([
    ['none', 0],
    ['TTU_SYNC', TTU_SYNC],
    ['TTU_BATCH_FLUSH without a batch', TTU_BATCH_FLUSH],
    ['TTU_SPLIT_HUGE_PMD', TTU_SPLIT_HUGE_PMD],
  ])('%s', (_name, flags) => {
    const f = large();
    expect(f.unmap(f.folio(16), flags)).toBe(0);
    expect([f.texts(16, 16), f.rss(), f.broken]).toEqual(['16:swap e', '0 0 16 0', []]);
  });
});
