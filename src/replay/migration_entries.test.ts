import { describe, expect, it } from 'vitest';
import { MigrationEntries } from './migration_entries.js';

// Entries as Linux 6.18 on x86-64 wrote them (recording "stress").
describe('migration entries', () => {
  it('give the old and the new frame', () => {
    const entries = new MigrationEntries();
    entries.set(0x399a0ab88000, 0xf7ffe7ffdf994800n);
    const moved = entries.remove(0x399a0ab88000, 0x80000001d441c067n);
    expect(moved).toEqual({ from: 0x10335b, to: 1917980 });
  });

  it('are paired in order where processes use the same address', () => {
    const entries = new MigrationEntries();
    entries.set(0x134a000, 0xe7fff7ffdf995400n);
    entries.set(0x134a000, 0xe7ffe7ffdf995000n);
    expect(entries.remove(0x134a000, 0x1d4418025n)?.from).toBe(0x103355);
    expect(entries.remove(0x134a000, 0x1d4419025n)?.from).toBe(0x103357);
    expect(entries.remove(0x134a000, 0x1d4419025n)).toBeUndefined();
  });
});
