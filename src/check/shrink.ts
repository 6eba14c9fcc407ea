import type { Operation } from '../kernel/operation.js';

export interface ShrinkOptions {
  /** Most candidates that are tried. */
  readonly mostTests?: number;
}

export interface Shrunk {
  readonly operations: readonly Operation[];
  /** Candidates that were tried. */
  readonly tests: number;
}

type Candidate = readonly Operation[];
/** Yields candidates; is told of each whether it still shows what is looked for. */
export type ShrinkSteps = Generator<Candidate, Shrunk, boolean>;

const MOST_TESTS = 2000;

/** The smallest scenario found and how many candidates are left. */
class Search {
  best: Candidate;
  tests = 0;
  private readonly most: number;

  constructor(operations: Candidate, most: number) {
    this.best = operations;
    this.most = most;
  }

  *test(candidate: Candidate): Generator<Candidate, boolean, boolean> {
    if (this.tests >= this.most) return false;
    this.tests += 1;
    const shows = yield candidate;
    if (shows) this.best = candidate;
    return shows;
  }
}

/**
 * Makes a scenario smaller while it still shows what the caller looks for: drops groups of
 * operations (delta debugging), then makes ranges and flags smaller, until nothing helps or the
 * tests are used up. A generator, so that the test may be anything: also a run on a live kernel.
 */
export function* shrinkSteps(operations: Candidate, options: ShrinkOptions = {}): ShrinkSteps {
  const search = new Search(operations, options.mostTests ?? MOST_TESTS);
  for (let before = ''; before !== JSON.stringify(search.best);) {
    before = JSON.stringify(search.best);
    yield* dropGroups(search);
    yield* simplifyEach(search);
  }
  return { operations: search.best, tests: search.tests };
}

/** The same with a test that answers at once. The given scenario must show it; the result does. */
export function shrinkScenario(
  operations: Candidate,
  shows: (operations: Candidate) => boolean,
  options: ShrinkOptions = {},
): Shrunk {
  const steps = shrinkSteps(operations, options);
  let step = steps.next();
  while (step.done !== true) step = steps.next(shows(step.value));
  return step.value;
}

/** Drops ever smaller groups of neighbours. */
function* dropGroups(search: Search): Generator<Candidate, void, boolean> {
  for (let size = search.best.length >> 1; size >= 1; size >>= 1) {
    // From the end: what comes late depends on what comes early, not the other way round.
    for (let end = search.best.length; end > 0;) {
      const from = Math.max(0, end - size);
      yield* search.test([...search.best.slice(0, from), ...search.best.slice(end)]);
      end = Math.min(from, search.best.length);
    }
  }
}

/** Tries simpler forms of each operation, one at a time. */
function* simplifyEach(search: Search): Generator<Candidate, void, boolean> {
  for (let i = search.best.length - 1; i >= 0; i -= 1) {
    while (yield* simplifyOne(search, i));
  }
}

function* simplifyOne(search: Search, i: number): Generator<Candidate, boolean, boolean> {
  const operation = search.best[i];
  if (operation === undefined) return false;
  for (const simpler of simplerForms(operation)) {
    const candidate = search.best.map((other, k) => (k === i ? simpler : other));
    if (yield* search.test(candidate)) return true;
  }
  return false;
}

/** Smaller forms of one operation, the boldest first; each is simpler by some measure. */
function* simplerForms(operation: Operation): Generator<Operation> {
  if (isRanged(operation) && operation.n > 1) yield* shorterRanges(operation);
  if ('flags' in operation && operation.op === 'mmap') {
    for (const word of ['populate', 'locked', 'noreserve', 'stack', 'growsdown']) {
      const words = operation.flags.split('|');
      if (words.includes(word)) {
        yield { ...operation, flags: words.filter((one) => one !== word).join('|') };
      }
    }
    if (operation.prot !== 'rw') yield { ...operation, prot: 'rw' };
  }
  if (operation.op === 'ksm' && operation.scans > 1) {
    yield { ...operation, scans: operation.scans - 1 };
  }
}

function isRanged(operation: Operation): operation is Operation & Ranged {
  return 'n' in operation && 'at' in operation && operation.at !== undefined;
}

/** An operation on a range of pages. */
interface Ranged {
  readonly at: number;
  readonly n: number;
  readonly new?: number;
  readonly to?: number;
}

function* shorterRanges<T extends Ranged>(operation: T): Generator<T> {
  const { n, at, to } = operation;
  const half = n >> 1;
  const part = (from: number, length: number): T => ({
    ...operation,
    at: at + from,
    n: length,
    ...(operation.new === n ? { new: length } : {}),
    ...(to === undefined ? {} : { to: to + from }),
  });
  yield part(0, 1);
  yield part(0, half);
  yield part(half, n - half);
  yield part(0, n - 1);
  yield part(1, n - 1);
}
