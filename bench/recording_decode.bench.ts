import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NativeEventReader } from '#rmap/trace/native/event_reader.js';
import { parseManifest } from '#rmap/trace/native/manifest.js';
import { StringTable, WordTable } from '#rmap/trace/tables.js';
import type { Benchmark } from './harness.js';

const RECORDING = fileURLToPath(new URL('../../examples/python-prefork', import.meta.url));
const BATCH_LENGTH = 65_536;

/** Decodes all events `rounds` times; the hash covers times and addresses. */
function decode(rounds: number): number {
  const manifest = parseManifest(readFileSync(join(RECORDING, 'manifest.json'), 'utf8'), RECORDING);
  let hash = 0;
  for (let round = 0; round < rounds; round += 1) {
    const tables = { strings: new StringTable(), words: new WordTable(), fields: new Map() };
    const reader = new NativeEventReader(RECORDING, manifest, tables);
    for (const { length, timeNs, a } of reader.batches(BATCH_LENGTH)) {
      const last = length - 1;
      hash = (hash * 31 + (timeNs[last] ?? 0) + (a[last] ?? 0)) % 2 ** 31;
    }
    reader.close();
  }
  return hash;
}

const EVENTS = 336_178;

export const recordingDecodeBenchmarks: readonly Benchmark[] = [
  {
    name: 'recording decode',
    item: 'event',
    sizes: [EVENTS, 3 * EVENTS],
    smokeSize: EVENTS,
    variants: [{ name: 'native format', setup: (size) => ({ run: () => decode(size / EVENTS) }) }],
    budget: { maxNsPerItem: 333, maxSlope: 1.1 },
  },
];
