/** What an imported text tells, judged from the events that it had. */
import { EVENT } from '../event.js';
import type { EventKind } from '../event.js';
import type { Precision } from '../recording.js';
import type { ImportSink } from './import_sink.js';

export interface Coverage {
  readonly precision: Precision;
  /** One sentence for each thing that the text could not tell. */
  readonly unknowns: readonly string[];
}

/** System calls without which an address space cannot be followed. */
const LAYOUT_CALLS = ['mmap', 'munmap', 'mprotect', 'brk'] as const;

/** Judges a text after its last line; `told` are the importer's own sentences. */
export function judgeCoverage(sink: ImportSink, told: readonly string[]): Coverage {
  const has = (...kinds: EventKind[]) => kinds.some((kind) => (sink.counts[kind] ?? 0) > 0);
  const unknowns: string[] = [];
  let precision: Precision = 'exact';
  if (!has(EVENT.faultUser)) {
    precision = 'layout';
    unknowns.push('No page fault is in the text: which pages exist and are shared is not known.');
  } else {
    if (sink.faultsWithoutCode > 0) {
      precision = 'estimated';
      unknowns.push('The faults do not tell reads from writes.');
    }
    if (!has(EVENT.faultKernel)) {
      precision = 'estimated';
      unknowns.push('Faults of the kernel on behalf of the program (copy_to_user) are missing.');
    }
  }
  const missing = LAYOUT_CALLS.filter((name) => !sink.calls.has(name));
  if (missing.length === LAYOUT_CALLS.length) {
    if (precision === 'exact') precision = 'estimated';
    unknowns.push('System calls are missing: what was unmapped or protected is not known.');
  }
  if (!has(EVENT.rss)) {
    unknowns.push('Memory counters are missing: pages that came without a fault do not show.');
  }
  if (!has(EVENT.pageAlloc)) {
    unknowns.push('Page frames are not known: merged, swapped and pinned pages do not show.');
  }
  if (!has(EVENT.lock)) {
    unknowns.push('Whether one thread forked before or after another mapped memory is not known.');
  }
  if (sink.mostBackwardNs > 0) {
    const micros = Math.ceil(sink.mostBackwardNs / 1000);
    unknowns.push(`Times go back by up to ${micros} µs between lines; the order of lines counts.`);
  }
  if (sink.skippedLines > 0) unknowns.push(`${sink.skippedLines} lines were not understood.`);
  return { precision, unknowns: [...told, ...unknowns] };
}
