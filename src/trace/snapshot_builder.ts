import { grown } from '../base/grown.js';
import { inputError } from './input_error.js';
import type {
  RunKind,
  Snapshot,
  SnapshotArea,
  SnapshotInfo,
  SnapshotProcess,
  SnapshotVma,
} from './snapshot.js';
import { RUN_NAMES } from './snapshot.js';

const MOST_PAGE = 2 ** 52;
/** Of signed 32-bit columns. */
const MOST_COUNT = 2 ** 31 - 1;
const FIRST_CAPACITY = 1024;

/** Growing columns of page runs. */
class RunBuilder {
  length = 0;
  page: Float64Array;
  count: Uint32Array;
  kind: Uint8Array;
  pfn: Float64Array;
  mapcount: Uint32Array;
  exclusive: Uint8Array;
  /** Pages of all runs, by kind. */
  readonly pagesOfKind = new Float64Array(RUN_NAMES.length);

  constructor(capacity: number) {
    this.page = new Float64Array(capacity);
    this.count = new Uint32Array(capacity);
    this.kind = new Uint8Array(capacity);
    this.pfn = new Float64Array(capacity);
    this.mapcount = new Uint32Array(capacity);
    this.exclusive = new Uint8Array(capacity);
  }

  grow(): void {
    const capacity = this.page.length * 2;
    this.page = grown(this.page, new Float64Array(capacity));
    this.count = grown(this.count, new Uint32Array(capacity));
    this.kind = grown(this.kind, new Uint8Array(capacity));
    this.pfn = grown(this.pfn, new Float64Array(capacity));
    this.mapcount = grown(this.mapcount, new Uint32Array(capacity));
    this.exclusive = grown(this.exclusive, new Uint8Array(capacity));
  }
}

/** Refuses processes and VMAs that no kernel could have listed: unknown ones, twice, overlapping. */
export class LayoutCheck {
  /** End of the last VMA of each process. */
  readonly #ends = new Map<number, number>();
  #lastPid = 0;

  addProcess(pid: number): void {
    if (this.#ends.has(pid)) throw inputError(`process ${pid} is listed twice`);
    this.#ends.set(pid, 0);
  }

  addVma({ pid, startPage, endPage }: SnapshotArea): void {
    const end = this.#ends.get(pid);
    if (end === undefined) throw inputError(`VMA of process ${pid}, which is not listed before it`);
    if (!(startPage < endPage) || endPage > MOST_PAGE) {
      throw inputError(`VMA from page ${hex(startPage)} to ${hex(endPage)} has no length`);
    }
    if (startPage < end) {
      throw inputError(
        `VMA at page ${hex(startPage)} of process ${pid} is not behind the one before`,
      );
    }
    if (end > 0 && this.#lastPid !== pid) {
      throw inputError(`VMAs of process ${pid} are not listed together`);
    }
    this.#ends.set(pid, endPage);
    this.#lastPid = pid;
  }
}

/**
 * Builds a snapshot from its processes, VMAs and runs in order, and refuses what no kernel could
 * have listed: VMAs of unknown processes, overlaps, runs outside of their VMA.
 */
export class SnapshotBuilder {
  readonly #procs: SnapshotProcess[] = [];
  readonly #vmas: SnapshotVma[] = [];
  readonly #check = new LayoutCheck();
  readonly #runs: RunBuilder;
  #vma: SnapshotArea | undefined;
  #vmaRunStart = 0;
  #runEndPage = 0;

  /** @param runs How many runs are expected; there may be more. */
  constructor(runs = FIRST_CAPACITY) {
    this.#runs = new RunBuilder(Math.max(runs, 1));
  }

  addProcess(proc: SnapshotProcess): void {
    this.#check.addProcess(proc.pid);
    this.#procs.push(proc);
  }

  /** Starts a VMA; its runs follow by `addRun`. */
  addVma(vma: SnapshotArea): void {
    this.#closeVma();
    this.#check.addVma(vma);
    this.#vma = vma;
    this.#vmaRunStart = this.#runs.length;
    this.#runEndPage = vma.startPage;
  }

  addRun(
    page: number,
    count: number,
    kind: RunKind,
    pfn: number,
    mapcount: number,
    isExclusive: boolean,
  ): void {
    const vma = this.#vma;
    if (vma === undefined) throw inputError('a run without a VMA');
    if (!Number.isInteger(count) || count < 1 || count > MOST_COUNT) {
      throw inputError(`run at page ${hex(page)} has ${count} pages`);
    }
    if (!(page >= this.#runEndPage) || page + count > vma.endPage) {
      throw inputError(
        `run of ${count} pages at page ${hex(page)} is outside of its VMA or before the last run`,
      );
    }
    if (!(mapcount >= 0 && mapcount <= MOST_COUNT && pfn >= -1)) {
      throw inputError(`run at page ${hex(page)} has pfn ${pfn} and mapcount ${mapcount}`);
    }
    this.#runEndPage = page + count;
    const runs = this.#runs;
    const row = runs.length;
    if (row === runs.page.length) runs.grow();
    runs.page[row] = page;
    runs.count[row] = count;
    runs.kind[row] = kind;
    runs.pfn[row] = pfn;
    runs.mapcount[row] = mapcount;
    runs.exclusive[row] = isExclusive ? 1 : 0;
    runs.length = row + 1;
    runs.pagesOfKind[kind] = (runs.pagesOfKind[kind] ?? 0) + count;
  }

  /** Hands out the snapshot; totals are counted from the runs. */
  finish(name: string, time: string): Snapshot {
    this.#closeVma();
    const { length, page, count, kind, pfn, mapcount, exclusive, pagesOfKind } = this.#runs;
    const runs = {
      length,
      page: page.subarray(0, length),
      count: count.subarray(0, length),
      kind: kind.subarray(0, length),
      pfn: pfn.subarray(0, length),
      mapcount: mapcount.subarray(0, length),
      exclusive: exclusive.subarray(0, length),
    };
    const totals = totalsOf(pagesOfKind);
    const processes = this.#procs.length;
    return { name, time, processes, ...totals, procs: this.#procs, vmas: this.#vmas, runs };
  }

  #closeVma(): void {
    if (this.#vma === undefined) return;
    const runEnd = this.#runs.length;
    this.#vmas.push({ ...this.#vma, runStart: this.#vmaRunStart, runEnd });
    this.#vma = undefined;
  }
}

function totalsOf(
  pagesOfKind: Float64Array,
): Pick<SnapshotInfo, 'anonPages' | 'filePages' | 'zeroPages' | 'swapPages'> {
  const [anon = 0, huge = 0, ksm = 0, zero = 0, file = 0, special = 0, swap = 0] = pagesOfKind;
  return {
    anonPages: anon + huge + ksm,
    filePages: file + special,
    zeroPages: zero,
    swapPages: swap,
  };
}

function hex(page: number): string {
  return `0x${page.toString(16)}`;
}
