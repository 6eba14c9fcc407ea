import { expect, test } from 'vitest';
import { RING_PAGE_BYTES, blankTail } from './ring_pages.js';

function page(commit: number): Uint8Array {
  const bytes = new Uint8Array(RING_PAGE_BYTES).fill(0xaa);
  new DataView(bytes.buffer).setUint32(8, commit, true);
  return bytes;
}

test('blanks what the kernel left behind the data', () => {
  const bytes = page(100);
  expect(blankTail(bytes)).toBe(100);
  expect(bytes[115]).toBe(0xaa);
  expect(bytes.subarray(116).every((byte) => byte === 0)).toBe(true);
});

test('keeps the number of lost events behind the data', () => {
  const bytes = page(0xc000_0000 + 100);
  expect(blankTail(bytes)).toBe(100);
  expect(bytes[123]).toBe(0xaa);
  expect(bytes.subarray(124).every((byte) => byte === 0)).toBe(true);
});

test('leaves a full page alone, and bears a length that is no length', () => {
  expect(blankTail(page(4080))).toBe(4080);
  expect(page(4080).at(-1)).toBe(0xaa);
  expect(blankTail(page(0xf_ffff))).toBe(4080);
});
