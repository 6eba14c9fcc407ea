import { describe, expect, it } from 'vitest';
import { NIL } from '../../base/units.js';
import { MachineScript } from '../../../test/support/machine_script.js';

/** Order of the folio at a page; −1 if nothing is mapped. */
function orderAt(script: MachineScript, at: number): number {
  const page = script.page(at);
  return page?.k === 'page' ? (page.folioState?.order ?? -1) : -1;
}

function mthpScript(...sizes: string[]): MachineScript {
  const script = new MachineScript();
  for (const size of sizes) script.run({ op: 'config', key: `mthp.${size}`, value: 'always' });
  return script;
}

describe('order of a write fault (spec 98 §3)', () => {
  it('maps the whole aligned block, exclusive and writable', () => {
    const script = mthpScript('64kB');
    script.map(0, 64);
    expect(script.write(21, 1, 1).flt).toBe(1);
    expect(script.page(16)).toMatchObject({ level: 'pte', w: 1, d: 1, ae: 1, sub: 0 });
    const page = script.page(31);
    expect(page?.k === 'page' && page.folioState).toMatchObject({
      order: 4,
      refs: 16,
      mapcount: 16,
      nr_pages_mapped: 16,
      deferred: 0,
    });
    expect(orderAt(script, 32)).toBe(-1);
  });

  it('takes the largest enabled size that the VMA holds', () => {
    const script = mthpScript('64kB', '1024kB');
    script.map(0, 300);
    script.write(0, 1, 1);
    script.write(260, 1, 1);
    script.write(290, 1, 1);
    expect([orderAt(script, 0), orderAt(script, 260), orderAt(script, 290)]).toEqual([8, 4, 0]);
  });

  it('is the one that was given, if any', () => {
    const script = mthpScript('64kB');
    script.map(0, 2048);
    const orders = [9, 5, 0].map((order, i) => {
      script.kernel.givenOrder = order;
      script.write(512 * i, 1, 1);
      return orderAt(script, 512 * i);
    });
    expect(orders).toEqual([9, 5, 0]);
    script.kernel.givenOrder = NIL;
    script.write(1536, 1, 1);
    expect(orderAt(script, 1536)).toBe(4);
  });

  it('falls to smaller sizes where an entry is not empty', () => {
    const script = mthpScript('16kB', '64kB');
    script.map(0, 16);
    script.read(5);
    script.write(0, 1, 1);
    script.write(6, 1, 1);
    expect([orderAt(script, 0), orderAt(script, 6)]).toEqual([2, 0]);
  });

  it('never allocates a folio for a read', () => {
    const script = mthpScript('64kB');
    script.map(0, 16);
    script.read(3);
    expect(script.kind(3)).toBe('zero');
    expect(script.page(4)).toBeUndefined();
  });

  it.each([
    ['never', 'always', 0],
    ['madvise', 'always', 0],
    ['inherit', 'never', 0],
    ['inherit', 'madvise', 0],
    ['inherit', 'always', 4],
    ['always', 'never', 4],
  ])('size %s with thp %s gives order %i', (mode, global, order) => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'mthp.64kB', value: mode });
    script.run({ op: 'config', key: 'mthp.2048kB', value: 'never' });
    script.run({ op: 'config', key: 'thp', value: global });
    script.map(0, 16);
    script.write(0, 1, 1);
    expect(orderAt(script, 0)).toBe(order);
  });

  it.each([
    ['hugepage', 'madvise', 4],
    ['hugepage', 'never', 0],
    ['nohugepage', 'always', 0],
  ] as const)('advice %s with size %s gives order %i', (advice, mode, order) => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'mthp.64kB', value: mode });
    script.map(0, 16);
    script.run({ op: 'madvise', p: 0, at: 0, n: 16, advice });
    script.write(0, 1, 1);
    expect(orderAt(script, 0)).toBe(order);
  });

  it('uses no large folios without CONFIG_TRANSPARENT_HUGEPAGE', () => {
    const script = new MachineScript({ transparentHugepage: false });
    script.run({ op: 'config', key: 'mthp.64kB', value: 'always' });
    script.map(0, 16);
    script.write(0, 1, 1);
    expect(orderAt(script, 0)).toBe(0);
  });
});
