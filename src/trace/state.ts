/** State format `*.state.json`: what the kernel's own structures held at each dump. */
import * as v from 'valibot';
import type { OperationResult } from '../kernel/operation.js';
import type { MachineState } from '../kernel/state/state_types.js';
import { inputError } from './input_error.js';
import { boundedText, checkShape, wholeNumber } from './schema_error.js';

export type {
  AnonVmaState,
  FolioState,
  GuardRun,
  MachineState,
  MappedRun,
  ProcessState,
  StateRun,
  SwapRun,
  VmaState,
} from '../kernel/state/state_types.js';

/** Answer of operation `i`. */
export interface StateResult extends OperationResult {
  readonly i: number;
}

export interface StateFile {
  readonly results: readonly StateResult[];
  readonly states: readonly MachineState[];
}

const COUNT = wholeNumber();
const BIT = wholeNumber(1);
const ID = boundedText(32);
const NULLABLE_ID = v.nullable(ID);

const RUN = v.variant('k', [
  v.object({
    k: v.literal('page'),
    at: COUNT,
    n: COUNT,
    folio: ID,
    sub: v.optional(COUNT),
    level: v.picklist(['pte', 'pmd']),
    w: BIT,
    d: BIT,
    y: BIT,
    x: BIT,
    none: v.optional(BIT),
    file: v.optional(BIT),
    uffd_wp: v.optional(BIT),
    ae: v.optional(BIT),
    kc: v.optional(COUNT),
    pmc: v.optional(COUNT),
    kf: v.optional(boundedText(1024)),
  }),
  v.object({
    k: v.literal('swap'),
    at: COUNT,
    n: COUNT,
    slot: COUNT,
    se: BIT,
    type: COUNT,
    level: boundedText(8),
  }),
  v.object({ k: v.literal('guard'), at: COUNT, n: COUNT }),
]);

const VMA = v.object({
  at: COUNT,
  n: COUNT,
  // Memory that was moved below its first place has a negative offset from the region's start.
  pgoff: v.pipe(v.number(), v.integer()),
  flags: boundedText(256),
  file: v.optional(boundedText(256)),
  av: NULLABLE_ID,
  avc: v.array(ID),
  smaps: v.record(v.string(), COUNT),
  pages: v.array(RUN),
});

const ANON_VMA = v.object({
  root: ID,
  parent: ID,
  children: COUNT,
  active: COUNT,
  refs: COUNT,
  walk: v.nullable(v.array(v.tuple([COUNT, COUNT]))),
});

const FOLIO = v.object({
  order: wholeNumber(18),
  kind: v.picklist(['anon', 'ksm', 'file', 'zero']),
  av: v.optional(NULLABLE_ID),
  file: v.optional(boundedText(256)),
  index: v.optional(v.pipe(v.number(), v.integer())),
  refs: v.optional(COUNT),
  mapcount: v.optional(COUNT),
  flags: v.optional(v.array(ID)),
  entire: v.optional(COUNT),
  nr_pages_mapped: v.optional(COUNT),
  pincount: v.optional(COUNT),
  mm: v.optional(v.array(v.nullable(v.object({ p: v.nullable(COUNT), mapcount: COUNT })))),
  maybe_shared: v.optional(BIT),
  flags2: v.optional(v.array(ID)),
  deferred: v.optional(BIT),
  hugetlb: v.optional(BIT),
  ksm: v.optional(v.array(v.object({ p: v.nullable(COUNT), at: COUNT, av: NULLABLE_ID }))),
  ksm_len: v.optional(COUNT),
});

const STATE = v.object({
  label: boundedText(256),
  op: COUNT,
  procs: v.record(v.string(), v.object({ vmas: v.array(VMA) })),
  anon_vmas: v.record(v.string(), ANON_VMA),
  folios: v.record(v.string(), FOLIO),
});

const RESULT = v.object({
  i: COUNT,
  ret: v.pipe(v.number(), v.integer()),
  err: v.optional(boundedText(32)),
  flt: v.optional(COUNT),
  maj: v.optional(COUNT),
  vals: v.optional(
    v.array(v.tuple([v.union([v.number(), v.picklist(['SEGV', 'BUS', 'UFFD']), v.null()]), COUNT])),
  ),
});

const STATE_FILE = v.object({ results: v.array(RESULT), states: v.array(STATE) });

/** Parses a state file; `name` is the file for messages. */
export function parseStateFile(text: string, name: string): StateFile {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw inputError(`${name}: malformed JSON`, error);
  }
  return withoutUndefined(checkShape(STATE_FILE, parsed, name));
}

/** The state file as text: one line per result and per state, so that differences show. */
export function formatStateFile(file: StateFile): string {
  const results = file.results.map((result) => JSON.stringify(result)).join(',\n');
  const states = file.states.map((state) => JSON.stringify(state)).join(',\n');
  return `{"results":[\n${results}\n],"states":[\n${states}\n]}\n`;
}

/**
 * The schema library types absent fields as `T | undefined`; it never makes such a key, so the
 * stricter types of this file hold.
 */
function withoutUndefined(file: v.InferOutput<typeof STATE_FILE>): StateFile {
  return file as StateFile;
}
