import { PageRowsBuilder } from '#rmap/linux/page_rows.js';
import type { PageRows } from '#rmap/query/page_map.js';
import { SharingSetBuilder } from '#rmap/query/sharing_sets.js';
import type { Benchmark } from './harness.js';

const PROCESSES = 500;
const CHUNK_ENTRIES = 8192;
const PRESENT = 0x8000_0000;
const EXCLUSIVE = 0x0100_0000;

/** Page maps of a parent's children: all map its pages, but each has copied its own hundredth. */
function familyRows(mappings: number): PageRows[] {
  const pages = Math.floor(mappings / PROCESSES);
  return Array.from({ length: PROCESSES }, (_, process) => {
    const pfn = new Uint32Array(pages);
    const first = Math.floor((pages * (process % 100)) / 100);
    const copied = Math.floor(pages / 100);
    for (let page = 0; page < pages; page++) {
      const isCopied = page >= first && page < first + copied;
      // Frames are not in the order of addresses: runs of 16, scattered.
      const scattered = ((page >>> 4) * 40_503) % pages;
      const shared = scattered * 16 + (page & 15);
      pfn[page] = isCopied ? 16 * pages + process * copied + page - first : shared;
    }
    const flags = new Uint8Array(pages);
    const runVpn = Float64Array.of(0x1000);
    return { length: pages, pfn, flags, runVpn, runRow: Uint32Array.of(0), runCount: 1 };
  });
}

/** Pagemap words as the kernel gives them: every fourth page is a hole. */
function pagemapWords(): Uint32Array {
  const words = new Uint32Array(2 * CHUNK_ENTRIES);
  for (let entry = 0; entry < CHUNK_ENTRIES; entry++) {
    if ((entry & 3) === 3) continue;
    words[2 * entry] = 1_000_000 + entry;
    words[2 * entry + 1] = PRESENT | ((entry & 4) === 0 ? 0 : EXCLUSIVE);
  }
  return words;
}

export const pageMapBenchmarks: readonly Benchmark[] = [
  {
    name: 'page map decode',
    item: 'entry',
    sizes: [1 << 15, 1 << 18, 1 << 21],
    smokeSize: 1 << 14,
    variants: [
      {
        name: 'columns',
        setup(size) {
          const words = pagemapWords();
          return {
            run() {
              const builder = new PageRowsBuilder(size);
              for (let entry = 0; entry < size; entry += CHUNK_ENTRIES) {
                builder.add(words, Math.min(CHUNK_ENTRIES, size - entry), entry);
              }
              return builder.length;
            },
          };
        },
      },
    ],
    budget: { maxNsPerItem: 15, maxSlope: 1.2 },
  },
  {
    name: 'join of page maps, 500 processes',
    item: 'mapping',
    sizes: [PROCESSES * 512, PROCESSES * 4096, PROCESSES * 16_384],
    smokeSize: PROCESSES * 128,
    variants: [
      {
        name: 'trie of process sets',
        setup(size) {
          const rows = familyRows(size);
          let sets = 0;
          return {
            run() {
              const builder = new SharingSetBuilder(new Set());
              for (const [index, entry] of rows.entries()) builder.add(index, entry);
              const found = builder.finish(undefined);
              sets = found.length;
              return found.reduce((sum, set) => (sum + set.pages * set.members.length) | 0, 0);
            },
            counters: () => ({ sets }),
          };
        },
      },
    ],
    // With decoding, 100 GiB of mappings take 1.3 s; reading them takes the kernel 1.5 s.
    budget: { maxNsPerItem: 35, maxSlope: 1.15 },
  },
];
