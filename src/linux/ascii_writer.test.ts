import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AsciiWriter } from './ascii_writer.js';

function written(write: (writer: AsciiWriter) => void): string {
  const writer = new AsciiWriter();
  write(writer);
  return new TextDecoder().decode(writer.bytes());
}

test('formats numbers as the language does', () => {
  const edges = [0, 9, 10, 15, 16, 2 ** 32 - 1, 2 ** 32, 2 ** 35, 2 ** 53 - 1];
  for (const value of edges) expect(written((out) => out.hex(value))).toBe(value.toString(16));
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(0xffff_ffff), (large, small) => {
      expect(written((out) => out.hex(large))).toBe(large.toString(16));
      expect(written((out) => out.decimal(small))).toBe(String(small));
    }),
    { seed: 7 },
  );
});

test('grows and keeps what was written, in any script', () => {
  const text = 'ä€😀'.repeat(30_000);
  expect(written((out) => out.ascii('[').text(text).char(0x5d))).toBe(`[${text}]`);
});
