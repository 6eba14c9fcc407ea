import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';
import { runToEnd } from '../op/prims.js';
import { khugepagedScan } from './khugepaged.js';

function smallPages(n: number): MachineScript {
  const script = new MachineScript();
  script.map(512, 512);
  script.write(512, n, 7);
  script.run({ op: 'config', key: 'thp', value: 'always' });
  return script;
}

function scan(script: MachineScript, p = 0): number {
  const process = script.kernel.processes.get(p);
  if (process === undefined) throw new Error(`no process ${p}`);
  return runToEnd(khugepagedScan(script.kernel, process.mm));
}

describe('khugepaged (spec 50 §10)', () => {
  it('collapses a full block of used pages', () => {
    const script = smallPages(512);
    expect(scan(script)).toBe(1);
    expect(script.page(512)).toMatchObject({ level: 'pmd' });
    expect(scan(script)).toBe(0);
    checkInvariants(script.kernel);
  });

  it('tolerates as many empty entries as the knob says', () => {
    const script = smallPages(500);
    expect(scan(script)).toBe(0);
    script.kernel.knobs.maxPtesNone = 11;
    expect(scan(script)).toBe(0);
    script.kernel.knobs.maxPtesNone = 12;
    expect(scan(script)).toBe(1);
  });

  it('tolerates 256 shared pages', () => {
    const script = smallPages(512);
    script.fork(0, 1);
    script.write(512, 255, 8);
    expect(scan(script)).toBe(0);
    script.write(767, 1, 8);
    expect(scan(script)).toBe(1);
  });

  it('wants one page that was used lately', () => {
    const script = smallPages(512);
    script.fork(0, 1);
    script.run({ op: 'exit', p: 0 });
    expect(scan(script, 1)).toBe(0);
    script.read(700, 1, 1);
    expect(scan(script, 1)).toBe(1);
  });

  it.each([
    ['thp', 'never'],
    ['mthp.2048kB', 'never'],
  ])('obeys %s %s', (key, value) => {
    const script = smallPages(512);
    script.run({ op: 'config', key, value });
    expect(scan(script)).toBe(0);
  });
});
