import { describe, expect, it } from 'vitest';
import { NIL } from '../../base/units.js';
import { SLOTS_PER_CLUSTER, SlotClusters } from './slot_clusters.js';

/** An area of `clusterCount` clusters with a header, and what its owner does with it. */
class Area {
  readonly usage: Uint8Array;
  readonly clusters: SlotClusters;

  constructor(clusterCount: number) {
    this.usage = new Uint8Array(clusterCount * SLOTS_PER_CLUSTER);
    this.usage[0] = 0x3f;
    this.clusters = new SlotClusters(this.usage);
  }

  take(order: number): number {
    const slot = this.clusters.find(order);
    if (slot !== NIL) {
      this.usage.fill(1, slot, slot + 2 ** order);
      this.clusters.taken(slot, order);
    }
    return slot;
  }

  free(slot: number): void {
    this.usage[slot] = 0;
    this.clusters.freed(slot);
  }
}

describe('which swap slots come next', () => {
  it('single slots start behind the header, another order at the next untouched cluster', () => {
    const area = new Area(4);
    expect([area.take(0), area.take(0), area.take(4), area.take(4), area.take(0)]).toEqual([
      1, 2, 512, 528, 3,
    ]);
    expect(area.take(9)).toBe(1024);
  });

  it('a slot freed behind the cursor is not used before its cluster is finished', () => {
    const area = new Area(2);
    const first = area.take(0);
    area.take(0);
    area.free(first);
    expect(area.take(0)).toBe(3);
    for (let slot = 4; slot < 512; slot += 1) expect(area.take(0)).toBe(slot);
    expect(area.take(0)).toBe(first);
    expect(area.take(0)).toBe(512);
  });

  it('a run is naturally aligned, even in a cluster with holes', () => {
    const area = new Area(1);
    for (let slot = 1; slot < 512; slot += 1) area.take(0);
    for (let slot = 6; slot < 30; slot += 1) area.free(slot);
    expect(area.take(3)).toBe(NIL);
    expect(area.take(0)).toBe(6);
  });

  it('an emptied cluster serves any order again', () => {
    const area = new Area(2);
    const runs = Array.from({ length: 128 }, () => area.take(2));
    expect(runs[127]).toBe(1020);
    expect(area.take(2)).toBe(NIL);
    for (const run of runs) for (let i = 0; i < 4; i += 1) area.free(run + i);
    expect(area.take(9)).toBe(512);
  });

  it('single slots come from clusters of other orders when nothing else is left', () => {
    const area = new Area(2);
    area.take(4);
    for (let slot = 1; slot < 512; slot += 1) area.take(0);
    expect(area.take(0)).toBe(528);
  });

  it('says so when the area is full', () => {
    const area = new Area(1);
    for (let slot = 1; slot < 512; slot += 1) area.take(0);
    expect(area.take(0)).toBe(NIL);
  });
});
