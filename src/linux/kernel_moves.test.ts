import { expect, test } from 'vitest';
import { movedSince, parseKernelMoves } from './kernel_moves.js';

const VMSTAT = 'nr_free_pages 5\npgmigrate_success 100\nthp_collapse_alloc 2\ncow_ksm 7\n';

test('counts the pages that the kernel can have moved', () => {
  const before = parseKernelMoves(VMSTAT);
  expect(movedSince(before, parseKernelMoves(VMSTAT))).toBe(0);
  const later = VMSTAT.replace('success 100', 'success 130').replace('alloc 2', 'alloc 3');
  expect(movedSince(before, parseKernelMoves(later))).toBe(30 + 512);
  expect(movedSince(new Map([['pages_shared', 9]]), new Map([['pages_shared', 4]]))).toBe(5);
});

test('a kernel without a counter counts nothing there', () => {
  expect([...parseKernelMoves('').values()]).toEqual([0, 0, 0]);
});
