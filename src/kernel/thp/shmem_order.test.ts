import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';

function shmemScript(n: number, ...knobs: Array<[string, string]>): MachineScript {
  const script = new MachineScript();
  for (const [key, value] of knobs) script.run({ op: 'config', key, value });
  script.run({ op: 'file', id: 'f', n, kind: 'memfd' });
  return script;
}

function mapFile(script: MachineScript, at: number, n: number, off = 0): void {
  script.run({ op: 'mmap', p: 0, at, n, prot: 'rw', flags: 'shared', file: 'f', off });
}

function orderAt(script: MachineScript, at: number): number {
  const page = script.page(at);
  return page?.k === 'page' ? (page.folioState?.order ?? -1) : -1;
}

describe('order of a new shmem folio (spec 98 §4.4)', () => {
  it('is the highest enabled one whose file block is empty', () => {
    const script = shmemScript(512, ['shmem_mthp.64kB', 'always'], ['shmem_mthp.256kB', 'always']);
    script.run({ op: 'filewrite', file: 'f', at: 64, n: 1, v: 1 });
    mapFile(script, 512, 512);
    for (const at of [512, 580, 600]) script.write(at, 1, 1);
    expect([orderAt(script, 512), orderAt(script, 580), orderAt(script, 600)]).toEqual([6, 0, 4]);
    expect(orderAt(script, 576)).toBe(-1);
    script.read(576);
    expect(orderAt(script, 576)).toBe(0);
  });

  it('needs the block inside the mapping, at an address aligned alike', () => {
    const script = shmemScript(1024, ['shmem_thp', 'always']);
    mapFile(script, 513, 600);
    script.write(513, 1, 1);
    expect(orderAt(script, 513)).toBe(0);
    mapFile(script, 2048, 500, 512);
    script.write(2048, 1, 1);
    expect(orderAt(script, 2048)).toBe(0);
  });

  it.each([
    ['always', 300, 9],
    ['within_size', 512, 9],
    ['within_size', 511, 0],
    ['advise', 512, 0],
    ['never', 512, 0],
  ])('mode %s with a file of %i pages gives order %i', (mode, n, order) => {
    const script = shmemScript(n, ['shmem_thp', mode]);
    mapFile(script, 512, 512);
    script.write(512, 1, 1);
    expect(orderAt(script, 512)).toBe(order);
  });

  it.each(['advise', 'within_size'])('mode %s grants it to advised memory', (mode) => {
    const script = shmemScript(300, ['shmem_thp', mode]);
    mapFile(script, 512, 512);
    script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'hugepage' });
    script.write(512, 1, 1);
    expect(orderAt(script, 512)).toBe(9);
  });

  it('is refused by nohugepage', () => {
    const script = shmemScript(512, ['shmem_thp', 'always']);
    mapFile(script, 512, 512);
    script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'nohugepage' });
    script.write(512, 1, 1);
    expect(orderAt(script, 512)).toBe(0);
  });

  it('ignores the length of a write, and follows only the global knob', () => {
    const script = shmemScript(1024, ['shmem_thp', 'always']);
    script.run({ op: 'filewrite', file: 'f', at: 0, n: 1, v: 1 });
    script.run({ op: 'filewrite', file: 'f', at: 16, n: 20, v: 1 });
    script.run({ op: 'filewrite', file: 'f', at: 512, n: 512, v: 1 });
    mapFile(script, 0, 1024);
    for (const at of [0, 16, 32, 512]) script.read(at);
    expect([0, 16, 32, 512].map((at) => orderAt(script, at))).toEqual([9, 9, 9, 9]);
    const small = shmemScript(64, ['shmem_mthp.64kB', 'always']);
    small.run({ op: 'filewrite', file: 'f', at: 0, n: 16, v: 1 });
    mapFile(small, 0, 64);
    small.read(0);
    expect(orderAt(small, 0)).toBe(0);
  });
});
