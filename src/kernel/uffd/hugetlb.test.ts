import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import type { Operation } from '../operation.js';

// @covers hugetlb_mfill_atomic_pte, hugetlb_change_protection

/** Two huge pages of memory at 0, and a pool of four. */
function hugeMemory(sharing: 'private' | 'shared'): MachineScript {
  const script = new MachineScript();
  script.run(
    { op: 'config', key: 'hugetlb', value: 4 },
    { op: 'mmap', p: 0, at: 0, n: 1024, prot: 'rw', flags: `${sharing}|anon|hugetlb` },
  );
  return script;
}

function register(mode: string, features?: string): Operation {
  const given = features === undefined ? {} : { features };
  return { op: 'uffd_register', p: 0, at: 0, n: 1024, mode, ...given };
}

function protect(at: number, n: number, on: number): Operation {
  return { op: 'uffd_wp', p: 0, at, n, on };
}

describe('hugetlb memory', () => {
  it('is registered in whole huge pages only', () => {
    const script = hugeMemory('private');
    expect(script.answer({ op: 'uffd_register', p: 0, at: 0, n: 8, mode: 'wp' })).toBe('EINVAL');
    expect(script.answer(register('wp'))).toBe(0);
    expect(script.answer(protect(0, 8, 1))).toBe('EINVAL');
    expect(script.answer({ op: 'uffd_unregister', p: 0, at: 0, n: 8 })).toBe('EINVAL');
    expect(script.answer({ op: 'uffd_unregister', p: 0, at: 0, n: 1024 })).toBe(0);
  });

  it('is write-protected by huge entries, and writable with the next write', () => {
    const script = hugeMemory('private');
    script.write(0, 1, 7);
    script.run(register('wp'), protect(0, 1024, 1));
    expect(script.write(3, 1, 8).vals).toEqual([['UFFD', 1]]);
    expect(script.write(600, 1, 8).vals).toEqual([['UFFD', 1]]);
    expect(script.read(0)).toEqual([7]);
    script.run(protect(0, 1024, 0));
    expect([script.write(3, 1, 8).vals, script.write(600, 1, 8).vals]).toEqual([
      undefined,
      undefined,
    ]);
    expect(script.bits(0)).toBe('wde');
  });

  it('resolves protection by itself in asynchronous mode', () => {
    const script = hugeMemory('private');
    script.run(register('wp', 'wp_async'), protect(0, 1024, 1));
    expect(script.write(0, 1, 8).vals).toBeUndefined();
    expect([script.bits(0), script.read(0)]).toEqual(['wde', [8]]);
    script.read(512);
    expect(script.bits(512)).toBe('--e wp');
  });

  it.each(['private', 'shared'] as const)('takes pages that are copied in (%s)', (sharing) => {
    const script = hugeMemory(sharing);
    script.run(register('missing|wp'));
    expect(script.read(0)).toEqual(['UFFD']);
    const fill = (at: number, n: number, wp = 0): Operation => {
      return { op: 'uffd_copy', p: 0, at, n, v: 5, wp };
    };
    expect(script.answer(fill(0, 8))).toBe('EINVAL');
    expect(script.answer({ op: 'uffd_zero', p: 0, at: 0, n: 512 })).toBe('EINVAL');
    expect(script.answer(fill(0, 512))).toBe(0);
    expect(script.answer(fill(0, 512))).toBe('EEXIST');
    expect(script.answer(fill(512, 512, 1))).toBe(0);
    expect([script.read(511), script.read(512)]).toEqual([[5], [5]]);
    expect([script.bits(0), script.bits(512)]).toEqual(
      sharing === 'private' ? ['wde', '-de wp'] : ['wd-', '-d- wp'],
    );
    expect(script.write(512, 1, 1).vals).toEqual([['UFFD', 1]]);
  });
});
