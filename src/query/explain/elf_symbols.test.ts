import { describe, expect, it } from 'vitest';
import { ElfSymbols } from './elf_symbols.js';

/** A file with one executable and one writable segment and two functions. */
function elfFile(): Uint8Array {
  const bytes = new Uint8Array(0x3000);
  const view = new DataView(bytes.buffer);
  const word = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  view.setUint32(0, 0x464c457f, true);
  view.setUint8(4, 2);
  view.setUint8(5, 1);
  word(32, 64);
  word(40, 0x400);
  view.setUint16(54, 56, true);
  view.setUint16(56, 2, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, 2, true);
  const segment = (at: number, flags: number, numbers: readonly number[]): void => {
    view.setUint32(at, 1, true);
    view.setUint32(at + 4, flags, true);
    const [offset = 0, address = 0, sizeBytes = 0, memoryBytes = 0] = numbers;
    word(at + 8, offset);
    word(at + 16, address);
    word(at + 32, sizeBytes);
    word(at + 40, memoryBytes);
  };
  segment(64, 5, [0x1000, 0x401000, 0x800, 0x800]);
  segment(120, 6, [0x2e00, 0x403e00, 0x100, 0x3000]);
  // Section 0 is the symbol table, section 1 its strings.
  view.setUint32(0x404, 2, true);
  word(0x418, 0x600);
  word(0x420, 48);
  view.setUint32(0x428, 1, true);
  word(0x458, 0x700);
  const symbol = (at: number, name: number, address: number, sizeBytes: number): void => {
    view.setUint32(at, name, true);
    view.setUint8(at + 4, 0x12);
    word(at + 8, address);
    word(at + 16, sizeBytes);
  };
  symbol(0x600, 1, 0x401100, 0x20);
  symbol(0x618, 5, 0x401000, 0x10);
  bytes.set(new TextEncoder().encode('\0two\0one\0'), 0x700);
  return bytes;
}

describe('ElfSymbols', () => {
  it('names the function that covers an offset', () => {
    const symbols = ElfSymbols.parse(elfFile());
    expect(symbols?.at(0x1000)).toBe('one');
    expect(symbols?.at(0x1010)).toBeUndefined();
    expect(symbols?.at(0x111f)).toBe('two');
    expect(symbols?.at(0x1120)).toBeUndefined();
    expect(symbols?.at(0x500)).toBeUndefined();
  });

  it('tells whether a mapping is of this file', () => {
    const symbols = ElfSymbols.parse(elfFile());
    expect(symbols?.matches(0x1000, 0x1000)).toBe(true);
    expect(symbols?.matches(0x1000, 0x2000)).toBe(false);
    expect(symbols?.matches(0x2000, 0x1000)).toBe(false);
  });

  it('knows how long .bss is', () => {
    // 0x403e00 + 0x3000 ends in page 0x406, the data page is 0x403.
    expect(ElfSymbols.parse(elfFile())?.bssPages(0x2000, 1)).toBe(3);
    expect(ElfSymbols.parse(elfFile())?.bssPages(0x1000, 1)).toBe(0);
  });

  it('has nothing for other and for broken files', () => {
    expect(ElfSymbols.parse(new Uint8Array(10))).toBeUndefined();
    expect(ElfSymbols.parse(new TextEncoder().encode('#!/bin/sh\n'.repeat(20)))).toBeUndefined();
    const whole = elfFile();
    for (let length = 64; length < 0x720; length += 40) {
      expect(ElfSymbols.parse(whole.slice(0, length))).toBeUndefined();
    }
    const huge = elfFile();
    new DataView(huge.buffer).setBigUint64(0x420, 2n ** 60n, true);
    expect(ElfSymbols.parse(huge)).toBeUndefined();
  });
});
