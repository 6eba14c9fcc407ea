import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';
import { runToEnd } from '../op/prims.js';
import { shrinkDeferred } from './shrinker.js';

/** 2 MiB at page 512, its last page zero-filled if `hasZero`. */
function hugeScript(hasZero: boolean): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key: 'thp', value: 'always' });
  script.map(512, 512);
  script.write(512, 512, 1);
  if (hasZero) script.write(1023, 1, 0);
  return script;
}

function shrink(script: MachineScript): void {
  runToEnd(shrinkDeferred(script.kernel, 0));
}

function orderAt(script: MachineScript, at: number): number | undefined {
  const page = script.page(at);
  return page?.k === 'page' ? page.folioState?.order : undefined;
}

describe('the deferred-split shrinker (spec 98 §9.4)', () => {
  it('splits a folio with a zero-filled page', () => {
    const script = hugeScript(true);
    shrink(script);
    expect(orderAt(script, 512)).toBe(0);
    expect(script.kind(1023)).toBe('zero');
    checkInvariants(script.kernel);
  });

  it('takes a full folio off the queue and keeps it', () => {
    const script = hugeScript(false);
    shrink(script);
    const page = script.page(512);
    expect(page?.k === 'page' && page.folioState).toMatchObject({ order: 9, deferred: 0 });
  });

  it('tolerates as many zero-filled pages as khugepaged empty ones', () => {
    const script = hugeScript(true);
    script.kernel.knobs.maxPtesNone = 1;
    shrink(script);
    expect(orderAt(script, 512)).toBe(9);
  });

  it('never looks for zeros when khugepaged tolerates 511 empty entries', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.map(512, 512);
    script.write(512, 1, 1);
    script.kernel.knobs.maxPtesNone = 511;
    shrink(script);
    expect(orderAt(script, 512)).toBe(9);
  });

  it('keeps a locked folio', () => {
    const script = hugeScript(true);
    script.run({ op: 'mlock', p: 0, at: 512, n: 512 });
    shrink(script);
    expect(orderAt(script, 512)).toBe(9);
    expect(script.kernel.deferredSplit.length).toBe(0);
  });

  it('splits a partially mapped folio, of any order', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'mthp.64kB', value: 'always' });
    script.map(0, 16);
    script.write(0, 16, 1);
    script.run({ op: 'munmap', p: 0, at: 4, n: 1 });
    expect(script.kernel.deferredSplit.length).toBe(1);
    shrink(script);
    expect(orderAt(script, 0)).toBe(0);
    checkInvariants(script.kernel);
  });

  it('queues a partially mapped folio again that is pinned now', () => {
    const script = hugeScript(false);
    script.run({ op: 'munmap', p: 0, at: 600, n: 1 });
    script.run({ op: 'pin', p: 0, at: 512, n: 1, id: 1 });
    shrink(script);
    const page = script.page(512);
    expect(page?.k === 'page' && page.folioState).toMatchObject({ order: 9, deferred: 1 });
    script.run({ op: 'unpin', p: 0, id: 1 });
    shrink(script);
    expect(orderAt(script, 512)).toBe(0);
  });

  it('leaves other control groups alone', () => {
    const script = hugeScript(true);
    runToEnd(shrinkDeferred(script.kernel, 1));
    expect(orderAt(script, 512)).toBe(9);
  });
});
