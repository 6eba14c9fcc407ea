/**
 * Builds a large machine and tells what it takes: one line of JSON. A process of its own, so that
 * nothing else is counted.
 *
 *   node memory_child.js PAGES PROCESSES PAGES_EACH
 */
import { Machine } from '#rmap/kernel/machine.js';

const [pages = 0, processes = 0, pagesEach = 0] = process.argv.slice(2).map(Number);

/** Heap and buffers in use. */
function bytesInUse(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const before = bytesInUse();
const machine = new Machine({ profile: { memoryPages: pages } });
const machineBytes = bytesInUse() - before;
machine.apply({ op: 'fork', p: 0, c: 1 });
machine.apply({ op: 'mmap', p: 1, at: 0, n: pagesEach, prot: 'rw', flags: 'private|anon|fixed' });
machine.apply({ op: 'write', p: 1, at: 0, n: pagesEach, v: 1 });
const startedNs = process.hrtime.bigint();
for (let c = 2; c <= processes; c += 1) machine.apply({ op: 'fork', p: 1, c });
const elapsedNs = Number(process.hrtime.bigint() - startedNs);
const allBytes = bytesInUse() - before;
const { rss } = process.memoryUsage();
process.stdout.write(JSON.stringify({ machineBytes, allBytes, rssBytes: rss, elapsedNs }));
