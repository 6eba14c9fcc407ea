/**
 * Writes docs/kernel_map.md: every name of the inventory, where it lives here, and what tests it.
 *
 *   node dist/tools/kernel_map.js                      writes the map
 *   node dist/tools/kernel_map.js --check              fails when the committed map is stale
 *   node dist/tools/kernel_map.js --require-complete   fails when a name has no code or no test
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { repositoryFiles } from './files.js';
import { buildKernelMap, formatKernelMap, openRows, parseInventory } from './kernel_map_format.js';

const INVENTORY = 'docs/kernel_inventory.tsv';
const MAP = 'docs/kernel_map.md';

function main(flags: readonly string[]): number {
  const files = repositoryFiles()
    .filter((path) => /^(?:src|test)\/.*\.ts$/.test(path))
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
  const inventory = parseInventory(readFileSync(INVENTORY, 'utf8'));
  const map = buildKernelMap(inventory, files);
  const text = formatKernelMap(map);
  process.stdout.write(`kernel map: ${map.summary}\n`);
  if (!flags.includes('--check')) {
    writeFileSync(MAP, text);
  } else if (!existsSync(MAP) || readFileSync(MAP, 'utf8') !== text) {
    process.stdout.write(`${MAP} is stale: run npm run kernel-map\n`);
    return 1;
  }
  if (!flags.includes('--require-complete')) return 0;
  const open = openRows(map);
  for (const line of open) process.stdout.write(`${line}\n`);
  return open.length === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
