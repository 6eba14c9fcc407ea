/** Tables of the native format: which events each holds, and its columns. */
import { EVENT } from '../event.js';
import type { EventKind } from '../event.js';

/**
 * How a column is stored:
 * - `row`: ascending numbers below 2^31 (INT32, delta encoded);
 * - `int32`: small signed numbers;
 * - `int64`: signed numbers that rise or fall slowly (delta encoded);
 * - `long`: signed 64-bit numbers;
 * - `word`: unsigned 64-bit words: addresses, pointers, flags;
 * - `bool`, `text`.
 */
export type ColumnType = 'row' | 'int32' | 'int64' | 'long' | 'word' | 'bool' | 'text';

/** Cells of an event that hold words. */
export type CellName = 'a' | 'b' | 'c' | 'd' | 'e' | 'f';

/**
 * Where a column of an event table comes from: number or time of the event, a cell, its text, its
 * kind by name (`kind`) or as "is it the second kind of the table?" (`isSecond`), or the texts
 * behind the text fields of an `other` event.
 */
export type ColumnSource =
  | 'seq'
  | 'timeNs'
  | 'cpu'
  | 'tid'
  | 'kind'
  | 'isSecond'
  | 'text'
  | 'fieldTexts'
  | CellName;

export interface Column<Source = string> {
  readonly name: string;
  readonly type: ColumnType;
  readonly source: Source;
}

export interface EventTable {
  readonly name: string;
  readonly kinds: readonly EventKind[];
  readonly columns: ReadonlyArray<Column<ColumnSource>>;
}

/** Where an event stands in a native recording, for messages. */
export function nativePosition(eventIndex: number): string {
  return `event ${eventIndex}`;
}

function column<Source>(name: string, type: ColumnType, source: Source): Column<Source> {
  return { name, type, source };
}

/** Columns that every event table starts with. */
const COMMON: ReadonlyArray<Column<ColumnSource>> = [
  column('seq', 'row', 'seq'),
  column('time_ns', 'long', 'timeNs'),
  column('cpu', 'int32', 'cpu'),
  column('tid', 'int32', 'tid'),
];

/** Every kind of event is in exactly one table. */
export const EVENT_TABLES: readonly EventTable[] = [
  {
    name: 'faults',
    kinds: [EVENT.faultUser, EVENT.faultKernel],
    columns: [
      ...COMMON,
      column('kernel', 'bool', 'isSecond'),
      column('address', 'word', 'a'),
      column('error_code', 'int32', 'b'),
      column('ip', 'word', 'c'),
    ],
  },
  {
    name: 'pages',
    kinds: [EVENT.pageAlloc, EVENT.pageFree],
    columns: [
      ...COMMON,
      column('freed', 'bool', 'isSecond'),
      column('pfn', 'long', 'a'),
      column('order', 'int32', 'b'),
      column('gfp_flags', 'word', 'c'),
    ],
  },
  {
    name: 'counters',
    kinds: [EVENT.rss],
    columns: [
      ...COMMON,
      column('mm_id', 'word', 'a'),
      column('current', 'int32', 'b'),
      column('member', 'int32', 'c'),
      column('pages', 'long', 'd'),
    ],
  },
  {
    name: 'locks',
    kinds: [EVENT.lock, EVENT.unlock, EVENT.exitMm],
    columns: [...COMMON, column('event', 'text', 'kind'), column('mm', 'word', 'a')],
  },
  {
    name: 'calls',
    kinds: [EVENT.callEnter],
    columns: [
      ...COMMON,
      column('name', 'text', 'text'),
      column('arg0', 'long', 'a'),
      column('arg1', 'long', 'b'),
      column('arg2', 'long', 'c'),
      column('arg3', 'long', 'd'),
      column('arg4', 'long', 'e'),
      column('arg5', 'long', 'f'),
    ],
  },
  {
    name: 'returns',
    kinds: [EVENT.callExit],
    columns: [...COMMON, column('name', 'text', 'text'), column('value', 'long', 'a')],
  },
  {
    name: 'tasks',
    kinds: [EVENT.newTask, EVENT.prepareExec, EVENT.exec, EVENT.exit, EVENT.rename],
    columns: [
      ...COMMON,
      column('event', 'text', 'kind'),
      column('text', 'text', 'text'),
      column('subject_tid', 'int32', 'a'),
      column('detail', 'long', 'b'),
    ],
  },
  {
    name: 'others',
    kinds: [EVENT.mark, EVENT.other, EVENT.lost, EVENT.mapped],
    columns: [
      ...COMMON,
      column('event', 'text', 'kind'),
      column('text', 'text', 'text'),
      column('a', 'long', 'a'),
      column('b', 'long', 'b'),
      column('c', 'long', 'c'),
      column('d', 'long', 'd'),
      column('e', 'long', 'e'),
      column('f', 'long', 'f'),
      column('field_texts', 'text', 'fieldTexts'),
    ],
  },
];

/** Tables of snapshots; `snapshot` is the number of the snapshot in the manifest. */
export const PROCESS_COLUMNS = [
  column('snapshot', 'int32', 'snapshot'),
  column('pid', 'int32', 'pid'),
  column('ppid', 'int32', 'ppid'),
  column('comm', 'text', 'comm'),
  column('tids', 'text', 'tids'),
  column('arg_start', 'word', 'argStart'),
  column('env_end', 'word', 'envEnd'),
  column('stack_start', 'word', 'stackStart'),
  column('brk_start', 'word', 'brkStart'),
  column('rss_anon_kib', 'long', 'rssAnonKib'),
  column('rss_file_kib', 'long', 'rssFileKib'),
  column('rss_shmem_kib', 'long', 'rssShmemKib'),
  column('swap_kib', 'long', 'swapKib'),
  column('minor_faults', 'long', 'minorFaults'),
  column('major_faults', 'long', 'majorFaults'),
] as const;

export const VMA_COLUMNS = [
  column('snapshot', 'int32', 'snapshot'),
  column('pid', 'int32', 'pid'),
  column('start_page', 'long', 'startPage'),
  column('end_page', 'long', 'endPage'),
  column('perms', 'text', 'perms'),
  column('offset_bytes', 'long', 'offsetBytes'),
  column('device', 'text', 'device'),
  column('inode', 'long', 'inode'),
  column('name', 'text', 'name'),
  column('rss_kib', 'long', 'rssKib'),
  column('pss_kib', 'long', 'pssKib'),
  column('anon_kib', 'long', 'anonKib'),
  column('anon_huge_kib', 'long', 'anonHugeKib'),
  column('ksm_kib', 'long', 'ksmKib'),
  column('flags', 'text', 'flags'),
] as const;

export const RUN_COLUMNS = [
  column('snapshot', 'int32', 'snapshot'),
  column('pid', 'int32', 'pid'),
  column('page', 'int64', 'page'),
  column('count', 'int32', 'count'),
  column('kind', 'text', 'kind'),
  column('pfn', 'long', 'pfn'),
  column('mapcount', 'int32', 'mapcount'),
  column('exclusive', 'bool', 'exclusive'),
] as const;
