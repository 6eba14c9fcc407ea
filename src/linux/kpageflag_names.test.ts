import { expect, it } from 'vitest';
import { kpageflagNames } from './kpageflag_names.js';

it('names bits by number, also those beyond 32', () => {
  const word = 2 ** 3 + 2 ** 5 + 2 ** 11 + 2 ** 12 + 2 ** 14 + 2 ** 33 + 2 ** 34;
  expect(kpageflagNames(word)).toBe('uptodate,lru,mmap,anon,swapbacked,mlocked,mappedtodisk');
});

it('shows zero pages alike, whatever they are part of', () => {
  expect(kpageflagNames(2 ** 24)).toBe('zero');
  expect(kpageflagNames(2 ** 24 + 2 ** 22 + 2 ** 15)).toBe('thp,zero');
  expect(kpageflagNames(2 ** 24 + 2 ** 22 + 2 ** 16 + 2 ** 32)).toBe('thp,zero');
});
