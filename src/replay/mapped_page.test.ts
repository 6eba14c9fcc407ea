import { describe, expect, it } from 'vitest';
import { Machine } from '../kernel/machine.js';
import { AnonymousPages, anonymousPageAt, NO_PAGE } from './mapped_page.js';

/** A huge block, small pages over several tables, a file, the zero page, and holes of all sizes. */
function machineWithPages(): Machine {
  const machine = new Machine({ profile: { memoryPages: 65_536 } });
  const p = 1;
  const area = { op: 'mmap', p, prot: 'rw', flags: 'private|anon|fixed' } as const;
  machine.apply({ op: 'fork', p: 0, c: p });
  machine.apply({ op: 'config', key: 'thp', value: 'always' });
  machine.apply({ ...area, at: 0x1000, n: 1024 });
  machine.apply({ op: 'mem_write', p, at: 0x1000, n: 1, v: 1 });
  machine.apply({ op: 'config', key: 'thp', value: 'never' });
  machine.apply({ ...area, at: 0x2100, n: 1200 });
  for (let at = 0x2100; at < 0x2100 + 1200; at += 7) {
    machine.apply({ op: 'mem_write', p, at, n: 3, v: at });
    machine.apply({ op: 'read', p, at: at + 4, n: 1 });
  }
  machine.apply({ op: 'file', id: 'f', n: 64, kind: 'tmp' });
  machine.apply({ ...area, at: 0x3000, n: 64, flags: 'private|fixed', file: 'f', off: 0 });
  machine.apply({ op: 'read', p, at: 0x3000, n: 64 });
  machine.apply({ op: 'mem_write', p, at: 0x3010, n: 8, v: 2 });
  machine.apply({ ...area, at: 0x7ff000000, n: 16 });
  machine.apply({ op: 'mem_write', p, at: 0x7ff000000, n: 16, v: 3 });
  return machine;
}

describe('anonymous pages of one mm', () => {
  it('are those that are looked up one by one, upwards or not', () => {
    const { kernel } = machineWithPages();
    const mm = kernel.processes.get(1)?.mm;
    if (mm === undefined) throw new Error('no process');
    const upwards: number[] = [];
    for (let vpn = 0xe00; vpn < 0x3100; vpn += 1) upwards.push(vpn);
    for (let vpn = 0x7fefffff0; vpn < 0x7ff000020; vpn += 1) upwards.push(vpn);
    const expected = upwards.map((vpn) => anonymousPageAt(kernel, mm, vpn));
    expect(new Set(expected).size).toBeGreaterThan(1000);
    expect(expected.filter((page) => page === NO_PAGE).length).toBeGreaterThan(1000);
    const pages = new AnonymousPages(kernel, mm);
    const found = new Int32Array(upwards.length);
    pages.lookUp(Float64Array.from(upwards), upwards.length, found);
    expect([...found]).toEqual(expected);
    // Each from another table than the one before.
    const stride = 617;
    const order = upwards.map((_vpn, i) => (i * stride) % upwards.length);
    const scattered = Float64Array.from(order, (at) => upwards[at] ?? 0);
    pages.lookUp(scattered, order.length, found);
    expect([...found]).toEqual(order.map((at) => expected[at]));
    // No more than were asked for.
    found.fill(7);
    pages.lookUp(scattered, 1, found);
    expect([...found.subarray(0, 2)]).toEqual([expected[0], 7]);
  });
});
