import { formatCount } from '../../base/count_text.js';
import { PAGE_SIZE_BYTES } from '../../base/units.js';
import { briefSymbol } from './brief_symbol.js';
import type { Collector } from './collector.js';
import { FATE, type ForkLedger } from './fork_ledger.js';
import type { Advice, CauseReport, FanOutReport, Writer } from './report.js';
import { countWords, timeWords } from './words.js';

/** Below this a change is not worth a line. */
const LEAST_BYTES = 64 * PAGE_SIZE_BYTES;
const LEAST_PART = 0.01;
/** From this part of faults in address order on, writes are a sweep. */
const SWEEP_PART = 0.6;
const SWEEP_PAGES = 256;
/** Children that live shorter are no workers. */
const LONG_LIFE_NS = 1e9;

/** What would have kept memory shared, as far as the recording can tell; most bytes first. */
export function adviceFor(
  collector: Collector,
  causes: readonly CauseReport[],
  fanOut: readonly FanOutReport[],
  copiedBytes: number,
): Advice[] {
  const found = [
    execAdvice(collector),
    ...sweepAdvice(causes),
    warmUpAdvice(fanOut.filter((family) => !mostlyExec(collector, family))),
    reforkAdvice(collector, fanOut),
    ...snapshotAdvice(collector),
  ];
  const least = Math.max(LEAST_BYTES, LEAST_PART * copiedBytes);
  return found
    .filter((advice) => advice !== undefined)
    .filter((advice) => advice.keptBytes >= least)
    .sort((a, b) => b.keptBytes - a.keptBytes);
}

export function writerWords({ module, symbol, offset }: Writer): string {
  if (symbol !== undefined) return `${briefSymbol(symbol)} (${module})`;
  return offset < 0 ? module : `${module}+0x${offset.toString(16)}`;
}

/** Children that exec: what was copied for a memory that they threw away. */
function execAdvice({ forks }: Collector): Advice | undefined {
  const execs = forks.filter((fork) => (fork.counts[FATE.childExec] ?? 0) > 0);
  const pages = execs.reduce((sum, fork) => sum + fork.written, 0);
  const entries = execs.reduce((sum, fork) => sum + fork.copiedEntries, 0);
  if (execs.length === 0) return undefined;
  return {
    kind: 'exec',
    title: `start programs with posix_spawn or vfork: ${countWords(execs.length, 'child', 'children')} went on to exec`,
    detail:
      `Their forks copied ${countWords(entries, 'page-table entry', 'page-table entries')} for ` +
      `memory that the exec dropped; between fork and exec ${countWords(pages, 'page')} were copied.`,
    keptBytes: pages * PAGE_SIZE_BYTES,
    precision: 'inferred',
    assumption: 'the child does nothing between fork and exec that needs a copy of the parent',
  };
}

/** All copies of one writer that came in the order of addresses. */
interface Sweep {
  readonly writer: string;
  bytes: number;
  faults: number;
  pages: number;
  children: number;
}

/**
 * Writers that walk through memory and write to every page. One that hits the same pages in most
 * children works on all memory, as a collector does; one that hits each page in one child only
 * follows the data that this child reads, as reference counts do.
 */
function sweepAdvice(causes: readonly CauseReport[]): Array<Advice | undefined> {
  const byWriter = new Map<string, Sweep>();
  for (const cause of causes) {
    if (cause.sequential < SWEEP_PART || cause.parentBytes > cause.bytes / 2) continue;
    const writer = writerWords(cause.writer);
    const sweep = byWriter.get(writer) ?? { writer, bytes: 0, faults: 0, pages: 0, children: 0 };
    sweep.bytes += cause.bytes;
    sweep.faults += cause.faults;
    sweep.pages += cause.distinctPages;
    sweep.children = Math.max(sweep.children, cause.fanOutOf);
    byWriter.set(writer, sweep);
  }
  const sweeps = [...byWriter.values()]
    .filter(({ pages }) => pages >= SWEEP_PAGES)
    .sort((one, other) => other.bytes - one.bytes);
  const isCommon = ({ children, faults, pages }: Sweep): boolean =>
    children > 1 && faults / pages >= (children + 1) / 2;
  const common = sweeps.filter(isCommon);
  const own = sweeps.filter((sweep) => !isCommon(sweep));
  return [
    sweepLine(common, {
      kind: 'sweep',
      title: 'freeze what is inherited before the fork (gc.freeze), or collect less in children',
      detail:
        'wrote to the same inherited pages in most children, one after the other by address: how ' +
        'a garbage collection looks.',
      assumption: 'nothing else would have written to these pages later',
    }),
    sweepLine(own, {
      kind: 'walk',
      title: 'keep counters and marks apart from the data that children read',
      detail:
        'wrote to inherited pages one after the other by address, but hardly two children to the ' +
        'same page: a walk through the data of each child that writes as it goes, such as ' +
        'reference counts do. Freezing does not help here; flat arrays, immortal objects or ' +
        'memory outside of counted objects do.',
      assumption: 'nothing else would have written to these pages later',
    }),
  ];
}

function sweepLine(
  sweeps: readonly Sweep[],
  text: Pick<Advice, 'kind' | 'title' | 'detail' | 'assumption'>,
): Advice | undefined {
  const [top] = sweeps;
  if (top === undefined) return undefined;
  const others = sweeps.length > 1 ? ` and ${countWords(sweeps.length - 1, 'other writer')}` : '';
  return {
    ...text,
    detail: `${top.writer}${others} ${text.detail}`,
    keptBytes: sweeps.reduce((sum, sweep) => sum + sweep.bytes, 0),
    precision: 'inferred',
  };
}

/** Most children of a family went on to exec: what they copied is gone with it. */
function mostlyExec({ spaces }: Collector, { children }: FanOutReport): boolean {
  const execs = children.filter((child) => spaces[child]?.end === 'exec').length;
  return execs * 2 > children.length;
}

/** Pages that several children copied: written alike, so perhaps written once before the fork. */
function warmUpAdvice(fanOut: readonly FanOutReport[]): Advice | undefined {
  const { copies, pages } = repeated(fanOut);
  if (pages === 0) return undefined;
  return {
    kind: 'write-before-fork',
    title: 'make the writes that children repeat before the fork',
    detail:
      `${countWords(pages, 'page')} were copied by two or more children each, ` +
      `${countWords(copies, 'copy', 'copies')} in all. Lazy initialisation, caches and first ` +
      'collections done in the parent before it forks stay shared.',
    keptBytes: copies * PAGE_SIZE_BYTES,
    precision: 'inferred',
    assumption: 'the repeated writes are one-time work; counters that never rest break it again',
  };
}

/** Forking anew from a child that has settled: all but one of equal copies go. */
function reforkAdvice(collector: Collector, fanOut: readonly FanOutReport[]): Advice | undefined {
  const { copies, pages } = repeated(fanOut);
  const delays: number[] = [];
  for (const fork of collector.forks) {
    fork.forEachPage((_vpn, fate, endNs) => {
      if (fate === FATE.childWrote) delays.push(endNs - fork.timeNs);
    });
  }
  delays.sort((a, b) => a - b);
  const settled = delays[Math.floor(delays.length * 0.95)];
  if (settled === undefined || pages === 0) return undefined;
  const lives = collector.spaces.filter(
    (space) => space.birth !== undefined && space.end !== 'exec',
  );
  const isLong = (endNs: number, startNs: number): boolean =>
    endNs < 0 || endNs - startNs >= LONG_LIFE_NS;
  const long = lives.filter((space) => isLong(space.endNs, space.startNs));
  if (long.length < 2 || long.length < lives.length / 2) return undefined;
  return {
    kind: 'refork',
    title: `fork children anew from one that has run for ${timeWords(settled)}`,
    detail:
      `By then 95 % of what children copied was copied. ${countWords(pages, 'page')} have ` +
      `${countWords(copies, 'copy', 'copies')} that would be one page each again ` +
      '(fork_worker of Puma, refork of Pitchfork).',
    keptBytes: (copies - pages) * PAGE_SIZE_BYTES,
    precision: 'inferred',
    assumption: 'equal pages have equal contents, and children write little once they have settled',
  };
}

function repeated(fanOut: readonly FanOutReport[]): { copies: number; pages: number } {
  let copies = 0;
  let pages = 0;
  for (const { pagesByChildren } of fanOut) {
    for (const [children, count] of pagesByChildren.entries()) {
      if (children < 2) continue;
      copies += children * count;
      pages += count;
    }
  }
  return { copies, pages };
}

/**
 * A child that only reads while its parent goes on, and then exits: a snapshot. What the parent
 * copied depends on how long the child lives and on whether it lets go of what it has read.
 */
function snapshotAdvice(collector: Collector): Array<Advice | undefined> {
  const snapshots = collector.forks.filter((fork) => isSnapshot(collector, fork));
  if (snapshots.length === 0) return [];
  let lateCopies = 0;
  let passedCopies = 0;
  let copies = 0;
  let lifeNs = 0;
  for (const fork of snapshots) {
    const endNs = collector.spaces[fork.child]?.endNs ?? 0;
    const life = endNs - fork.timeNs;
    lifeNs = Math.max(lifeNs, life);
    let rank = 0;
    fork.forEachPage((_vpn, fate, atNs) => {
      rank += 1;
      if (fate !== FATE.parentWrote) return;
      const progress = (atNs - fork.timeNs) / life;
      copies += 1;
      if (progress > 0.5) lateCopies += 1;
      if (progress > rank / fork.born) passedCopies += 1;
    });
  }
  const what = `${countWords(snapshots.length, 'child', 'children')} read while the parent wrote`;
  return [
    {
      kind: 'shorter',
      title: 'let the child finish in half the time',
      detail:
        `${what}, for up to ${timeWords(lifeNs)}. ${countWords(lateCopies, 'page')} of ` +
        `${formatCount(copies)} were copied in the second half of its life: a faster ` +
        'disk, less to write or a quieter moment saves them.',
      keptBytes: lateCopies * PAGE_SIZE_BYTES,
      precision: 'inferred',
      assumption: 'the parent writes the same at the same times',
    },
    {
      kind: 'discard',
      title: 'let the child drop what it has read (MADV_DONTNEED)',
      detail:
        `${what}. Had it gone through memory by address at an even pace and dropped each page ` +
        `behind itself, ${countWords(passedCopies, 'page')} would have been the parent's alone ` +
        'when it wrote, and not been copied.',
      keptBytes: passedCopies * PAGE_SIZE_BYTES,
      precision: 'inferred',
      assumption: 'even progress by address, and no page is needed twice',
    },
  ];
}

function isSnapshot(collector: Collector, fork: ForkLedger): boolean {
  const child = collector.spaces[fork.child];
  const parentWrote = fork.counts[FATE.parentWrote] ?? 0;
  return (
    child !== undefined &&
    child.end === 'exit' &&
    parentWrote >= 64 &&
    parentWrote >= 4 * (fork.counts[FATE.childWrote] ?? 0) &&
    parentWrote >= 0.01 * fork.born
  );
}
