import * as v from 'valibot';
import { inputError } from '../input_error.js';
import { MOST_SNAPSHOT_LINE_BYTES, readLineBlocks, readLines } from '../input_file.js';
import { boundedText, checkShape, wholeNumber } from '../schema_error.js';
import type { Snapshot, SnapshotInfo } from '../snapshot.js';
import { SnapshotBuilder } from '../snapshot_builder.js';
import { RunParser } from './run_parser.js';

const NEWLINE = 10;
const MOST_ID = 2 ** 31 - 1;
const RUNS_KEY = '"runs":[';

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
});

/** Reads the totals of `snap-S.jsonl`: its first line only. */
export async function readSnapshotInfo(path: string): Promise<SnapshotInfo> {
  for await (const line of readLines(path, MOST_SNAPSHOT_LINE_BYTES)) return infoOf(line, path);
  throw inputError(`${path}: empty file, expected a snapshot`);
}

/** Reads `snap-S.jsonl`: a head line, processes, VMAs with their runs. */
export async function readSnapshot(path: string): Promise<Snapshot> {
  const builder = new SnapshotBuilder();
  const parser = new RunParser();
  let head: SnapshotInfo | undefined;
  let lineNumber = 0;
  for await (const block of readLineBlocks(path, MOST_SNAPSHOT_LINE_BYTES)) {
    for (let start = 0, end = 0; start < block.length; start = end + 1) {
      end = block.indexOf(NEWLINE, start);
      lineNumber += 1;
      if (head === undefined) {
        head = infoOf(block.toString('utf8', start, end), path);
        continue;
      }
      try {
        addLine(builder, parser, block, start, end);
      } catch (error) {
        throw inputError(`${path}:${lineNumber}: ${messageOf(error)}`, error);
      }
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

/**
 * Adds one line. The runs of a VMA, its last key, may be millions: they are parsed from the bytes,
 * the rest as JSON.
 */
function addLine(
  builder: SnapshotBuilder,
  parser: RunParser,
  block: Buffer,
  start: number,
  end: number,
): void {
  const found = block.indexOf(RUNS_KEY, start);
  const runsAt = found === -1 || found > end ? -1 : found;
  const text =
    runsAt === -1 ? block.toString('utf8', start, end) : textBefore(block, start, runsAt);
  const parsed: unknown = JSON.parse(text);
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
    if (runsAt === -1) throw inputError('a VMA without runs');
    addVma(builder, checkShape(VMA, parsed, 'vma'));
    parser.parse(builder, block, runsAt + RUNS_KEY.length);
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
}

/** The keys before the runs as a whole object. */
function textBefore(block: Buffer, start: number, runsAt: number): string {
  return `${block.toString('utf8', start, runsAt).replace(/,$/, '')}}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
