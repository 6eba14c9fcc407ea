import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

// @covers folio_add_file_rmap_ptes, folio_add_file_rmap_pmd

function shmemScript(key: string, n: number): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key, value: 'always' });
  script.run({ op: 'file', id: 'f', n, kind: 'memfd' });
  return script;
}

function mapFile(script: MachineScript, at: number, n: number, flags = 'shared', off = 0): void {
  script.run({ op: 'mmap', p: 0, at, n, prot: 'rw', flags, file: 'f', off });
}

/** Present pages of process 0 as `start+count` runs that touch. */
function presentRanges(script: MachineScript): string {
  const ranges: Array<[number, number]> = [];
  for (const vma of script.state().procs[0].vmas) {
    for (const run of vma.pages) {
      const last = ranges.at(-1);
      if (last !== undefined && last[0] + last[1] === run.at) last[1] += run.n;
      else ranges.push([run.at, run.n]);
    }
  }
  return ranges.map(([at, n]) => `${at}+${n}`).join(' ');
}

describe('fault on a large shmem folio (spec 98 §4.4)', () => {
  it('maps a 2 MiB folio by a PMD where offsets agree', () => {
    const script = shmemScript('shmem_thp', 512);
    mapFile(script, 512, 512);
    script.write(700, 1, 1);
    expect(script.page(512)).toMatchObject({ level: 'pmd', w: 1, d: 1, file: 1 });
    const page = script.page(512);
    expect(page?.k === 'page' && page.folioState).toMatchObject({
      order: 9,
      refs: 513,
      mapcount: 1,
      entire: 1,
      deferred: 0,
    });
    expect(script.kernel.processes.get(0)?.mm.rss[3]).toBe(512);
    checkInvariants(script.kernel);
  });

  it('maps it clean after a read although the folio is dirty', () => {
    const script = shmemScript('shmem_thp', 512);
    mapFile(script, 512, 512);
    script.write(512, 1, 1);
    script.run({ op: 'munmap', p: 0, at: 512, n: 512 });
    mapFile(script, 512, 512);
    script.read(512);
    expect(script.page(512)).toMatchObject({ level: 'pmd', w: 1, d: 0 });
  });

  it('uses no PMD in a VMA without permission for huge pages', () => {
    const script = shmemScript('shmem_thp', 512);
    mapFile(script, 512, 512);
    script.write(512, 1, 1);
    script.run({ op: 'munmap', p: 0, at: 512, n: 512 });
    mapFile(script, 512, 512);
    script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'nohugepage' });
    script.read(512);
    expect(script.page(512)).toMatchObject({ level: 'pte' });
    expect(presentRanges(script)).toBe('512+512');
  });

  it('maps the whole of a smaller folio, at any offset in one table', () => {
    const script = shmemScript('shmem_mthp.256kB', 64);
    mapFile(script, 512, 64);
    expect(script.write(520, 1, 1).flt).toBe(1);
    expect(presentRanges(script)).toBe('512+64');
    script.run({ op: 'munmap', p: 0, at: 512, n: 64 });
    mapFile(script, 1100, 64);
    script.read(1110);
    expect(presentRanges(script)).toBe('1100+64');
    expect(script.page(1100)).toMatchObject({ w: 1, d: 1 });
  });

  it.each([
    ['cut by the VMA', 1024, 40, 1030, '1024+16'],
    ['across two tables', 1500, 64, 1510, '1504+16'],
  ])('maps a window of 16 pages for a read of a folio %s', (_what, at, n, fault, ranges) => {
    const script = shmemScript('shmem_mthp.256kB', 64);
    mapFile(script, 512, 64);
    script.write(512, 1, 1);
    script.run({ op: 'munmap', p: 0, at: 512, n: 64 });
    mapFile(script, at, n);
    script.read(fault);
    expect(presentRanges(script)).toBe(ranges);
    checkInvariants(script.kernel);
  });

  it('maps one page for a shared write that cannot have the whole', () => {
    const script = shmemScript('shmem_mthp.256kB', 64);
    mapFile(script, 512, 64);
    script.write(512, 1, 1);
    script.run({ op: 'munmap', p: 0, at: 512, n: 64 });
    mapFile(script, 1024, 40);
    script.write(1030, 1, 2);
    expect(presentRanges(script)).toBe('1030+1');
  });

  it('maps the neighbours in the window with a small folio', () => {
    const script = shmemScript('shmem_mthp.16kB', 16);
    mapFile(script, 512, 16);
    for (const at of [512, 516, 524]) script.write(at, 1, 1);
    script.run({ op: 'munmap', p: 0, at: 512, n: 16 });
    mapFile(script, 512, 16);
    script.read(513);
    expect(presentRanges(script)).toBe('512+8 524+4');
  });

  it('drops the PMD of a private mapping at its first write and copies one page', () => {
    const script = shmemScript('shmem_thp', 512);
    script.run({ op: 'filewrite', file: 'f', at: 0, n: 512, v: 5 });
    mapFile(script, 512, 512, 'private');
    script.read(512);
    expect(script.page(512)).toMatchObject({ level: 'pmd', w: 0 });
    script.write(513, 1, 2);
    expect(presentRanges(script)).toBe('513+1');
    expect(script.kind(513)).toBe('anon');
    expect(script.read(512, 2)).toEqual([5, 2]);
    checkInvariants(script.kernel);
  });

  it('raises SIGBUS behind the end of the file, even if the folio reaches further', () => {
    const script = shmemScript('shmem_mthp.64kB', 5);
    mapFile(script, 512, 16);
    script.write(512, 1, 1);
    script.run({ op: 'munmap', p: 0, at: 512, n: 16 });
    mapFile(script, 1024, 8);
    expect(script.read(1030)).toEqual(['BUS']);
  });
});
