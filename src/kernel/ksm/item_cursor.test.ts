import { describe, expect, it } from 'vitest';
import { Machine } from '../machine.js';
import { ItemCursor } from './item_cursor.js';
import { KsmMmSlot, KsmRmapItem } from './ksm_types.js';

function slotWith(vpns: readonly number[]): KsmMmSlot {
  const process = new Machine().kernel.processes.get(0);
  if (process === undefined) throw new Error('there is no first process');
  const slot = new KsmMmSlot(process.mm);
  slot.items = vpns.map((vpn) => new KsmRmapItem(process.mm, vpn));
  return slot;
}

/** A pass that meets these pages; the pages whose items it drops. */
function pass(slot: KsmMmSlot, vpns: readonly number[]): number[] {
  const cursor = new ItemCursor(slot);
  const dropped: number[] = [];
  const drop = (): boolean => {
    const item = cursor.dropNext();
    if (item !== undefined) dropped.push(item.vpn);
    return item !== undefined;
  };
  for (const vpn of vpns) {
    while (cursor.hasStale(vpn)) drop();
    expect(cursor.take(vpn).vpn).toBe(vpn);
  }
  while (drop());
  slot.items = cursor.finish();
  return dropped;
}

describe('ItemCursor', () => {
  it.each([
    [[], [1, 2], []],
    [[1, 2, 3], [1, 2, 3], []],
    [[1, 3], [1, 2, 3], []],
    [[1, 2, 3], [1, 3], [2]],
    [[1, 2, 3], [2], [1, 3]],
    [
      [1, 2],
      [3, 4],
      [1, 2],
    ],
    [[4, 5], [1, 4, 6], [5]],
    [[1, 2, 3], [], [1, 2, 3]],
  ])('keeps, makes and drops items: %j met as %j', (old, met, dropped) => {
    const slot = slotWith(old);
    const items = new Map(slot.items.map((item) => [item.vpn, item]));
    expect(pass(slot, met)).toEqual(dropped);
    expect(slot.items.map(({ vpn }) => vpn)).toEqual(met);
    for (const item of slot.items) expect(items.get(item.vpn) ?? item).toBe(item);
  });

  it('leaves the list alone that it was given', () => {
    const slot = slotWith([1, 2]);
    const { items } = slot;
    pass(slot, [1, 2]);
    expect(slot.items).not.toBe(items);
    pass(slot, [2]);
    expect(items.map(({ vpn }) => vpn)).toEqual([1, 2]);
  });
});
