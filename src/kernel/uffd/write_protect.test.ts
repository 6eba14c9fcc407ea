import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import type { Operation } from '../operation.js';

// @covers userfaultfd_register, userfaultfd_unregister, mwriteprotect_range, uffd_wp_range
// @covers handle_userfault, dup_userfaultfd, pte_marker_handle_uffd_wp, userfaultfd_wp_async

function register(at: number, n: number, mode: string, features?: string): Operation {
  const given = features === undefined ? {} : { features };
  return { op: 'uffd_register', p: 0, at, n, mode, ...given };
}

function protect(at: number, n: number, on: number): Operation {
  return { op: 'uffd_wp', p: 0, at, n, on };
}

/** Four written pages, registered for write protection. */
function protectedPages(features?: string): MachineScript {
  const script = new MachineScript();
  script.map(0, 8);
  script.write(0, 4, 1);
  script.run(register(0, 8, 'wp', features));
  return script;
}

describe('registration', () => {
  it('flags the range, splitting the VMA, and takes it back', () => {
    const script = new MachineScript();
    script.map(0, 8);
    script.run(register(2, 2, 'missing|wp'));
    expect(script.flags(2)).toContain('um');
    expect(script.flags(2)).toContain('uw');
    expect(script.state().procs[0].vmas).toHaveLength(3);
    script.run({ op: 'uffd_unregister', p: 0, at: 0, n: 8 });
    expect(script.state().procs[0].vmas).toHaveLength(1);
  });

  it('refuses files unless only asynchronous protection is asked for', () => {
    const script = new MachineScript();
    script.run(
      { op: 'file', id: 'f', n: 4, kind: 'tmp' },
      { op: 'mmap', p: 0, at: 0, n: 4, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
    );
    expect(script.answer(register(0, 4, 'missing'))).toBe('EINVAL');
    expect(script.answer(register(0, 4, 'wp', 'wp_async'))).toBe(0);
    expect(script.answer(register(100, 4, 'wp'))).toBe('EINVAL');
  });

  it('takes the features of the first call only', () => {
    const script = protectedPages('wp_async');
    expect(script.answer(register(0, 8, 'wp', 'sigbus'))).toBe('EINVAL');
    expect(script.answer(register(0, 8, 'wp'))).toBe(0);
  });

  it('protects only registered memory', () => {
    const script = new MachineScript();
    script.map(0, 4);
    expect(script.answer(protect(0, 4, 1))).toBe('ENOENT');
  });
});

describe('write protection', () => {
  it('marks present pages, which stay exclusive', () => {
    const script = protectedPages();
    script.run(protect(0, 8, 1));
    expect([script.bits(0), script.bits(4)]).toEqual(['-de wp', 'none']);
  });

  it('ends a write where it waits for the handler; reads go on', () => {
    const script = protectedPages();
    script.run(protect(0, 2, 1));
    expect(script.write(0, 3, 9).vals).toEqual([
      ['UFFD', 2],
      [0, 1],
    ]);
    expect(script.read(0, 3)).toEqual([1, 1, 9]);
    script.run(protect(0, 2, 0));
    expect(script.bits(0)).toBe('wde');
    expect(script.write(0, 1, 5).vals).toBeUndefined();
  });

  it('raises SIGBUS if the context wants that', () => {
    const script = protectedPages('sigbus');
    script.run(protect(0, 1, 1));
    expect(script.write(0, 1, 9).vals).toEqual([['BUS', 1]]);
  });

  it('is resolved by the write itself in asynchronous mode', () => {
    const script = protectedPages('wp_async');
    script.run(protect(0, 8, 1));
    expect(script.bits(4)).toBe('none');
    script.write(0, 1, 9);
    script.write(5, 1, 9);
    expect([script.bits(0), script.bits(1), script.bits(5)]).toEqual(['wde', '-de wp', 'wde']);
    script.read(6);
    // The marker's protection comes along with the page.
    expect(script.bits(6)).toBe('--- wp');
  });

  it('does not make a shared page writable again', () => {
    const script = protectedPages();
    script.fork(0, 1);
    script.run(protect(0, 4, 1), protect(0, 4, 0));
    expect(script.bits(0)).toBe('-d-');
  });

  it('is lost in a fork child and in what mremap moves', () => {
    const script = protectedPages();
    script.run(protect(0, 4, 1));
    script.fork(0, 1);
    expect([script.flags(0, 1).includes('uw'), script.bits(0, 1)]).toEqual([false, '-d-']);
    expect(script.bits(0)).toBe('-d- wp');
    script.run({ op: 'mremap', p: 0, at: 1, n: 1, new: 1, to: 64, flags: 'fixed' });
    expect([script.flags(64).includes('uw'), script.bits(64)]).toEqual([false, '-d-']);
  });

  it('is inherited if the context follows forks', () => {
    const script = protectedPages('event_fork');
    script.run(protect(0, 4, 1));
    script.fork(0, 1);
    expect([script.flags(0, 1).includes('uw'), script.bits(0, 1)]).toEqual([true, '-d- wp']);
  });

  it('splits a huge entry for a part and marks a whole one', () => {
    const script = new MachineScript();
    script.map(0, 1024);
    script.run({ op: 'madvise', p: 0, at: 0, n: 1024, advice: 'hugepage' });
    script.write(0, 1024, 1);
    script.run(register(0, 1024, 'wp'), protect(0, 512, 1), protect(512, 4, 1));
    const [whole, part] = [script.page(3), script.page(513)];
    expect(whole?.k === 'page' && [whole.level, whole.uffd_wp, whole.w]).toEqual(['pmd', 1, 0]);
    expect(part?.k === 'page' && [part.level, part.uffd_wp, part.w]).toEqual(['pte', 1, 0]);
    script.run(protect(0, 512, 0));
    const again = script.page(3);
    expect(again?.k === 'page' && [again.level, again.uffd_wp, again.w]).toEqual([
      'pmd',
      undefined,
      1,
    ]);
  });

  it('leaves markers in shared memory, which a zap of pages keeps', () => {
    const script = new MachineScript();
    script.mapShared(0, 4);
    script.write(0, 1, 3);
    script.run(register(0, 4, 'wp'), protect(0, 2, 1));
    expect([script.bits(0), script.bits(1)]).toEqual(['-d- wp', 'none']);
    script.run({ op: 'madvise', p: 0, at: 0, n: 4, advice: 'dontneed' });
    script.read(0, 2);
    expect([script.bits(0), script.bits(1)]).toEqual(['--- wp', '--- wp']);
    expect(script.write(0, 1, 4).vals).toEqual([['UFFD', 1]]);
    script.run({ op: 'uffd_unregister', p: 0, at: 0, n: 4 });
    expect(script.write(0, 2, 4).vals).toBeUndefined();
  });
});

describe('missing memory', () => {
  it('ends an access where it waits, and takes pages that are copied in', () => {
    const script = new MachineScript();
    script.map(0, 4);
    script.run(register(0, 4, 'missing|wp'));
    expect(script.read(0)).toEqual(['UFFD']);
    expect(script.write(1, 1, 1).vals).toEqual([['UFFD', 1]]);
    script.run(
      { op: 'uffd_copy', p: 0, at: 0, n: 1, v: 42 },
      { op: 'uffd_copy', p: 0, at: 1, n: 1, v: 43, wp: 1 },
      { op: 'uffd_zero', p: 0, at: 2, n: 1 },
    );
    expect(script.read(0, 4)).toEqual([42, 43, 0, 'UFFD']);
    expect([0, 1, 2].map((at) => script.bits(at))).toEqual(['wde', '-de wp', '---']);
  });

  it('fills only what is empty and registered', () => {
    const script = new MachineScript();
    script.map(0, 4);
    expect(script.answer({ op: 'uffd_copy', p: 0, at: 0, n: 1, v: 1 })).toBe('ENOENT');
    script.run(register(0, 4, 'missing'));
    expect(script.answer({ op: 'uffd_copy', p: 0, at: 0, n: 1, v: 1, wp: 1 })).toBe('EINVAL');
    expect(script.answer({ op: 'uffd_copy', p: 0, at: 1, n: 1, v: 1 })).toBe(0);
    expect(script.answer({ op: 'uffd_copy', p: 0, at: 1, n: 1, v: 1 })).toBe('EEXIST');
    expect(script.answer({ op: 'uffd_copy', p: 0, at: 0, n: 2, v: 1 })).toBe('EAGAIN');
    expect(script.read(0)).toEqual([1]);
  });

  it('is what the file lacks in shared memory', () => {
    const script = new MachineScript();
    script.mapShared(0, 4);
    script.write(0, 1, 3);
    script.run({ op: 'madvise', p: 0, at: 0, n: 4, advice: 'dontneed' }, register(0, 4, 'missing'));
    expect(script.read(0, 2)).toEqual([3, 'UFFD']);
    expect(script.answer({ op: 'uffd_copy', p: 0, at: 1, n: 1, v: 8 })).toBe(0);
    expect(script.answer({ op: 'uffd_copy', p: 0, at: 0, n: 1, v: 8 })).toBe('EEXIST');
    expect(script.read(1)).toEqual([8]);
  });

  it('is not hidden by a huge page', () => {
    const script = new MachineScript();
    script.map(0, 512);
    script.run(
      { op: 'madvise', p: 0, at: 0, n: 512, advice: 'hugepage' },
      register(0, 512, 'missing'),
    );
    expect(script.write(0, 1, 1).vals).toEqual([['UFFD', 1]]);
    expect(script.bits(0)).toBe('none');
  });
});
