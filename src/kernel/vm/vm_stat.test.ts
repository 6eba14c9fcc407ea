import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';
import type { Operation } from '../operation.js';

// @covers vm_stat_account

/** Pages as `/proc/PID/status` of Linux 6.18 counts them: VmSize, VmLck, VmData, VmStk, code. */
function sizes(script: MachineScript, p = 0): number[] {
  const mm = script.kernel.processes.get(p)?.mm;
  if (mm === undefined) throw new Error(`no process ${p}`);
  checkInvariants(script.kernel);
  return [mm.totalPages, mm.lockedPages, mm.dataPages, mm.stackPages, mm.execPages];
}

/** What each operation leaves. */
function after(...operations: Operation[]): number[] {
  const script = new MachineScript();
  for (const operation of operations) {
    expect({ operation, ...script.run(operation) }).not.toHaveProperty('err');
  }
  return sizes(script);
}

const map = { op: 'mmap', p: 0, at: 0, n: 10, prot: 'rw', flags: 'private|anon' } as const;
const lock = { op: 'mlock', p: 0, at: 0, n: 10 } as const;

describe('the sizes of an address space', () => {
  it.each([
    ['rw', 'private|anon', [10, 0, 10, 0, 0]],
    ['r', 'private|anon', [10, 0, 0, 0, 0]],
    ['rx', 'private|anon', [10, 0, 0, 0, 10]],
    ['rwx', 'private|anon', [10, 0, 10, 0, 0]],
    ['n', 'private|anon', [10, 0, 0, 0, 0]],
    ['rw', 'shared|anon', [10, 0, 0, 0, 0]],
    ['rx', 'shared|anon', [10, 0, 0, 0, 10]],
    ['rw', 'private|anon|growsdown', [10, 0, 0, 10, 0]],
    ['rx', 'private|anon|growsdown', [10, 0, 0, 10, 0]],
    ['rw', 'private|anon|locked', [10, 10, 10, 0, 0]],
  ] as const)('tell %s %s memory apart', (prot, flags, expected) => {
    expect(after({ ...map, prot, flags })).toEqual(expected);
    // The same by a change of permissions, of all and of a part.
    const none = { ...map, prot: 'n', flags } as const;
    expect(after(none, { op: 'mprotect', p: 0, at: 0, n: 10, prot })).toEqual(expected);
    const halves = [0, 5].map((at) => ({ op: 'mprotect', p: 0, at, n: 5, prot }) as const);
    expect(after(none, ...halves)).toEqual(expected);
  });

  it('fall with what is unmapped or replaced', () => {
    const unmap = { op: 'munmap', p: 0, at: 3, n: 2 } as const;
    expect(after(map, lock, unmap)).toEqual([8, 8, 8, 0, 0]);
    const replace = { ...map, at: 2, n: 4, flags: 'private|anon|fixed' } as const;
    expect(after(map, { ...lock, n: 4 }, replace)).toEqual([10, 2, 10, 0, 0]);
  });

  it('count locked pages once', () => {
    const onFault = { ...lock, onfault: 1 } as const;
    expect(after(map, onFault)).toEqual([10, 10, 10, 0, 0]);
    expect(after(map, onFault, lock)).toEqual([10, 10, 10, 0, 0]);
    expect(after(map, lock, { op: 'munlock', p: 0, at: 0, n: 5 })).toEqual([10, 5, 10, 0, 0]);
  });

  it('grow with a stack that grows, locked or not', () => {
    const stack = { ...map, at: 2000, flags: 'private|anon|growsdown' } as const;
    const write = { op: 'write', p: 0, at: 1998, n: 1, v: 1 } as const;
    expect(after(stack, write)).toEqual([12, 0, 0, 12, 0]);
    const lockStack = { op: 'mlock', p: 0, at: 1998, n: 12 } as const;
    expect(after(stack, write, lockStack, { ...write, at: 1990 })).toEqual([20, 20, 0, 20, 0]);
  });

  it('follow the break', () => {
    const script = new MachineScript();
    script.run({ op: 'brk_at', p: 0, at: 4096 });
    script.run({ op: 'brk', p: 0, at: 4112 });
    expect(sizes(script)).toEqual([16, 0, 16, 0, 0]);
    script.run({ op: 'brk', p: 0, at: 4116 }, { op: 'brk', p: 0, at: 4108 });
    expect(sizes(script)).toEqual([12, 0, 12, 0, 0]);
  });

  it('follow mremap', () => {
    const grow = { op: 'mremap', p: 0, at: 0, n: 10, new: 20, flags: 'none' } as const;
    expect(after(map, lock, grow)).toEqual([20, 20, 20, 0, 0]);
    const shrink = { ...grow, n: 20, new: 15 } as const;
    expect(after(map, lock, grow, shrink)).toEqual([15, 15, 15, 0, 0]);
    const move = { op: 'mremap', p: 0, at: 0, n: 5, new: 8, to: 100, flags: 'fixed' } as const;
    expect(after(map, lock, grow, shrink, move)).toEqual([18, 18, 18, 0, 0]);
    const duplicate = { ...move, n: 0, new: 4 } as const;
    expect(after({ ...map, flags: 'shared|anon' }, duplicate)).toEqual([14, 0, 0, 0, 0]);
  });

  // Seen on Linux 6.18: all of the VMA is unlocked, and nothing of it is taken from VmLck.
  it('never forget locked pages that MREMAP_DONTUNMAP unlocked', () => {
    const keep = { op: 'mremap', p: 0, at: 2, n: 4, new: 4, to: 100, flags: 'fixed|dontunmap' };
    const kept = { ...keep, op: 'mremap' } as const;
    const unmap = { op: 'munmap', p: 0, at: 0, n: 200 } as const;
    expect(after(map, lock, kept)).toEqual([14, 14, 14, 0, 0]);
    expect(after(map, lock, kept, unmap)).toEqual([0, 10, 0, 0, 0]);
    const whole = { ...kept, at: 0, n: 10, new: 10 } as const;
    expect(after(map, lock, whole, { op: 'munlock', p: 0, at: 100, n: 10 })).toEqual([
      20, 10, 20, 0, 0,
    ]);
    // Nothing was touched, so the destination joins the source and is unlocked with it.
    const beside = { ...whole, to: 10 } as const;
    const onFault = { ...lock, onfault: 1 } as const;
    expect(after(map, onFault, beside, unmap)).toEqual([0, 20, 0, 0, 0]);
  });

  it('leave hugetlb unlocked', () => {
    const huge = { ...map, at: 512, n: 512, flags: 'private|anon|hugetlb' } as const;
    const config = { op: 'config', key: 'hugetlb', value: 1 } as const;
    expect(after(config, huge, { ...lock, at: 512, n: 512 })).toEqual([512, 0, 512, 0, 0]);
  });

  it('are inherited by fork, but for locks and what is not copied', () => {
    const script = new MachineScript();
    script.run(map, lock, { op: 'madvise', p: 0, at: 0, n: 4, advice: 'dontfork' });
    script.fork(0, 1);
    expect([sizes(script), sizes(script, 1)]).toEqual([
      [10, 10, 10, 0, 0],
      [6, 0, 6, 0, 0],
    ]);
    script.run({ op: 'exec', p: 1 });
    expect(sizes(script, 1)).toEqual([0, 0, 0, 0, 0]);
  });
});
