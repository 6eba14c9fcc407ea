import { describe, expect, it } from 'vitest';
import { pageSnapshot } from '../../test/support/page_snapshot.js';
import { Machine } from '../kernel/machine.js';
import { type ComparisonListener, SnapshotComparer } from './compare.js';
import { PageIdentity } from './page_identity.js';

/** Process 1 with pages 16 and 17, which its child 2 shares. */
function sharedPages(): Machine {
  const machine = new Machine();
  machine.apply({ op: 'fork', p: 0, c: 1 });
  machine.apply({ op: 'mmap', p: 1, at: 16, n: 2, prot: 'rw', flags: 'private|anon|fixed' });
  machine.apply({ op: 'write', p: 1, at: 16, n: 2, v: 1 });
  machine.apply({ op: 'fork', p: 1, c: 2 });
  return machine;
}

describe('comparison with a snapshot', () => {
  it('agrees where the kernel shares as the machine does, again and again', () => {
    const comparer = new SnapshotComparer(sharedPages());
    for (const frame of [500, 500, 900]) {
      const rows = [1, 2].flatMap((pid) => [
        [pid, 16, frame, 2] as const,
        [pid, 17, frame + 7, 2] as const,
      ]);
      expect(comparer.compare(pageSnapshot([1, 2], rows))).toMatchObject({
        anonymousPages: 4,
        agree: 4,
        sharersWrong: 0,
        mapcountWrong: 0,
      });
    }
  });

  it('notices a frame that stands for two pages of the machine', () => {
    const comparer = new SnapshotComparer(sharedPages());
    const rows = [1, 2].map((pid) => [pid, 15 + pid, 500, 2] as const);
    expect(comparer.compare(pageSnapshot([1, 2], rows))).toMatchObject({
      agree: 1,
      sharersWrong: 1,
      examples: [{ pid: 2, vpn: 17, kind: 'sharers' }],
    });
  });

  it('notices a page of the machine that stands for two frames', () => {
    const comparer = new SnapshotComparer(sharedPages());
    const rows = [1, 2].map((pid) => [pid, 16, 500 + pid, 2] as const);
    expect(comparer.compare(pageSnapshot([1, 2], rows))).toMatchObject({
      agree: 1,
      sharersWrong: 1,
      examples: [{ pid: 2, vpn: 16, kind: 'sharers' }],
    });
  });

  it('notices pages that are swapped with each other, also behind a snapshot that agreed', () => {
    const comparer = new SnapshotComparer(sharedPages());
    const straight = [1, 2].flatMap((pid) => [
      [pid, 16, 500, 2] as const,
      [pid, 17, 501, 2] as const,
    ]);
    expect(comparer.compare(pageSnapshot([1, 2], straight)).agree).toBe(4);
    const crossed = [
      [1, 16, 500, 2] as const,
      [1, 17, 501, 2] as const,
      [2, 16, 501, 2] as const,
      [2, 17, 500, 2] as const,
    ];
    expect(comparer.compare(pageSnapshot([1, 2], crossed)).sharersWrong).toBe(2);
  });

  it('finds the same where a listener keeps the pairs', () => {
    const machine = sharedPages();
    const identity = new PageIdentity(machine.kernel);
    const frames = [
      [500, 501, 500, 501],
      [500, 501, 501, 500],
      [500, 500, 500, 500],
      [500, 501, 900, 501],
      [-1, 501, -1, 501],
    ];
    const wrong = frames.map(([a = 0, b = 0, c = 0, d = 0]) => {
      const snapshot = pageSnapshot(
        [1, 2],
        [
          [1, 16, a, 2],
          [1, 17, b, 2],
          [2, 16, c, 2],
          [2, 17, d, 2],
        ],
      );
      const heard: number[] = [];
      identity.beginListed();
      const listener: ComparisonListener = {
        missing: () => {},
        swapped: () => {},
        areApart: () => identity.areListedApart(),
        present({ vpn, page, pfn }, row) {
          heard.push(vpn[row] ?? -1);
          return identity.bindListed(page[row] ?? -1, pfn[row] ?? -1);
        },
      };
      const found = new SnapshotComparer(machine).compare(snapshot, listener);
      expect(heard).toEqual([16, 17, 16, 17]);
      expect(found).toEqual(new SnapshotComparer(machine).compare(snapshot));
      return found.sharersWrong;
    });
    expect(wrong).toEqual([0, 2, 2, 1, 0]);
  });
});
