import { describe, expect, it } from 'vitest';
import { stopAt } from '../../test/support/interleave.js';
import { VmScript } from '../../test/support/vm_script.js';
import { vmaProblems } from '../../test/support/vma_oracle.js';
import { downRead, runToEnd, upRead } from '../kernel/op/prims.js';
import { anonVmaPrepare, putAnonVma } from '../kernel/rmap/anon_vma.js';

describe('races on anon_vmas', () => {
  it('of two faults that prepare one VMA, the second gives its anon_vma back', () => {
    const script = new VmScript();
    script.map(0, 4);
    const vma = script.vma(0);
    const slow = anonVmaPrepare(script.kernel, vma);
    stopAt(slow, 'acquireWrite');
    expect(runToEnd(anonVmaPrepare(script.kernel, vma))).toBe(0);
    const winner = vma.anonVma;
    expect(runToEnd(slow)).toBe(0);
    expect(vma.anonVma).toBe(winner);
    expect(script.living()).toEqual([winner?.id]);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('an anon_vma is not freed while a reader holds its lock', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.write(0);
    const anonVma = script.vma(0).anonVma!;
    anonVma.refcount += 1;
    script.unmap(0, 4);
    runToEnd(downRead(anonVma.rwsem));
    const free = putAnonVma(script.kernel, anonVma);
    expect(stopAt(free, 'acquireWrite').object).toBe(anonVma.rwsem);
    expect(script.kernel.freeAnonVmaIds).toEqual([]);
    runToEnd(upRead(anonVma.rwsem));
    runToEnd(free);
    expect(script.kernel.freeAnonVmaIds).toEqual([anonVma.id]);
  });
});
