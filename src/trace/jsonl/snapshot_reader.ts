import * as v from 'valibot';
import { inputError } from '../input_error.js';
import { MOST_SNAPSHOT_LINE_BYTES, readLines } from '../input_file.js';
import { boundedText, checkShape, wholeNumber } from '../schema_error.js';
import type { RunKind, Snapshot, SnapshotInfo } from '../snapshot.js';
import { RUN } from '../snapshot.js';
import { SnapshotBuilder } from '../snapshot_builder.js';

const MOST_ID = 2 ** 31 - 1;

/** Addresses are numbers or texts of decimal digits. */
const ADDRESS = v.union([
  wholeNumber(),
  v.pipe(v.string(), v.regex(/^\d{1,16}$/), v.transform(Number), wholeNumber()),
]);
const HEX_ADDRESS = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{1,16}$/, 'expected hexadecimal digits'),
  v.transform((digits) => parseInt(digits, 16)),
);

const HEAD = v.object({
  k: v.literal('snap'),
  name: boundedText(256),
  time: v.optional(boundedText(64), ''),
  pids: wholeNumber(MOST_ID),
  anon: wholeNumber(),
  file: wholeNumber(),
  zero: wholeNumber(),
  swap: wholeNumber(),
});

const PROCESS = v.object({
  k: v.literal('proc'),
  pid: wholeNumber(MOST_ID),
  ppid: wholeNumber(MOST_ID),
  comm: boundedText(256),
  tids: v.array(wholeNumber(MOST_ID)),
  argStart: v.optional(ADDRESS, 0),
  envEnd: v.optional(ADDRESS, 0),
  start_stack: v.optional(ADDRESS, 0),
  brk0: v.optional(ADDRESS, 0),
  rssAnonKb: v.optional(wholeNumber(), 0),
  rssFileKb: v.optional(wholeNumber(), 0),
  rssShmemKb: v.optional(wholeNumber(), 0),
  vmSwapKb: v.optional(wholeNumber(), 0),
  minflt: v.optional(wholeNumber(), 0),
  majflt: v.optional(wholeNumber(), 0),
});

const VMA = v.object({
  k: v.literal('vma'),
  pid: wholeNumber(MOST_ID),
  s: HEX_ADDRESS,
  e: HEX_ADDRESS,
  p: boundedText(8),
  off: HEX_ADDRESS,
  dev: boundedText(32),
  ino: wholeNumber(),
  name: v.optional(boundedText(), ''),
  rss: wholeNumber(),
  pss: wholeNumber(),
  anon: wholeNumber(),
  ahp: v.optional(wholeNumber(), 0),
  ksm: v.optional(wholeNumber(), 0),
  vf: boundedText(256),
  runs: v.array(v.unknown()),
});

const RUN_KINDS: ReadonlyMap<unknown, RunKind> = new Map([
  ['A', RUN.anon],
  ['H', RUN.huge],
  ['K', RUN.ksm],
  ['Z', RUN.zero],
  ['F', RUN.file],
  ['?', RUN.special],
  ['swap', RUN.swap],
]);

/** Reads the totals of `snap-S.jsonl`: its first line only. */
export async function readSnapshotInfo(path: string): Promise<SnapshotInfo> {
  for await (const line of readLines(path, MOST_SNAPSHOT_LINE_BYTES)) return infoOf(line, path);
  throw inputError(`${path}: empty file, expected a snapshot`);
}

/** Reads `snap-S.jsonl`: a head line, processes, VMAs with their runs. */
export async function readSnapshot(path: string): Promise<Snapshot> {
  const builder = new SnapshotBuilder();
  let head: SnapshotInfo | undefined;
  let lineNumber = 0;
  for await (const line of readLines(path, MOST_SNAPSHOT_LINE_BYTES)) {
    lineNumber += 1;
    if (head === undefined) {
      head = infoOf(line, path);
      continue;
    }
    try {
      addLine(builder, JSON.parse(line));
    } catch (error) {
      throw inputError(`${path}:${lineNumber}: ${messageOf(error)}`, error);
    }
  }
  if (head === undefined) throw inputError(`${path}: empty file, expected a snapshot`);
  const snapshot = builder.finish(head.name, head.time);
  checkTotals(snapshot, head, path);
  return snapshot;
}

function infoOf(line: string, path: string): SnapshotInfo {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (error) {
    throw inputError(`${path}:1: ${messageOf(error)}`, error);
  }
  const head = checkShape(HEAD, parsed, `${path}:1`);
  return {
    name: head.name,
    time: head.time,
    processes: head.pids,
    anonPages: head.anon,
    filePages: head.file,
    zeroPages: head.zero,
    swapPages: head.swap,
  };
}

/**
 * The recorder counted the totals of the head line on its own, so a missing line shows. Huge zero
 * pages were not always listed: file and zero pages are not compared.
 */
function checkTotals(found: Snapshot, head: SnapshotInfo, path: string): void {
  const checks: ReadonlyArray<readonly [string, number, number]> = [
    ['processes', found.processes, head.processes],
    ['anonymous pages', found.anonPages, head.anonPages],
    ['swapped pages', found.swapPages, head.swapPages],
  ];
  for (const [what, lines, total] of checks) {
    if (lines === total) continue;
    throw inputError(`${path}: the head says ${total} ${what}, the lines below have ${lines}`);
  }
}

function addLine(builder: SnapshotBuilder, parsed: unknown): void {
  const kind =
    typeof parsed === 'object' && parsed !== null && 'k' in parsed ? parsed.k : undefined;
  if (kind === 'proc') {
    const proc = checkShape(PROCESS, parsed, 'proc');
    builder.addProcess({
      pid: proc.pid,
      ppid: proc.ppid,
      comm: proc.comm,
      tids: proc.tids,
      argStart: proc.argStart,
      envEnd: proc.envEnd,
      stackStart: proc.start_stack,
      brkStart: proc.brk0,
      rssAnonKib: proc.rssAnonKb,
      rssFileKib: proc.rssFileKb,
      rssShmemKib: proc.rssShmemKb,
      swapKib: proc.vmSwapKb,
      minorFaults: proc.minflt,
      majorFaults: proc.majflt,
    });
  } else if (kind === 'vma') {
    addVma(builder, checkShape(VMA, parsed, 'vma'));
  } else {
    throw inputError(`line of kind ${JSON.stringify(kind)}, expected "proc" or "vma"`);
  }
}

function addVma(builder: SnapshotBuilder, vma: v.InferOutput<typeof VMA>): void {
  builder.addVma({
    pid: vma.pid,
    startPage: vma.s / 4096,
    endPage: vma.e / 4096,
    perms: vma.p,
    offsetBytes: vma.off,
    device: vma.dev,
    inode: vma.ino,
    name: vma.name,
    rssKib: vma.rss,
    pssKib: vma.pss,
    anonKib: vma.anon,
    anonHugeKib: vma.ahp,
    ksmKib: vma.ksm,
    flags: vma.vf,
  });
  for (const run of vma.runs) {
    if (!Array.isArray(run)) throw inputError('a run is not an array');
    const [page, count, letter, pfn, mapcount, exclusive]: readonly unknown[] = run;
    const kind = RUN_KINDS.get(letter);
    if (kind === undefined) throw inputError(`run of unknown type ${JSON.stringify(letter)}`);
    const hasPfn = kind !== RUN.file && kind !== RUN.special && kind !== RUN.swap;
    builder.addRun(
      hexNumber(page, 'page'),
      Number(count),
      kind,
      hasPfn ? hexNumber(pfn, 'pfn') : -1,
      hasPfn ? smallNumber(mapcount, 'mapcount') : 0,
      hasPfn && smallNumber(exclusive, 'exclusive bit') === 1,
    );
  }
}

function hexNumber(value: unknown, what: string): number {
  const number = typeof value === 'string' && value.length <= 13 ? parseInt(value, 16) : NaN;
  if (Number.isNaN(number)) {
    throw inputError(`${what} ${JSON.stringify(value)}, expected hexadecimal digits`);
  }
  return number;
}

function smallNumber(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32) {
    return value;
  }
  throw inputError(`${what} ${JSON.stringify(value)}, expected a number`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
