/** Goal: counts read as people write them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatCount } from './count_text.js';

test('thousands are separated, with the sign in front', () => {
  expect(formatCount(0)).toBe('0');
  expect(formatCount(999)).toBe('999');
  expect(formatCount(-1234)).toBe('-1,234');
  expect(formatCount(1_234_567.4)).toBe('1,234,567');
});

test('every whole number reads as the locale en-US writes it', () => {
  fc.assert(
    fc.property(fc.integer(), (value) => {
      expect(formatCount(value)).toBe(value.toLocaleString('en-US'));
    }),
    { seed: 3 },
  );
});
