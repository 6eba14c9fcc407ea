/** Bits of a word of /proc/kpageflags, in the words of the state format. */
const NAMES: ReadonlyArray<readonly [number, string]> = [
  [1, 'error'],
  [2, 'referenced'],
  [3, 'uptodate'],
  [4, 'dirty'],
  [5, 'lru'],
  [6, 'active'],
  [7, 'slab'],
  [8, 'writeback'],
  [9, 'reclaim'],
  [11, 'mmap'],
  [12, 'anon'],
  [13, 'swapcache'],
  [14, 'swapbacked'],
  [15, 'head'],
  [16, 'tail'],
  [17, 'huge'],
  [18, 'unevictable'],
  [19, 'hwpoison'],
  [21, 'ksm'],
  [22, 'thp'],
  [24, 'zero'],
  [25, 'idle'],
  [33, 'mlocked'],
  [34, 'mappedtodisk'],
  [35, 'private'],
  [36, 'private_2'],
  [37, 'owner_private'],
];

/** The state format shows the huge zero page without these. */
const HIDDEN_ON_ZERO: ReadonlySet<string> = new Set(['head', 'tail']);

/** Names of the set bits, by bit number, joined by commas. */
export function kpageflagNames(word: number): string {
  // The word has more than 32 bits.
  let names = NAMES.filter(([bit]) => Math.floor(word / 2 ** bit) % 2 === 1).map(
    ([, name]) => name,
  );
  if (names.includes('zero')) names = names.filter((name) => !HIDDEN_ON_ZERO.has(name));
  return names.join(',');
}
