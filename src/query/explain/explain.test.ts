import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { EVENT, snapshotMark } from '../../trace/event.js';
import { openRecording } from '../../trace/open.js';
import type { Recording } from '../../trace/recording.js';
import { RUN, type Snapshot } from '../../trace/snapshot.js';
import { explain } from './explain.js';
import { parseFailIf } from './fail_if.js';
import type { ExplainReport, ProcessReport } from './report.js';

const PAGE = 4096;
/** For machines that do other things at the same time. */
const PATIENCE_MS = 120_000;
const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url));

vi.setConfig({ testTimeout: PATIENCE_MS });

/** Virtual page → pfn of every anonymous page, by process, as the kernel listed them. */
function pagesByPid(snapshot: Snapshot): Map<number, Map<number, number>> {
  const result = new Map<number, Map<number, number>>();
  const { runs } = snapshot;
  for (const vma of snapshot.vmas) {
    const own = result.get(vma.pid) ?? new Map<number, number>();
    result.set(vma.pid, own);
    for (let run = vma.runStart; run < vma.runEnd; run += 1) {
      if (runs.kind[run] !== RUN.anon && runs.kind[run] !== RUN.huge) continue;
      for (let i = 0; i < (runs.count[run] ?? 0); i += 1) {
        own.set((runs.page[run] ?? 0) + i, (runs.pfn[run] ?? 0) + i);
      }
    }
  }
  return result;
}

/** RSS, PSS and USS of each process, counted page by page. */
function memoryByPid(pages: Map<number, Map<number, number>>): Map<number, number[]> {
  const sharers = new Map<number, number>();
  for (const own of pages.values()) {
    for (const pfn of own.values()) sharers.set(pfn, (sharers.get(pfn) ?? 0) + 1);
  }
  return new Map(
    [...pages].map(([pid, own]) => {
      let pss = 0;
      let uss = 0;
      for (const pfn of own.values()) {
        const count = sharers.get(pfn) ?? 1;
        pss += PAGE / count;
        if (count === 1) uss += PAGE;
      }
      return [pid, [own.size * PAGE, Math.round(pss), uss]];
    }),
  );
}

async function timeOfSnapshot(recording: Recording, name: string): Promise<number> {
  for await (const batch of recording.events()) {
    for (let row = 0; row < batch.length; row += 1) {
      if (batch.kind[row] !== EVENT.mark) continue;
      const mark = snapshotMark(recording.strings.text(batch.text[row] ?? -1));
      if (mark?.name === name && !mark.ends) return batch.timeNs[row] ?? 0;
    }
  }
  throw new Error(`no mark ${name}`);
}

interface AtSnapshot {
  readonly report: ExplainReport;
  readonly pages: Map<number, Map<number, number>>;
}

async function explainUpTo(example: string, name: string): Promise<AtSnapshot> {
  const recording = await openRecording(`${EXAMPLES}${example}`);
  const toNs = await timeOfSnapshot(recording, name);
  const report = await explain(recording, { toNs });
  return { report, pages: pagesByPid(await recording.snapshot(name)) };
}

function running(report: ExplainReport): ProcessReport[] {
  return report.processes.filter((process) => process.end === 'running');
}

/** What report and snapshot must agree on: memory by pid, and shared bytes by fork. */
interface Figures {
  readonly memory: ReadonlyMap<number, readonly number[]>;
  readonly shared: readonly number[];
}

function figuresOfReport(report: ExplainReport): Figures {
  return {
    memory: new Map(
      running(report).map((process) => [
        process.pid,
        [process.rssBytes, process.pssBytes, process.ussBytes],
      ]),
    ),
    shared: report.forks.map((fork) => fork.stillSharedBytes),
  };
}

/** The same, counted by brute force from what the kernel listed. */
function figuresOfSnapshot({ report, pages }: AtSnapshot): Figures {
  const shared = report.forks.map((fork) => {
    const parent = pages.get(report.processes[fork.parent]?.pid ?? -1);
    const child = pages.get(report.processes[fork.child]?.pid ?? -1);
    let count = 0;
    for (const [vpn, pfn] of child ?? []) if (parent?.get(vpn) === pfn) count += 1;
    return count * PAGE;
  });
  return { memory: memoryByPid(pages), shared };
}

/** Every page ends in exactly one way, and every copy has a cause and a region. */
function expectBooksBalance(report: ExplainReport): void {
  for (const { sharedBytes, stillSharedBytes, ends } of report.forks) {
    const ended = Object.values(ends).reduce((sum, bytes) => sum + bytes, 0);
    expect(stillSharedBytes + ended).toBe(sharedBytes);
  }
  const { summary } = report;
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  expect(sum(report.causes.map((cause) => cause.bytes))).toBe(summary.copiedBytes);
  expect(sum(report.regions.map((region) => region.copiedBytes))).toBe(summary.copiedBytes);
  expect(sum(report.processes.map((process) => process.copiedBytes))).toBe(summary.copiedBytes);
  for (const { meanFanOut, fanOut, fanOutOf } of report.causes) {
    expect(meanFanOut).toBeLessThanOrEqual(fanOut);
    expect(fanOut).toBeLessThanOrEqual(fanOutOf);
  }
  for (const { strip, copiedBytes } of report.regions) {
    if (strip === undefined) continue;
    expect(sum(strip.rows.flatMap((row) => row.copied)) * PAGE).toBe(copiedBytes);
  }
  expect(report.timeline.timesNs.length).toBeLessThanOrEqual(402);
  for (const curve of report.timeline.processes) {
    const { firstIndex, rssBytes, pssBytes, ussBytes } = curve;
    expect(firstIndex + rssBytes.length).toBeLessThanOrEqual(report.timeline.timesNs.length);
    for (const [i, rss] of rssBytes.entries()) {
      expect(pssBytes[i]).toBeLessThanOrEqual(rss);
      expect(ussBytes[i]).toBeLessThanOrEqual(pssBytes[i] ?? 0);
    }
  }
}

describe('explain of Redis writing a snapshot', () => {
  let report: ExplainReport;
  beforeAll(async () => {
    const recording = await openRecording(`${EXAMPLES}redis`);
    const failIf = ['shared_after(500ms) < 70%', 'unshared_bytes > 1GiB'].map(parseFailIf);
    report = await explain(recording, { failIf });
  }, PATIENCE_MS);

  it('proves itself and finds the copies that the kernel made', () => {
    expect(report.proof).toMatchObject({ pagesAgree: 202_788, pages: 202_788, exact: true });
    expect(report.summary.copiedBytes).toBe(30_507 * PAGE);
    expect(report.summary.forks).toBe(1);
    expectBooksBalance(report);
  });

  it('blames the parent, and names writer and memory', () => {
    const { summary, causes, regions } = report;
    expect(summary.unsharedByParentBytes / summary.unsharedBytes).toBeGreaterThan(0.99);
    expect(causes[0]?.writer.module).toBe('redis-check-rdb');
    expect(causes[0]?.writer.offset).toBeGreaterThan(0);
    expect(regions[causes[0]?.region ?? -1]?.kind).toBe('anonymous');
    expect(causes[0]?.bytes).toBeGreaterThanOrEqual(causes[1]?.bytes ?? 0);
    expect(summary.sentence).toMatch(/^Of 126\.2 MiB shared at 1 fork, 119\.2 MiB \(94 %\)/);
    expect(report.advice.map((advice) => advice.kind).sort()).toEqual(['discard', 'shorter']);
  });

  it('samples evenly over the whole time', () => {
    const { timesNs } = report.timeline;
    const gaps = timesNs.slice(1).map((timeNs, i) => timeNs - (timesNs[i] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(0);
    // Nothing is recorded while the kernel lists pages, so a gap may be that long.
    expect(gaps.filter((gap) => gap > 100e6).length).toBeLessThan(8);
  });

  it('counts only what happens in the window', async () => {
    const recording = await openRecording(`${EXAMPLES}redis`);
    const early = await explain(recording, { toNs: 3e9 });
    const late = await explain(recording, { fromNs: 3e9 });
    expect(early.summary.copiedBytes + late.summary.copiedBytes).toBe(report.summary.copiedBytes);
    expect(early.summary.copiedBytes).toBeGreaterThan(0);
    expect(late.summary.sharedBytes).toBe(early.summary.stillSharedBytes);
    expect(late.forks.map((fork) => fork.bornInWindow)).toEqual([false]);
    expectBooksBalance(late);
  });

  it('evaluates budgets', () => {
    expect(report.budgets[0]).toMatchObject({ failed: true, note: '' });
    expect(report.budgets[0]?.value).toBeGreaterThan(40);
    expect(report.budgets[1]).toMatchObject({ failed: false, value: report.summary.unsharedBytes });
  });
});

describe('explain against a count of the kernel by brute force', () => {
  it.each([
    ['redis', 'bgsave1'],
    ['redis', 'bgsave2'],
    ['python-prefork', 'forked'],
  ])('%s at snapshot %s', async (example, name) => {
    const at = await explainUpTo(example, name);
    expect(figuresOfReport(at.report)).toEqual(figuresOfSnapshot(at));
    expectBooksBalance(at.report);
  });

  it('python-prefork after reading: 106,829 distinct pages', async () => {
    const at = await explainUpTo('python-prefork', 'read');
    expect(figuresOfReport(at.report)).toEqual(figuresOfSnapshot(at));
    const pss = at.report.processes.reduce(
      (sum, process) => sum + (process.end === 'running' ? process.pssBytes : 0),
      0,
    );
    expect(Math.round(pss / PAGE)).toBe(106_829);
    expect(at.report.forks.map((fork) => fork.sharedBytes)).toEqual(
      new Array(4).fill(57_507 * PAGE),
    );
  });
});

describe('explain of pre-forked Python workers', () => {
  it('tells the collector from reference counts', async () => {
    const report = await explain(await openRecording(`${EXAMPLES}python-prefork`));
    expectBooksBalance(report);
    const kept = new Map(report.advice.map((advice) => [advice.kind, advice.keptBytes / PAGE]));
    // A run of the same program with gc.freeze had 106,829 − 99,354 distinct pages less.
    expect(Math.abs((kept.get('sweep') ?? 0) - (106_829 - 99_354))).toBeLessThan(100);
    expect(kept.get('walk')).toBeGreaterThan(40_000);
    const [fanOut] = report.fanOut;
    expect(fanOut?.children).toHaveLength(4);
    const copies = fanOut?.pagesByChildren.reduce((sum, pages, count) => sum + pages * count, 0);
    expect((copies ?? 0) * PAGE).toBe(report.summary.unsharedByChildrenBytes);
  });
});

describe('explain of a window', () => {
  it('says that nothing forked', async () => {
    const report = await explain(await openRecording(`${EXAMPLES}redis`), { toNs: 1e9 });
    expect(report.summary.sentence).toMatch(/^Nothing forked/);
    expect(report.forks).toEqual([]);
    expect(report.causes).toEqual([]);
  });

  it('knows what processes share that were attached without their parent', async () => {
    const recordings = fileURLToPath(new URL('../../../test/data/recordings/', import.meta.url));
    const report = await explain(await openRecording(`${recordings}orphans`));
    expect(report.forks.map(({ sharedBytes }) => sharedBytes > 400 * PAGE)).toEqual([true, true]);
    expect(report.processes.map(({ pid }) => pid).every((pid) => pid < 2 ** 22)).toBe(true);
  });

  it('refuses a window that is empty or behind the end', async () => {
    const recording = await openRecording(`${EXAMPLES}redis`);
    await expect(explain(recording, { fromNs: 2, toNs: 1 })).rejects.toThrow(/--from/);
    await expect(explain(recording, { fromNs: 60e9 })).rejects.toThrow(/behind the end/);
  });
});
