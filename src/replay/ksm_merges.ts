import type { Machine } from '../kernel/machine.js';
import type { Findings } from './findings.js';
import { NO_PAGE } from './mapped_page.js';
import type { MmWords } from './mm_words.js';
import type { PageIdentity, PagePlace } from './page_identity.js';

/** Merges of one process whose page is not known yet are kept up to this number. */
const MOST_OPEN = 65_536;

/**
 * Merges by ksmd. An event names the merged page and the process, not the page that gives way:
 * that one is freed next, or later if a fork shares it and its other mappings are merged first.
 * ksmd visits each process by ascending address, so those are paired in order.
 */
export class KsmMerges {
  private readonly machine: Machine;
  private readonly identity: PageIdentity;
  private readonly processes: MmWords;
  private readonly findings: Findings;
  /** Frames of the merged pages of events whose own page is not known, by process, oldest first. */
  private readonly open = new Map<number, number[]>();
  /** The last event: process (−1 unknown) and merged page (`NO_PAGE`: not of this recording). */
  private pid = -1;
  private target = NO_PAGE;

  constructor(machine: Machine, identity: PageIdentity, processes: MmWords, findings: Findings) {
    this.machine = machine;
    this.identity = identity;
    this.processes = processes;
    this.findings = findings;
  }

  /** `isNew`: the page becomes a merged one itself. */
  merged(mm: number, pfn: number, isNew: boolean): void {
    this.close();
    const pid = this.processes.pidOf(mm);
    const isForeign = pid === undefined && !this.processes.isEmpty;
    this.pid = pid ?? -1;
    this.target = isForeign || isNew ? NO_PAGE : pfn;
  }

  /** Another event begins and no page was freed: somebody else maps it still. */
  private close(): void {
    if (this.target === NO_PAGE) return;
    const frames = this.open.get(this.pid);
    if (frames === undefined) this.open.set(this.pid, [this.target]);
    else if (frames.length < MOST_OPEN) frames.push(this.target);
  }

  /** ksmd freed the frame of a page. Returns whether a merge explains it. */
  freed(page: number): boolean {
    const { target, pid } = this;
    if (target === NO_PAGE) return false;
    this.target = NO_PAGE;
    for (const place of this.identity.placesOf(page)) {
      const isCurrent = pid === -1 || place.pid === pid;
      const into = isCurrent ? target : (this.open.get(place.pid)?.shift() ?? target);
      this.merge(place, into);
    }
    return true;
  }

  /**
   * Processes with merges whose page is not known, and the frames of the merged pages: a snapshot
   * tells where they are.
   */
  takeOpen(): Map<number, Set<number>> {
    this.close();
    this.target = NO_PAGE;
    const taken = new Map([...this.open].map(([pid, frames]) => [pid, new Set(frames)]));
    this.open.clear();
    return taken;
  }

  forget(pid: number): void {
    this.open.delete(pid);
  }

  /** One mapping shows the merged page from now on. */
  merge(place: PagePlace, targetPfn: number): void {
    const page = this.identity.find(targetPfn);
    const target = page === NO_PAGE ? undefined : this.identity.placesOf(page)[0];
    const isDone =
      target !== undefined &&
      this.machine.apply({
        op: 'ksm_merge',
        p: place.pid,
        at: place.vpn,
        q: target.pid,
        to: target.vpn,
      }).ret === 0;
    if (isDone) this.findings.pagesMerged += 1;
    else this.findings.freesUnexplained += 1;
  }
}
