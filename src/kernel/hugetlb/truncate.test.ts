import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { PMD_ORDER } from '../../base/units.js';
import { checkInvariants } from '../invariants/index.js';

/** A file of two huge pages, mapped shared at 512 and private at 2048. */
function fileScript(): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key: 'hugetlb', value: 6 });
  script.run({ op: 'file', id: 'h', n: 1024, kind: 'memfd_hugetlb' });
  const map = { op: 'mmap', p: 0, n: 1024, prot: 'rw', file: 'h', off: 0 } as const;
  script.run({ ...map, at: 512, flags: 'shared' });
  script.run({ ...map, at: 2048, flags: 'private' });
  script.write(512, 1024, 1);
  script.write(2048, 1024, 2);
  return script;
}

describe('truncation of a hugetlb file (spec 98 §10)', () => {
  it('removes pages, mappings and private copies behind the end', () => {
    const script = fileScript();
    const pool = script.kernel.hugetlb.of(PMD_ORDER);
    script.run({ op: 'ftruncate', file: 'h', n: 512 });
    expect([script.page(1024), script.page(2560)]).toEqual([undefined, undefined]);
    expect(script.read(1024)).toEqual(['BUS']);
    expect([script.read(512), script.read(2048)]).toEqual([[1], [2]]);
    expect(pool.free.length).toBe(4);
    checkInvariants(script.kernel);
  });

  it('frees everything with the last user of the file', () => {
    const script = fileScript();
    script.run({ op: 'ftruncate', file: 'h', n: 0 });
    script.run({ op: 'munmap', p: 0, at: 512, n: 2560 });
    const pool = script.kernel.hugetlb.of(PMD_ORDER);
    expect([pool.free.length, pool.reserved]).toEqual([6, 0]);
    checkInvariants(script.kernel);
  });
});

describe('a hole in a hugetlb file', () => {
  it('removes the huge pages inside it; the next fault gets a new one', () => {
    const script = fileScript();
    script.run({ op: 'punch', file: 'h', at: 0, n: 512 });
    expect(script.page(512)).toBeUndefined();
    expect(script.read(512)).toEqual([0]);
    expect(script.read(1024)).toEqual([1]);
    checkInvariants(script.kernel);
  });

  it('zeroes the parts of huge pages that it cuts', () => {
    const script = fileScript();
    script.run({ op: 'punch', file: 'h', at: 500, n: 20 });
    expect(script.read(512 + 499, 2)).toEqual([1, 0]);
    expect(script.read(512 + 519, 2)).toEqual([0, 1]);
  });
});
