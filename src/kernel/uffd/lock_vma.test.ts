import { describe, expect, it } from 'vitest';
import { RmapFixture } from '../../../test/support/rmap_fixture.js';
import type { Operation } from '../operation.js';

// @covers uffd_lock_vma, find_vma_and_prepare_anon

/** Eight pages of which the first four are registered. */
function fixture(flags = 'private|anon'): RmapFixture {
  const f = new RmapFixture();
  f.run({ op: 'mmap', p: 0, at: 0, n: 8, prot: 'rw', flags });
  f.run({ op: 'uffd_register', p: 0, at: 0, n: 4, mode: 'missing' });
  return f;
}

function fill(at: number, n: number): Operation {
  return { op: 'uffd_copy', p: 0, at, n, v: 7 };
}

// Asked of Linux 6.18: the first write after the refused call finds the anon_vma made.
describe('a refused fill', () => {
  it.each([
    ['of pages behind the VMA', fill(2, 4), 0],
    ['of a VMA that is not registered', fill(4, 1), 4],
    ['with zero pages', { op: 'uffd_zero', p: 0, at: 4, n: 1 } as const, 4],
  ])('%s leaves an anon_vma all the same', (_, operation, at) => {
    const f = fixture();
    expect(f.vma(at).anonVma).toBeUndefined();
    expect(f.run(operation)).toMatchObject({ err: 'ENOENT' });
    expect(f.vma(at).anonVma).toBeDefined();
  });

  it('of shared memory leaves none', () => {
    const f = fixture('shared|anon');
    expect(f.run(fill(4, 1))).toMatchObject({ err: 'ENOENT' });
    expect(f.vma(4).anonVma).toBeUndefined();
  });

  it('where nothing is mapped is refused', () => {
    expect(fixture().run(fill(20, 1))).toMatchObject({ err: 'ENOENT' });
  });
});
