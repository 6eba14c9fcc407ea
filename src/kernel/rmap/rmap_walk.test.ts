import { describe, expect, it } from 'vitest';
import { asOp, RmapFixture } from '../../../test/support/rmap_fixture.js';
import { runToEnd } from '../op/prims.js';
import { folioAnonVma, folioMapping, setAnonMapping } from '../phys/folio.js';
import type { AnonVma } from './anon_vma_types.js';
import {
  anonVmaLockRead,
  anonVmaLockWrite,
  anonVmaTrylockRead,
  anonVmaTrylockWrite,
  anonVmaUnlockRead,
  anonVmaUnlockWrite,
} from './anon_vma.js';
import { folioGetAnonVma, folioLockAnonVmaRead } from './folio_anon_vma.js';
import { rmapWalk, rmapWalkLocked, type RmapWalkControl } from './rmap_walk.js';

// @covers rmap_walk, rmap_walk_locked, rmap_walk_control, rmap_walk_control.arg
// @covers rmap_walk_control.try_lock, rmap_walk_control.contended, rmap_walk_control.rmap_one
// @covers rmap_walk_control.done, rmap_walk_control.anon_lock, rmap_walk_control.invalid_vma
// @covers folio_get_anon_vma, folio_lock_anon_vma_read, anon_vma_lock_write, anon_vma_unlock_write
// @covers anon_vma_lock_read, anon_vma_unlock_read, anon_vma_trylock_write, anon_vma_trylock_read
// @covers anon_vma.rwsem, anon_vma_chain.rb_subtree_last, anon_vma_chain.cached_vma_start
// @covers anon_vma_chain.cached_vma_last, anon_vma_chain.same_vma

type Options = Partial<Omit<RmapWalkControl<string[]>, 'arg'>>;

/** Walks, and tells what was visited: `process:page` each. */
function walk(f: RmapFixture, head: number, options: Options = {}, isLocked = false) {
  const control: RmapWalkControl<string[]> = {
    arg: [],
    tryLock: false,
    contended: false,
    rmapOne(_kernel, _head, vma, vpn, visited) {
      visited.push(`${vma.mm.id}:${vpn - f.machine.regionStart}`);
      return asOp(true);
    },
    ...options,
  };
  runToEnd(isLocked ? rmapWalkLocked(f.kernel, head, control) : rmapWalk(f.kernel, head, control));
  return { visited: control.arg.join(' '), contended: control.contended };
}

/** One page of process 0, shared with its child 1 and grandchild 2. */
function forked(): RmapFixture {
  const f = new RmapFixture();
  f.map(16, 4);
  f.write(16, 4, 7);
  f.fork(0, 1);
  f.fork(1, 2);
  return f;
}

function anonVma(f: RmapFixture, at = 16, p = 0): AnonVma {
  const found = f.vma(at, p).anonVma;
  if (found === undefined) throw new Error('no anon_vma');
  return found;
}

function fileShared(): RmapFixture {
  const f = new RmapFixture();
  f.run({ op: 'file', id: 'f', n: 32, kind: 'memfd' });
  const shared = { op: 'mmap', p: 0, n: 8, prot: 'rw', flags: 'shared', file: 'f' } as const;
  f.run({ ...shared, at: 8, off: 0 }, { ...shared, at: 40, off: 4 }, { ...shared, at: 80, off: 8 });
  f.write(13, 1, 7);
  return f;
}

describe('anonymous folios', () => {
  it('are looked for in the VMAs below their anon_vma', () => {
    const f = forked();
    expect(walk(f, f.folio(17)).visited).toBe('0:17 1:17 2:17');
    f.write(17, 1, 8, 1);
    expect(walk(f, f.folio(17, 1)).visited).toBe('1:17 2:17');
    f.write(17, 1, 9, 2);
    expect(walk(f, f.folio(17, 2)).visited).toBe('2:17');
  });

  it('follow a VMA that moved and split', () => {
    const f = forked();
    f.run({ op: 'mremap', p: 1, at: 17, n: 2, new: 2, to: 200, flags: 'fixed' });
    expect(walk(f, f.folio(17)).visited.split(' ').toSorted()).toEqual(['0:17', '1:200', '2:17']);
    expect(walk(f, f.folio(16)).visited.split(' ').toSorted()).toEqual(['0:16', '1:16', '2:16']);
  });

  it('are visited where the VMA begins if they begin before it', () => {
    const f = new RmapFixture();
    f.useFoliosOf16();
    f.map(16, 16);
    f.write(16, 16, 7);
    const head = f.folio(16);
    f.run({ op: 'munmap', p: 0, at: 16, n: 5 });
    expect(walk(f, head).visited).toBe('0:21');
  });
});

describe('file folios', () => {
  it('are looked for in the VMAs that map their offset', () => {
    const f = fileShared();
    expect(walk(f, f.folio(13)).visited).toBe('0:13 0:41');
  });

  it('without a file have no VMAs', () => {
    const f = fileShared();
    const head = f.folio(13);
    f.kernel.memory.mapping[head] = 0;
    expect(walk(f, head).visited).toBe('');
  });

  it('are not waited for if the walk only tries', () => {
    const f = fileShared();
    const mapping = folioMapping(f.kernel, f.folio(13));
    if (mapping === undefined) throw new Error('no file');
    mapping.iMmapRwsem.writers = 1;
    expect(walk(f, f.folio(13), { tryLock: true })).toEqual({ visited: '', contended: true });
    // The caller of a locked walk is the writer.
    expect(walk(f, f.folio(13), { tryLock: true }, true)).toEqual({
      visited: '0:13 0:41',
      contended: false,
    });
  });
});

describe('KSM folios', () => {
  function merged(): RmapFixture {
    const f = new RmapFixture();
    f.map(16, 2);
    f.write(16, 2, 7);
    f.run({ op: 'madvise', p: 0, at: 16, n: 2, advice: 'mergeable' }, { op: 'ksm', scans: 3 });
    return f;
  }

  it('are found by address, in merged processes first, then in their children', () => {
    const f = merged();
    f.fork(0, 1);
    const { visited } = walk(f, f.folio(16));
    expect(visited.split(' ').slice(0, 2).toSorted()).toEqual(['0:16', '0:17']);
    expect(visited.split(' ').slice(2).toSorted()).toEqual(['1:16', '1:17']);
  });

  it('stop as a whole', () => {
    const f = merged();
    f.fork(0, 1);
    expect(walk(f, f.folio(16), { done: () => true }).visited.split(' ')).toHaveLength(1);
  });

  it('are not waited for if the walk only tries', () => {
    const f = merged();
    anonVma(f).root.rwsem.writers = 1;
    expect(walk(f, f.folio(16), { tryLock: true })).toEqual({ visited: '', contended: true });
  });

  it('have no single lock that a caller could hold', () => {
    const f = merged();
    expect(() => walk(f, f.folio(16), {}, true)).toThrow(/KSM folio/);
  });
});

describe('control of a walk', () => {
  it('invalidVma skips, and its VMA does not end the walk', () => {
    const f = forked();
    const invalidVma: Options['invalidVma'] = (vma) => vma.mm.id === 1;
    expect(walk(f, f.folio(16), { invalidVma }).visited).toBe('0:16 2:16');
    expect(walk(f, f.folio(16), { invalidVma, done: () => true }).visited).toBe('0:16');
  });

  it('done is asked after each VMA', () => {
    const f = forked();
    let asked = 0;
    const done = (): boolean => (asked += 1) === 2;
    expect(walk(f, f.folio(16), { done }).visited).toBe('0:16 1:16');
  });

  it('rmapOne stops with false, without asking done', () => {
    const f = forked();
    let asked = 0;
    const visited: number[] = [];
    walk(f, f.folio(16), {
      rmapOne(_kernel, _head, vma) {
        visited.push(vma.mm.id);
        return asOp(vma.mm.id !== 1);
      },
      done() {
        asked += 1;
        return false;
      },
    });
    expect([visited, asked]).toEqual([[0, 1], 1]);
  });

  it('tryLock gives up with contended set; without it the walk waits', () => {
    const f = forked();
    const { rwsem } = anonVma(f).root;
    rwsem.writers = 1;
    expect(walk(f, f.folio(16), { tryLock: true })).toEqual({ visited: '', contended: true });
    rwsem.writers = 0;
    expect(walk(f, f.folio(16), { tryLock: true }).contended).toBe(false);
  });

  it('anonLock replaces the lookup, and finds nothing for an unmapped folio', () => {
    const f = forked();
    const head = f.folio(16);
    expect(walk(f, head, { anonLock: folioLockAnonVmaRead }).visited).toBe('0:16 1:16 2:16');
    expect(walk(f, head, { anonLock: () => asOp(undefined) }).visited).toBe('');
    f.kernel.memory.mapcount[head] = 0;
    expect(walk(f, head, { anonLock: folioLockAnonVmaRead }).visited).toBe('');
    // A migration's way back must find the VMAs of an unmapped folio.
    expect(walk(f, head).visited).toBe('0:16 1:16 2:16');
  });

  it('a locked walk takes no lock', () => {
    const f = forked();
    anonVma(f).root.rwsem.writers = 1;
    expect(walk(f, f.folio(16), { tryLock: true }, true).visited).toBe('0:16 1:16 2:16');
  });
});

describe('from a folio to its anon_vma', () => {
  it('takes a reference, if the folio is mapped and anonymous', () => {
    const f = forked();
    const head = f.folio(16);
    const before = anonVma(f).refcount;
    expect(runToEnd(folioGetAnonVma(f.kernel, head))).toBe(anonVma(f));
    expect(anonVma(f).refcount).toBe(before + 1);
    f.kernel.memory.mapcount[head] = 0;
    expect(runToEnd(folioGetAnonVma(f.kernel, head))).toBeUndefined();
    const file = fileShared();
    expect(runToEnd(folioGetAnonVma(file.kernel, file.folio(13)))).toBeUndefined();
  });

  it('never takes a reference of a freed object', () => {
    const f = forked();
    anonVma(f).refcount = 0;
    expect(runToEnd(folioGetAnonVma(f.kernel, f.folio(16)))).toBeUndefined();
    expect(anonVma(f).refcount).toBe(0);
  });

  it('locks the root, takes no reference, and says when it would have to wait', () => {
    const f = forked();
    f.write(16, 1, 8, 2);
    const head = f.folio(16, 2);
    const own = anonVma(f, 16, 2);
    const before = own.refcount;
    expect(runToEnd(folioLockAnonVmaRead(f.kernel, head, undefined))).toBe(own);
    expect(own.refcount).toBe(before);
    runToEnd(anonVmaUnlockRead(own));
    const control = { tryLock: true, contended: false };
    own.root.rwsem.writers = 1;
    expect(runToEnd(folioLockAnonVmaRead(f.kernel, head, control))).toBeUndefined();
    expect(control.contended).toBe(true);
  });

  it('reads the anon_vma that a write fault moved the folio to', () => {
    const f = forked();
    const head = f.folio(16);
    setAnonMapping(f.kernel, head, anonVma(f, 16, 1), f.kernel.memory.index[head]);
    expect(folioAnonVma(f.kernel, head)).toBe(anonVma(f, 16, 1));
    expect(walk(f, head).visited).toBe('1:16 2:16');
  });
});

it('all anon_vmas of a tree share the lock of their root', () => {
  const f = forked();
  const child = anonVma(f, 16, 2);
  runToEnd(anonVmaLockWrite(child));
  runToEnd(anonVmaUnlockWrite(child));
  runToEnd(anonVmaLockRead(child));
  runToEnd(anonVmaUnlockRead(child));
  expect(runToEnd(anonVmaTrylockWrite(child))).toBe(true);
  runToEnd(anonVmaUnlockWrite(child));
  const { rwsem } = anonVma(f);
  rwsem.writers = 1;
  expect(runToEnd(anonVmaTrylockRead(child))).toBe(false);
  expect(runToEnd(anonVmaTrylockWrite(child))).toBe(false);
  rwsem.writers = 0;
  rwsem.readers = 1;
  expect(runToEnd(anonVmaTrylockRead(child))).toBe(true);
  runToEnd(anonVmaUnlockRead(child));
  expect(runToEnd(anonVmaTrylockWrite(child))).toBe(false);
});

it('an edge keeps a copy of its VMA’s range as the key of its tree', () => {
  const f = forked();
  f.run({ op: 'munmap', p: 0, at: 19, n: 1 });
  const vma = f.vma(16);
  const [edge] = vma.anonVmaChain;
  const { start, last, subtreeLast } = f.kernel.intervals;
  expect([start[edge.row], last[edge.row]]).toEqual([vma.pgoff, vma.lastPgoff]);
  expect(subtreeLast[anonVma(f).tree.root]).toBe(vma.lastPgoff + 1);
});
