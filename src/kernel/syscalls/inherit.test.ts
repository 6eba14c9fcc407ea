import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';

/** Process 0 with an anon_vma but no pages at 0 … n−1, and its children 1 and 2. */
function family(n: number): MachineScript {
  const script = new MachineScript();
  script.map(0, n);
  script.write(0, 1, 9);
  script.run({ op: 'madvise', p: 0, at: 0, n: 1, advice: 'dontneed' });
  script.fork(0, 1);
  script.fork(0, 2);
  return script;
}

describe('inherit', () => {
  it('shares pages as a fork would, found by the reverse map', () => {
    const script = family(4);
    script.write(1, 2, 5);
    expect(script.run({ op: 'inherit', p: 1, at: 1, n: 2, q: 0 })).toEqual({ ret: 0 });
    script.run({ op: 'madvise', p: 0, at: 1, n: 2, advice: 'dontneed' });
    script.write(1, 1, 6);
    expect(script.run({ op: 'inherit', p: 2, at: 1, n: 1, q: 0 })).toEqual({ ret: 0 });
    expect([script.read(1, 2, 1), script.read(1, 2, 2)]).toEqual([
      [5, 5],
      [6, 0],
    ]);
    expect(script.pfn(1, 2)).toBe(script.pfn(1));
    // A copy on write gives the sharers one page each.
    script.write(1, 1, 7, 2);
    expect([script.read(1), script.read(1, 1, 2)]).toEqual([[6], [7]]);
    expect(script.state().anon_vmas['A0']).toBeDefined();
  });

  it('refuses a child that maps something, or nothing of the same origin', () => {
    const script = family(4);
    script.write(0, 1, 5);
    script.write(0, 1, 6, 1);
    const refused = { ret: -1, err: 'EINVAL' };
    expect(script.run({ op: 'inherit', p: 1, at: 0, n: 1, q: 0 })).toEqual(refused);
    script.run({ op: 'munmap', p: 2, at: 0, n: 4 });
    expect(script.run({ op: 'inherit', p: 2, at: 0, n: 1, q: 0 })).toEqual(refused);
    script.map(0, 4, 'rw', 2);
    expect(script.run({ op: 'inherit', p: 2, at: 0, n: 1, q: 0 })).toEqual(refused);
    expect(script.run({ op: 'inherit', p: 7, at: 0, n: 1, q: 0 })).toMatchObject({ err: 'ESRCH' });
    script.run({ op: 'vfork', p: 0, c: 8 });
    expect(script.run({ op: 'inherit', p: 8, at: 0, n: 1, q: 0 })).toEqual(refused);
  });
});
