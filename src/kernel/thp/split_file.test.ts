import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

// @covers folio_remove_rmap_pmd, folio_expected_ref_count

function thpFile(key = 'shmem_thp', n = 512): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key, value: 'always' });
  script.run({ op: 'file', id: 'f', n, kind: 'memfd' });
  const map = { op: 'mmap', p: 0, at: 512, n, prot: 'rw', flags: 'shared' } as const;
  script.run({ ...map, file: 'f', off: 0 });
  script.write(512, n, 1);
  return script;
}

/** Cached folios as `index:order`, by index. */
function pieces(script: MachineScript): string {
  const { kernel } = script;
  const mapping = script.machine.file('f');
  const found = new Map<number, number>();
  for (const pfn of mapping.pages.values()) {
    const head = kernel.memory.folioOf(pfn);
    const order = kernel.memory.isLarge(head)
      ? kernel.large.order[kernel.memory.next[head + 1]]
      : 0;
    found.set(kernel.memory.index[head], order);
  }
  const sorted = [...found].sort(([a], [b]) => a - b);
  return sorted.map(([index, order]) => `${index}:${order}`).join(' ');
}

describe('holes and ends in large shmem folios (spec 98 §4.4)', () => {
  it('halves towards both boundaries of a hole', () => {
    const script = thpFile();
    script.run({ op: 'punch', file: 'f', at: 10, n: 4 });
    expect(pieces(script)).toBe('0:3 8:1 14:0 15:0 16:4 32:5 64:6 128:7 256:8');
    expect(script.page(512)).toBeUndefined();
    expect(script.read(520, 8)).toEqual([1, 1, 0, 0, 0, 0, 1, 1]);
    checkInvariants(script.kernel);
  });

  it('keeps the pieces before a new end', () => {
    const script = thpFile();
    script.run({ op: 'ftruncate', file: 'f', n: 300 });
    expect(pieces(script)).toBe('0:8 256:5 288:3 296:2');
    checkInvariants(script.kernel);
  });

  it('splits towards the first page when the hole begins with the folio', () => {
    const script = thpFile('shmem_mthp.64kB', 16);
    script.run({ op: 'punch', file: 'f', at: 0, n: 4 });
    expect(pieces(script)).toBe('4:0 5:0 6:1 8:3');
  });

  it('splits towards the page behind the hole even where a piece begins there by then', () => {
    const script = thpFile();
    script.run({ op: 'punch', file: 'f', at: 383, n: 1 });
    expect(pieces(script)).toBe(
      '0:8 256:6 320:5 352:4 368:3 376:2 380:1 382:0 384:0 385:0 386:1 388:2 392:3 400:4 416:5 448:6',
    );
  });

  it('halves two folios when the hole reaches from one into the next', () => {
    const script = thpFile('shmem_mthp.64kB', 32);
    script.run({ op: 'punch', file: 'f', at: 8, n: 12 });
    expect(pieces(script)).toBe('0:3 20:0 21:0 22:1 24:3');
  });

  it('drops pieces behind the end of the file', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'shmem_thp', value: 'always' });
    script.run({ op: 'file', id: 'f', n: 300, kind: 'memfd' });
    script.run({ op: 'filewrite', file: 'f', at: 277, n: 1, v: 103 });
    expect(pieces(script)).toBe('0:9');
    script.run({ op: 'punch', file: 'f', at: 128, n: 128 });
    expect(pieces(script)).toBe('0:7 256:0 257:0 258:1 260:2 264:3 272:4 288:5');
    checkInvariants(script.kernel);
  });

  it('splits nothing at a boundary between pieces, or for a hole around the folio', () => {
    const script = thpFile('shmem_mthp.64kB', 48);
    script.run({ op: 'punch', file: 'f', at: 16, n: 16 });
    expect(pieces(script)).toBe('0:4 32:4');
  });

  it('gives each piece its references and flags, and counts no anonymous folio', () => {
    const script = thpFile('shmem_mthp.64kB', 16);
    script.run({ op: 'punch', file: 'f', at: 8, n: 1 });
    script.read(512);
    const page = script.page(512);
    expect(page?.k === 'page' && page.folioState).toMatchObject({
      order: 3,
      refs: 16,
      mapcount: 8,
    });
    expect(page?.k === 'page' && page.folioState?.flags).toContain('dirty');
    expect([...script.kernel.mthp.nrAnon]).toEqual(new Array(10).fill(0));
  });

  it('counts the zap of the hole as a use, not the unmapping before the split', () => {
    const script = thpFile();
    const map = { op: 'mmap', p: 0, n: 1, prot: 'rw', flags: 'shared', file: 'f' } as const;
    script.run({ ...map, at: 2048, off: 128 });
    script.read(2048);
    const flags = (): readonly string[] => {
      const page = script.page(2048);
      return page?.k === 'page' ? (page.folioState?.flags ?? []) : [];
    };
    expect(flags()).not.toContain('active');
    // The PMD goes with the hole, the entry at 2048 with the split: one use and none.
    script.run({ op: 'punch', file: 'f', at: 254, n: 1 });
    expect(script.page(2048)).toBeUndefined();
    script.read(2048);
    expect(flags()).toContain('referenced');
    expect(flags()).not.toContain('active');
    checkInvariants(script.kernel);
  });

  it('splits a folio that the zap of the hole unlocked', () => {
    const script = thpFile('shmem_mthp.64kB', 16);
    script.run({ op: 'mlock', p: 0, at: 512, n: 16 });
    script.run({ op: 'punch', file: 'f', at: 8, n: 1 });
    expect(pieces(script)).toBe('0:3 9:0 10:1 12:2');
    expect(script.page(512)).toBeUndefined();
    checkInvariants(script.kernel);
  });

  it('zeroes the hole in a pinned folio and keeps it whole, without mappings', () => {
    const script = thpFile();
    script.run({ op: 'pin', p: 0, at: 600, n: 1, id: 1 });
    script.run({ op: 'punch', file: 'f', at: 100, n: 10 });
    expect(pieces(script)).toBe('0:9');
    expect(script.page(512)).toBeUndefined();
    expect(script.read(611, 2)).toEqual([1, 0]);
    checkInvariants(script.kernel);
  });
});
