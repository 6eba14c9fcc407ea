import type { Operation } from '../../src/kernel/operation.js';
import type { Profile } from '../../src/kernel/profile.js';
import { swapProblems } from '../../src/kernel/swap/swap_claims.js';
import { MachineScript } from './machine_script.js';

/** A machine with swap, and short names for what swap and reclaim do to pages. */
export class SwapScript extends MachineScript {
  constructor(kind: 'zram' | 'file' | 'none' = 'zram', profile: Partial<Profile> = {}) {
    super(profile);
    if (kind !== 'none') this.run({ op: 'swapon', kind });
  }

  /** Maps and writes private pages, one word a page: `first`, `first + 1`, … */
  fill(at: number, n: number, first = 1, p = 0): void {
    this.map(at, n, 'rw', p);
    for (let i = 0; i < n; i += 1) this.write(at + i, 1, first + i, p);
  }

  /** The same, charged to the small control group. */
  fillInGroup(at: number, n: number, first = 1): void {
    this.run({ op: 'memcg', p: 0, on: 1 });
    this.fill(at, n, first);
    this.run({ op: 'memcg', p: 0, on: 0 });
  }

  out(at: number, n: number, p = 0): number | string {
    return this.answer({ op: 'madvise', p, at, n, advice: 'pageout' });
  }

  advise(at: number, n: number, advice: 'free' | 'cold' | 'willneed' | 'dontneed', p = 0): void {
    this.run({ op: 'madvise', p, at, n, advice });
  }

  reclaim(): void {
    this.run({ op: 'reclaim' });
  }

  /** Takes a reference of pages into a pipe. */
  splice(at: number, n: number, id = 1, p = 0): void {
    this.run({ op: 'vmsplice', p, at, n, id });
  }

  set(key: string, value: string | number): void {
    const operation: Operation = { op: 'config', key, value };
    this.run(operation);
  }

  /** Folio flags of a page without uptodate, lru and the soft ones, as `U D L A B` letters. */
  folio(at: number, p = 0): string {
    const page = this.page(at, p);
    if (page === undefined) return 'none';
    if (page.k !== 'page') return page.k;
    const flags = page.folioState?.flags ?? [];
    return LETTERS.filter(([name]) => flags.includes(name))
      .map(([, letter]) => letter)
      .join(' ');
  }

  order(at: number, p = 0): number {
    const page = this.page(at, p);
    return page?.k === 'page' ? (page.folioState?.order ?? -1) : -1;
  }

  refs(at: number, p = 0): number {
    const page = this.page(at, p);
    return page?.k === 'page' ? (page.folioState?.refs ?? -1) : -1;
  }

  /** `slot` with its exclusive bit: `3e` or `3`; undefined if the page is not in swap. */
  slot(at: number, p = 0): string | undefined {
    for (const vma of this.state().procs[p].vmas) {
      for (const run of vma.pages) {
        if (run.k !== 'swap' || at < run.at || at >= run.at + run.n) continue;
        return `${run.slot + (at - run.at)}${run.se === 1 ? 'e' : ''}`;
      }
    }
    return undefined;
  }

  /** Slots in use, and what a recount of everything says. */
  get usedSlots(): number {
    return this.kernel.swap.devices.reduce((sum, device) => sum + (device?.usedSlots ?? 0), 0);
  }

  get problems(): string[] {
    return swapProblems(this.kernel);
  }
}

const LETTERS: ReadonlyArray<readonly [string, string]> = [
  ['dirty', 'D'],
  ['active', 'A'],
  ['swapbacked', 'B'],
  ['swapcache', 'C'],
  ['unevictable', 'V'],
  ['mlocked', 'M'],
  ['workingset', 'W'],
];
