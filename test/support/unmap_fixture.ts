import { NIL } from '../../src/base/units.js';
import { findViolations } from '../../src/kernel/invariants/index.js';
import { runToEnd, type Op } from '../../src/kernel/op/prims.js';
import {
  KIND_DEVICE_EXCLUSIVE,
  KIND_DEVICE_READ,
  KIND_DEVICE_WRITE,
  KIND_HWPOISON,
  KIND_MARKER,
  KIND_MASK,
  KIND_MIGRATION_READ,
  KIND_MIGRATION_READ_EXCLUSIVE,
  KIND_MIGRATION_WRITE,
  KIND_SWAP,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_SWP_EXCLUSIVE,
  PTE_UFFD_WP,
  PTE_WRITE,
  PTE_YOUNG,
} from '../../src/kernel/pgtable/pte.js';
import { folioGet, folioMapcount, folioOrder, folioPut } from '../../src/kernel/phys/folio.js';
import { drainMlock } from '../../src/kernel/phys/mlock.js';
import { PG_ANON_EXCLUSIVE, PG_LOCKED } from '../../src/kernel/phys/page_flags.js';
import { removeMigrationPtes } from '../../src/kernel/rmap/remove_migration_ptes.js';
import type { TlbBatch } from '../../src/kernel/rmap/tlb_batch.js';
import { tryToMigrate } from '../../src/kernel/rmap/try_to_migrate.js';
import { tryToUnmap } from '../../src/kernel/rmap/try_to_unmap.js';
import { folioAllocSwap } from '../../src/kernel/swap/swap_cache.js';
import { RmapFixture } from './rmap_fixture.js';

const KINDS: ReadonlyMap<number, string> = new Map([
  [KIND_SWAP, 'swap'],
  [KIND_MIGRATION_READ, 'migration r'],
  [KIND_MIGRATION_READ_EXCLUSIVE, 'migration re'],
  [KIND_MIGRATION_WRITE, 'migration w'],
  [KIND_DEVICE_READ, 'device r'],
  [KIND_DEVICE_WRITE, 'device w'],
  [KIND_DEVICE_EXCLUSIVE, 'device x'],
  [KIND_HWPOISON, 'poison'],
  [KIND_MARKER, 'marker'],
]);

const LETTERS: ReadonlyArray<readonly [number, string]> = [
  [PTE_WRITE, 'w'],
  [PTE_DIRTY, 'd'],
  [PTE_YOUNG, 'y'],
];

/** Unmaps and migrates single folios of a small machine, as a caller of the functions would. */
export class UnmapFixture extends RmapFixture {
  /**
   * Entry of a page: `none`, kind of a non-present one, or the letters w, d, y of a present one
   * (`-` without any), each with `e` for an exclusive page or slot, `wp` and `zero`.
   */
  text(at: number, p = 0): string {
    const { pageTables, memory } = this.kernel;
    const entry = this.entry(at, p);
    if (entry === NIL || pageTables.flags[entry] === 0) return 'none';
    const flags = pageTables.flags[entry];
    const protectedToo = (flags & PTE_UFFD_WP) === 0 ? '' : ' wp';
    if ((flags & PTE_PRESENT) === 0) {
      const kind = KINDS.get(flags & KIND_MASK) ?? '?';
      const exclusive = kind === 'swap' && (flags & PTE_SWP_EXCLUSIVE) !== 0 ? ' e' : '';
      return `${kind}${exclusive}${protectedToo}`;
    }
    const bits = LETTERS.filter(([mask]) => (flags & mask) !== 0)
      .map(([, letter]) => letter)
      .join('');
    const isExclusive = (memory.flags[pageTables.payload[entry]] & PG_ANON_EXCLUSIVE) !== 0;
    const zero = (flags & PTE_SPECIAL) === 0 ? '' : ' zero';
    return `${bits === '' ? '-' : bits}${isExclusive ? ' e' : ''}${protectedToo}${zero}`;
  }

  /** Entries of pages [at, at + n) that differ from the one before, as `page:text`. */
  texts(at: number, n: number, p = 0): string {
    const found: string[] = [];
    let last = '';
    for (let page = at; page < at + n; page += 1) {
      const text = this.text(page, p);
      if (text !== last) found.push(`${page}:${text}`);
      last = text;
    }
    return found.join(', ');
  }

  /** Payload of an entry: a pfn, a swap entry, or the bits of a marker. */
  payload(at: number, p = 0): number {
    return this.kernel.pageTables.payload[this.entry(at, p)];
  }

  /** Pages in the counters of a process: `file anon swap shmem`. */
  rss(p = 0): string {
    return [...this.mm(p).rss].join(' ');
  }

  swapOn(): void {
    this.run({ op: 'swapon', kind: 'zram' });
  }

  /** Puts a folio into the swap cache, as reclaim does before it unmaps. */
  takeSlots(head: number): number {
    if (!folioAllocSwap(this.kernel, head, folioOrder(this.kernel, head))) {
      throw new Error('no swap slots');
    }
    return this.kernel.swap.folioSlots.get(head);
  }

  /** Runs a step with the folio locked and one more reference. Returns the mappings left. */
  private held(head: number, step: () => Op<void>): number {
    const { memory } = this.kernel;
    folioGet(this.kernel, head);
    memory.flags[head] |= PG_LOCKED;
    runToEnd(step());
    drainMlock(this.kernel);
    memory.flags[head] &= ~PG_LOCKED;
    const left = folioMapcount(this.kernel, head);
    folioPut(this.kernel, head);
    return left;
  }

  /** `tryToUnmap`; returns the mappings left. */
  unmap(head: number, flags = 0, batch?: TlbBatch): number {
    return this.held(head, () => tryToUnmap(this.kernel, head, flags, batch));
  }

  /** `tryToMigrate`; returns the mappings left. The folio gets a reference that keeps it. */
  migrate(head: number, flags = 0, batch?: TlbBatch): number {
    folioGet(this.kernel, head);
    return this.held(head, () => tryToMigrate(this.kernel, head, flags, batch));
  }

  /** `removeMigrationPtes`; drops the reference of the source that `migrate` took. */
  restore(source: number, target = source, flags = 0): void {
    this.held(target, () => removeMigrationPtes(this.kernel, source, target, flags));
    folioPut(this.kernel, source);
  }

  /** Broken invariants, by name. */
  get broken(): string[] {
    return findViolations(this.kernel).map(({ id, problems }) => `${id}: ${problems[0]}`);
  }
}
