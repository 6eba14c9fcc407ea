import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';
import { PG_DIRTY } from '../phys/page_flags.js';

// @covers iter_to_pipe, PIPE_DEF_BUFFERS

describe('vmsplice', () => {
  it('takes what a pipe holds, and nothing when it is full', () => {
    const script = new MachineScript();
    script.map(0, 40);
    script.write(0, 40, 1);
    expect(script.answer({ op: 'vmsplice', p: 0, at: 4, n: 20, id: 1 })).toBe(16);
    expect(script.answer({ op: 'vmsplice', p: 0, at: 0, n: 1, id: 1 })).toBe('EAGAIN');
    expect(script.answer({ op: 'vmsplice', p: 0, at: 4, n: 3, id: 2 })).toBe(3);
    expect(script.answer({ op: 'vmsplice', p: 0, at: 0, n: 20, id: 2 })).toBe(13);
    expect(script.answer({ op: 'vmsplice', p: 0, at: 50, n: 1, id: 3 })).toBe('EFAULT');
    checkInvariants(script.kernel);
  });

  it('goes on where the slow path ends, and the fast path reads executable memory', () => {
    const script = new MachineScript();
    script.map(0, 16);
    script.write(0, 16, 1);
    script.run({ op: 'mprotect', p: 0, at: 10, n: 6, prot: 'x' });
    script.run({ op: 'madvise', p: 0, at: 3, n: 1, advice: 'dontneed' });
    expect(script.answer({ op: 'vmsplice', p: 0, at: 0, n: 16, id: 1 })).toBe(16);
    // Where nothing is mapped neither helps.
    script.run({ op: 'madvise', p: 0, at: 12, n: 1, advice: 'dontneed' });
    expect(script.answer({ op: 'vmsplice', p: 0, at: 8, n: 8, id: 2 })).toBe(4);
    checkInvariants(script.kernel);
  });

  // Asked of a running Linux 6.18: the huge page that was freed last is taken next, dirty as it was.
  it.each([
    ['the pipe opened last is let go of first', [], true],
    ['a pipe has the lowest descriptors that are free', [1], false],
  ])('of a process that exits: %s', (_what, drained, isDirty) => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'hugetlb', value: 6 });
    const flags = 'private|anon|hugetlb|fixed';
    script.run({ op: 'mmap', p: 0, at: 1536, n: 1024, prot: 'rw', flags });
    script.map(16, 1);
    script.run({ op: 'fork', p: 0, c: 1 });
    script.run({ op: 'write', p: 1, at: 2048, n: 1, v: 7 });
    script.run({ op: 'write', p: 1, at: 16, n: 1, v: 5 });
    script.run({ op: 'vmsplice', p: 1, at: 16, n: 1, id: 1 });
    script.run({ op: 'vmsplice', p: 1, at: 2048, n: 1, id: 2 });
    for (const id of drained) script.run({ op: 'vmdrain', p: 1, id, n: 1 });
    script.run({ op: 'vmsplice', p: 1, at: 1536, n: 1, id: 3 });
    script.run({ op: 'exit', p: 1 }, { op: 'fork', p: 0, c: 2 });
    script.run({ op: 'read', p: 2, at: 2048, n: 1 });
    const { memory } = script.kernel;
    expect((memory.flags[script.pfn(2048, 2)] & PG_DIRTY) !== 0).toBe(isDirty);
    checkInvariants(script.kernel);
  });
});
