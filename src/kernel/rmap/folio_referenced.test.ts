import { describe, expect, it } from 'vitest';
import { RmapFixture } from '../../../test/support/rmap_fixture.js';
import { runToEnd } from '../op/prims.js';
import { PTE_YOUNG } from '../pgtable/pte.js';
import { drainMlock } from '../phys/mlock.js';
import { PG_IDLE, PG_LOCKED, PG_MLOCKED, PG_UNEVICTABLE, PG_YOUNG } from '../phys/page_flags.js';
import { VM_LOCKED, VM_SHARED, VM_WRITE } from '../vm/vm_flags.js';
import { folioReferenced } from './folio_referenced.js';

// @covers folio_referenced, rmap_walk_control.contended

/** Asks for the use of a folio: how many VMAs used it, and the union of their flags. */
function ask(f: RmapFixture, head: number, { isLocked = true, memcg = 0 } = {}) {
  return runToEnd(folioReferenced(f.kernel, head, isLocked, memcg));
}

function used(f: RmapFixture, head: number, options = {}): number {
  return ask(f, head, options).referenced;
}

function isYoung(f: RmapFixture, at: number, p = 0): boolean {
  return (f.entryFlags(at, p) & PTE_YOUNG) !== 0;
}

/** One anonymous page of processes 0, 1 and 2; all have read it since the last question. */
function shared(): RmapFixture {
  const f = new RmapFixture();
  f.map(16, 4);
  f.write(16, 4, 7);
  f.fork(0, 1);
  f.fork(1, 2);
  ask(f, f.folio(16));
  for (const p of [0, 1, 2]) f.read(16, 4, p);
  return f;
}

/** A folio of 16 pages at page 16, all of them read. */
function large(): RmapFixture {
  const f = new RmapFixture();
  f.useFoliosOf16();
  f.map(0, 64);
  f.write(16, 16, 7);
  return f;
}

function fileShared(): RmapFixture {
  const f = new RmapFixture();
  f.run({ op: 'file', id: 'f', n: 32, kind: 'memfd' });
  f.run({ op: 'mmap', p: 0, at: 8, n: 8, prot: 'rw', flags: 'shared', file: 'f', off: 0 });
  f.run({ op: 'mmap', p: 0, at: 40, n: 8, prot: 'r', flags: 'shared', file: 'f', off: 0 });
  f.write(9, 1, 7);
  f.read(41);
  return f;
}

describe('accessed bits', () => {
  it('are counted once a VMA and cleared', () => {
    const f = shared();
    const head = f.folio(16);
    expect([isYoung(f, 16), isYoung(f, 16, 1), isYoung(f, 16, 2)]).toEqual([true, true, true]);
    expect(used(f, head)).toBe(3);
    expect([isYoung(f, 16), isYoung(f, 16, 1), isYoung(f, 16, 2)]).toEqual([false, false, false]);
    expect(ask(f, head)).toEqual({ referenced: 0, vmFlags: 0 });
    f.read(16, 1, 1);
    expect(used(f, head)).toBe(1);
  });

  it('tell the flags of the VMAs that used the folio, and of no others', () => {
    const f = fileShared();
    const head = f.folio(9);
    expect(ask(f, head).vmFlags & (VM_SHARED | VM_WRITE)).toBe(VM_SHARED | VM_WRITE);
    f.read(41);
    expect(ask(f, head)).toEqual({ referenced: 1, vmFlags: f.vma(41).flags });
    expect(f.vma(41).flags & VM_WRITE).toBe(0);
  });

  it('of a large folio count as one in a VMA', () => {
    const f = large();
    const head = f.folio(16);
    expect(used(f, head)).toBe(1);
    for (let at = 16; at < 32; at += 1) expect(isYoung(f, at)).toBe(false);
    f.run({ op: 'mprotect', p: 0, at: 24, n: 8, prot: 'r' });
    f.read(16, 16);
    expect(used(f, head)).toBe(2);
  });

  it('of a huge entry are asked once', () => {
    const f = new RmapFixture();
    f.useHugePages();
    f.map(512, 512);
    f.write(512, 1, 7);
    expect([used(f, f.folio(512)), isYoung(f, 512), used(f, f.folio(512))]).toEqual([1, false, 0]);
    f.read(700);
    expect(used(f, f.folio(512))).toBe(1);
  });

  it('of secondary users count too', () => {
    const f = shared();
    const head = f.folio(16);
    ask(f, head);
    const asked: number[] = [];
    f.kernel.notifiers.add(f.mm(1), {
      clearYoung(_mm, start, end) {
        asked.push(start, end);
        return true;
      },
    });
    expect(used(f, head)).toBe(1);
    expect(asked).toEqual([f.vpn(16), f.vpn(17)]);
  });
});

describe('the idle and young flags of a folio', () => {
  it('are cleared; young counts as one more use', () => {
    const f = shared();
    const head = f.folio(16);
    const { flags } = f.kernel.memory;
    flags[head] |= PG_IDLE;
    ask(f, head);
    expect(flags[head] & PG_IDLE).toBe(0);
    flags[head] |= PG_YOUNG | PG_IDLE;
    expect(used(f, head)).toBe(1);
    // Only a use through an entry ends idleness.
    expect(flags[head] & (PG_YOUNG | PG_IDLE)).toBe(PG_IDLE);
  });
});

describe('the walk', () => {
  it('ends when all mappings have been met', () => {
    const f = shared();
    f.write(16, 1, 9, 0);
    const own = f.folio(16);
    const before = f.kernel.work.rmapVmasVisited;
    expect(used(f, own)).toBe(1);
    expect(f.kernel.work.rmapVmasVisited - before).toBe(1);
  });

  it('does not begin for a folio that nothing maps', () => {
    const f = fileShared();
    const head = f.folio(9);
    for (const at of [8, 40]) f.run({ op: 'madvise', p: 0, at, n: 8, advice: 'dontneed' });
    const before = f.kernel.work.rmapVmasVisited;
    expect(ask(f, head)).toEqual({ referenced: 0, vmFlags: 0 });
    expect(f.kernel.work.rmapVmasVisited).toBe(before);
  });

  it('gives up with -1 when the lock is contended, and clears nothing', () => {
    const f = shared();
    const { anonVma } = f.vma(16);
    if (anonVma === undefined) throw new Error('no anon_vma');
    anonVma.root.rwsem.writers = 1;
    expect(used(f, f.folio(16))).toBe(-1);
    expect(isYoung(f, 16)).toBe(true);
    anonVma.root.rwsem.writers = 0;
    expect(used(f, f.folio(16))).toBe(3);
  });

  it('gives up with -1 when the lock of a file is contended', () => {
    const f = fileShared();
    f.machine.file('f').iMmapRwsem.writers = 1;
    expect(used(f, f.folio(9))).toBe(-1);
  });
});

describe('VMAs that are not asked', () => {
  it.each(['random', 'sequential'] as const)('are those with advice %s', (advice) => {
    const f = shared();
    f.run({ op: 'madvise', p: 1, at: 16, n: 4, advice });
    expect(used(f, f.folio(16))).toBe(2);
    expect([isYoung(f, 16), isYoung(f, 16, 1)]).toEqual([false, true]);
  });

  it('are those of files that are opened for a single use', () => {
    const f = fileShared();
    const { file } = f.vma(41);
    if (file === undefined) throw new Error('no file');
    file.noReuse = true;
    expect(used(f, f.folio(9))).toBe(1);
    expect(isYoung(f, 41)).toBe(true);
  });

  it('are those of other control groups, if one is asked for', () => {
    const f = shared();
    f.run({ op: 'memcg', p: 2, on: 1 });
    const { memcg } = f.mm(2);
    expect(memcg).not.toBe(0);
    expect(used(f, f.folio(16), { memcg })).toBe(1);
    expect([isYoung(f, 16, 0), isYoung(f, 16, 1), isYoung(f, 16, 2)]).toEqual([true, true, false]);
    expect(used(f, f.folio(16))).toBe(2);
  });
});

describe('locked VMAs', () => {
  /** The child's VMA is locked, but the folio has lost its mark. */
  function lockedInChild(f: RmapFixture, at: number): void {
    f.lockVma(at, 1);
  }

  it('end the walk, say so, and give the folio its lock back', () => {
    const f = shared();
    const head = f.folio(16);
    lockedInChild(f, 16);
    const { referenced, vmFlags } = ask(f, head);
    expect([referenced, vmFlags & VM_LOCKED]).toEqual([1, VM_LOCKED]);
    // Not reached, and not counted.
    expect([isYoung(f, 16, 1), isYoung(f, 16, 2)]).toEqual([true, true]);
    const { flags } = f.kernel.memory;
    expect(flags[head] & PG_MLOCKED).toBe(PG_MLOCKED);
    drainMlock(f.kernel);
    expect(flags[head] & PG_UNEVICTABLE).toBe(PG_UNEVICTABLE);
  });

  it('lock a large folio only if they map all of it', () => {
    const f = large();
    const head = f.folio(16);
    f.run({ op: 'mprotect', p: 0, at: 24, n: 8, prot: 'r' });
    f.lockVma(16);
    const part = ask(f, head);
    expect([part.referenced, part.vmFlags & VM_LOCKED]).toEqual([1, 0]);
    expect(f.kernel.memory.flags[head] & PG_MLOCKED).toBe(0);
    const whole = large();
    whole.lockVma(16);
    expect(ask(whole, whole.folio(16))).toEqual({ referenced: 0, vmFlags: VM_LOCKED });
    expect(whole.kernel.memory.flags[whole.folio(16)] & PG_MLOCKED).toBe(PG_MLOCKED);
  });

  it('do not lock a folio that lies across two tables', () => {
    const f = large();
    f.run({ op: 'mremap', p: 0, at: 16, n: 16, new: 16, to: 1016, flags: 'fixed' });
    const head = f.folio(1016);
    f.lockVma(1016);
    expect(ask(f, head)).toEqual({ referenced: 0, vmFlags: 0 });
    expect(f.kernel.memory.flags[head] & PG_MLOCKED).toBe(0);
  });

  it('lock a huge page by its one entry', () => {
    const f = new RmapFixture();
    f.useHugePages();
    f.map(512, 512);
    f.write(512, 1, 7);
    f.lockVma(512);
    expect(ask(f, f.folio(512))).toEqual({ referenced: 0, vmFlags: VM_LOCKED });
    expect(isYoung(f, 512)).toBe(true);
  });
});

describe('a process that is being torn down', () => {
  it('answers -1 for what only it maps: the folio is about to go', () => {
    const f = new RmapFixture();
    f.map(16, 1);
    f.write(16, 1, 7);
    f.mm().users = 0;
    expect(used(f, f.folio(16))).toBe(-1);
    expect(isYoung(f, 16)).toBe(true);
  });

  it('is asked like others for what others map, for lazyfree and for file folios', () => {
    const f = shared();
    f.mm(1).users = 0;
    expect(used(f, f.folio(16))).toBe(3);
    const lazy = new RmapFixture();
    lazy.map(16, 1);
    lazy.write(16, 1, 7);
    lazy.run({ op: 'madvise', p: 0, at: 16, n: 1, advice: 'free' });
    lazy.read(16);
    lazy.mm().users = 0;
    expect(used(lazy, lazy.folio(16))).toBe(1);
    const file = fileShared();
    file.run({ op: 'munmap', p: 0, at: 40, n: 8 });
    file.mm().users = 0;
    expect(used(file, file.folio(9))).toBe(1);
  });
});

describe('the folio lock', () => {
  it('is taken for file folios, and a failure counts as one use', () => {
    const f = fileShared();
    const head = f.folio(9);
    const { flags } = f.kernel.memory;
    flags[head] |= PG_LOCKED;
    expect(ask(f, head, { isLocked: false })).toEqual({ referenced: 1, vmFlags: 0 });
    expect(isYoung(f, 9)).toBe(true);
    flags[head] &= ~PG_LOCKED;
    expect(used(f, head, { isLocked: false })).toBe(2);
    expect(flags[head] & PG_LOCKED).toBe(0);
  });

  it('is not needed for anonymous folios', () => {
    const f = shared();
    f.kernel.memory.flags[f.folio(16)] |= PG_LOCKED;
    expect(used(f, f.folio(16), { isLocked: false })).toBe(3);
  });

  it('is needed for KSM folios, whose uses are counted at each place', () => {
    const f = new RmapFixture();
    f.map(16, 2);
    f.write(16, 2, 7);
    f.run({ op: 'madvise', p: 0, at: 16, n: 2, advice: 'mergeable' }, { op: 'ksm', scans: 3 });
    const head = f.folio(16);
    expect(f.folio(17)).toBe(head);
    f.fork(0, 1);
    ask(f, head);
    f.read(16, 2);
    f.read(17, 1, 1);
    f.kernel.memory.flags[head] |= PG_LOCKED;
    expect(used(f, head, { isLocked: false })).toBe(1);
    expect(used(f, head)).toBe(3);
    expect(used(f, head)).toBe(0);
  });
});
