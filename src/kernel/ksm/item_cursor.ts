import type { Mm } from '../vm/mm.js';
import { KsmRmapItem, type KsmMmSlot } from './ksm_types.js';

/**
 * A pass through the items of one address space, by ascending page: some stay, some are new, and
 * some stand for pages that are gone. The list is copied only if it changes.
 */
export class ItemCursor {
  private readonly mm: Mm;
  private readonly old: readonly KsmRmapItem[];
  /** The first old item that the pass has not come to. */
  private next = 0;
  /** The items so far; undefined as long as they are the old ones up to `next`. */
  private kept: KsmRmapItem[] | undefined = undefined;

  constructor(slot: KsmMmSlot) {
    this.mm = slot.mm;
    this.old = slot.items;
  }

  /** Whether an item stands for a page before `vpn` that the pass has not met. */
  hasStale(vpn: number): boolean {
    return this.next < this.old.length && this.old[this.next].vpn < vpn;
  }

  /** Takes the next old item off the list; undefined if there is no more. */
  dropNext(): KsmRmapItem | undefined {
    if (this.next === this.old.length) return undefined;
    this.kept ??= this.old.slice(0, this.next);
    this.next += 1;
    return this.old[this.next - 1];
  }

  /** The item of a page, made if there is none. No item before it is stale. */
  take(vpn: number): KsmRmapItem {
    const { old, next } = this;
    if (next < old.length) {
      const item = old[next];
      if (item.vpn === vpn) {
        this.next = next + 1;
        this.kept?.push(item);
        return item;
      }
    }
    this.kept ??= old.slice(0, next);
    const made = new KsmRmapItem(this.mm, vpn);
    this.kept.push(made);
    return made;
  }

  /** All items that were taken, once no old one is left. */
  finish(): KsmRmapItem[] {
    return this.kept ?? this.old.slice();
  }
}
