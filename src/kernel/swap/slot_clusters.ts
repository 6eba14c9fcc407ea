import { NIL } from '../../base/units.js';

/** Slots of one cluster. @kernel SWAPFILE_CLUSTER */
export const SLOTS_PER_CLUSTER = 512;

/** Folio orders that fit into a cluster. */
const ORDER_LIMIT = 10;
/** `orderOf` of a cluster that nobody has used since it was empty. */
const UNTOUCHED = 255;

/** Where a cluster is: waiting untouched, being filled, waiting with room, or without room. */
const STATE_FREE = 0;
const STATE_CURRENT = 1;
const STATE_ROOM = 2;
const STATE_FULL = 3;

/**
 * Which slots a swap area hands out next (spec 98 §6.1). Each folio order fills a cluster of its
 * own from its start to its end; a slot that is freed behind the cursor is not used before the
 * cluster is finished. Then come finished clusters of the same order with room, then untouched
 * ones; single slots at last come from anywhere.
 *
 * `usage` is the area's column of slot words: 0 = free, slots that are never used are not. This
 * class reads it and the owner writes it, then reports with `taken` and `freed`.
 * @kernel swap_cluster_info
 */
export class SlotClusters {
  private readonly usage: Uint8Array;
  private readonly clusterCount: number;
  /** Slots in use. */
  private readonly used: Uint16Array;
  private readonly orderOf: Uint8Array;
  private readonly state: Uint8Array;
  /** Cluster that each order fills, and the slot where it goes on. */
  private readonly current = new Int32Array(ORDER_LIMIT).fill(NIL);
  private readonly cursor = new Int32Array(ORDER_LIMIT);
  /** Untouched clusters; entries whose state says otherwise are stale. */
  private readonly free: number[] = [];
  /** Finished clusters with room by order; may hold stale entries too. */
  private readonly room: number[][] = [];

  constructor(usage: Uint8Array) {
    this.usage = usage;
    this.clusterCount = Math.ceil(usage.length / SLOTS_PER_CLUSTER);
    this.used = new Uint16Array(this.clusterCount);
    this.orderOf = new Uint8Array(this.clusterCount).fill(UNTOUCHED);
    this.state = new Uint8Array(this.clusterCount);
    for (let order = 0; order < ORDER_LIMIT; order += 1) this.room.push([]);
    for (let slot = 0; slot < usage.length; slot += 1) {
      if (usage[slot] !== 0) this.used[Math.floor(slot / SLOTS_PER_CLUSTER)] += 1;
    }
    for (let cluster = 0; cluster < this.clusterCount; cluster += 1) {
      if (this.used[cluster] === 0) this.free.push(cluster);
      else this.leaveToSingles(cluster);
    }
  }

  /** First slot of a free, naturally aligned run of 2^order slots, or NIL. Takes nothing. */
  find(order: number): number {
    const current = this.current[order];
    if (current !== NIL) {
      const slot = this.scan(current, this.cursor[order], order);
      if (slot !== NIL) return slot;
      this.finish(order, current);
    }
    const room = this.room[order];
    for (let cluster = room.shift(); cluster !== undefined; cluster = room.shift()) {
      if (this.state[cluster] !== STATE_ROOM || this.orderOf[cluster] !== order) continue;
      const slot = this.scan(cluster, cluster * SLOTS_PER_CLUSTER, order);
      if (slot !== NIL) return this.begin(cluster, order, slot);
      // Too scattered for this order: waits for the next slot that is freed in it.
      this.state[cluster] = STATE_FULL;
    }
    while (this.free.length > 0) {
      const cluster = this.free.shift() ?? NIL;
      if (this.state[cluster] !== STATE_FREE) continue;
      const slot = this.scan(cluster, cluster * SLOTS_PER_CLUSTER, order);
      if (slot !== NIL) return this.begin(cluster, order, slot);
      this.leaveToSingles(cluster);
    }
    return order === 0 ? this.usage.indexOf(0) : NIL;
  }

  /** The run that `find` answered is in use now. */
  taken(slot: number, order: number): void {
    const cluster = Math.floor(slot / SLOTS_PER_CLUSTER);
    this.used[cluster] += 2 ** order;
    if (this.current[order] === cluster) this.cursor[order] = slot + 2 ** order;
    if (this.state[cluster] === STATE_FREE) this.state[cluster] = STATE_FULL;
  }

  /** One slot is free again. */
  freed(slot: number): void {
    const cluster = Math.floor(slot / SLOTS_PER_CLUSTER);
    const used = this.used[cluster] - 1;
    this.used[cluster] = used;
    const state = this.state[cluster];
    if (state === STATE_CURRENT) return;
    if (used === 0) {
      this.orderOf[cluster] = UNTOUCHED;
      this.state[cluster] = STATE_FREE;
      this.free.push(cluster);
    } else if (state === STATE_FULL && this.orderOf[cluster] !== UNTOUCHED) {
      this.state[cluster] = STATE_ROOM;
      this.room[this.orderOf[cluster]].push(cluster);
    }
  }

  /** The cluster is cut by the header or the area's end: single slots fill it. */
  private leaveToSingles(cluster: number): void {
    this.state[cluster] = STATE_ROOM;
    this.orderOf[cluster] = 0;
    this.room[0].push(cluster);
  }

  private begin(cluster: number, order: number, slot: number): number {
    this.state[cluster] = STATE_CURRENT;
    this.orderOf[cluster] = order;
    this.current[order] = cluster;
    this.cursor[order] = slot;
    return slot;
  }

  /** The cursor has passed the end of the cluster. */
  private finish(order: number, cluster: number): void {
    this.current[order] = NIL;
    if (this.used[cluster] === 0) {
      this.orderOf[cluster] = UNTOUCHED;
      this.state[cluster] = STATE_FREE;
      this.free.push(cluster);
    } else if (this.used[cluster] < SLOTS_PER_CLUSTER) {
      this.state[cluster] = STATE_ROOM;
      this.room[order].push(cluster);
    } else {
      this.state[cluster] = STATE_FULL;
    }
  }

  private scan(cluster: number, from: number, order: number): number {
    const { usage } = this;
    const pages = 2 ** order;
    const end = Math.min((cluster + 1) * SLOTS_PER_CLUSTER, usage.length) - pages + 1;
    for (let slot = Math.ceil(from / pages) * pages; slot < end; slot += pages) {
      if (usage[slot] !== 0) continue;
      let i = 1;
      while (i < pages && usage[slot + i] === 0) i += 1;
      if (i === pages) return slot;
    }
    return NIL;
  }
}
