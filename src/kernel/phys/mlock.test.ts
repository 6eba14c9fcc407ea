import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';
import { mlockFolio, munlockFolio } from './mlock.js';
import { PG_MLOCKED, PG_UNEVICTABLE } from './page_flags.js';

// @covers mlock_folio, munlock_folio, PAGEVEC_SIZE

/** References and lock flags of the page at `at`. */
function lockState(script: MachineScript, at: number): [number, boolean, boolean] {
  const { flags, refcount } = script.kernel.memory;
  const pfn = script.pfn(at);
  return [refcount[pfn], (flags[pfn] & PG_MLOCKED) !== 0, (flags[pfn] & PG_UNEVICTABLE) !== 0];
}

describe('lock events of folios', () => {
  it('wait, each with a reference, until the batch is full', () => {
    const script = new MachineScript();
    script.map(0, 32);
    script.write(0, 32, 1);
    for (let at = 0; at < 30; at += 1) mlockFolio(script.kernel, script.pfn(at));
    expect(lockState(script, 0)).toEqual([2, true, false]);
    mlockFolio(script.kernel, script.pfn(30));
    expect(lockState(script, 0)).toEqual([1, true, true]);
    expect(lockState(script, 30)).toEqual([1, true, true]);
    munlockFolio(script.kernel, script.pfn(0));
    expect(lockState(script, 0)).toEqual([2, true, true]);
    script.run({ op: 'drain' });
    expect(lockState(script, 0)).toEqual([1, false, false]);
  });

  it('of a large folio are applied at once, with those that wait', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'mthp.64kB', value: 'always' });
    script.map(16, 16);
    script.write(16, 16, 1);
    script.run({ op: 'config', key: 'mthp.64kB', value: 'never' });
    script.map(64, 1);
    script.write(64, 1, 1);
    mlockFolio(script.kernel, script.pfn(64));
    expect(lockState(script, 64)).toEqual([2, true, false]);
    mlockFolio(script.kernel, script.pfn(16));
    expect(lockState(script, 64)).toEqual([1, true, true]);
    expect(lockState(script, 16)).toEqual([16, true, true]);
    munlockFolio(script.kernel, script.pfn(16));
    munlockFolio(script.kernel, script.pfn(64));
    script.run({ op: 'drain' });
    checkInvariants(script.kernel);
  });
});
