import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

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
});
