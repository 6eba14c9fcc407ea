import { describe, expect, it } from 'vitest';
import { type PageRow, pageSnapshot } from '../../test/support/page_snapshot.js';
import { rangesOf } from './attach_lists.js';
import { familiesOf, joinPages } from './attach_pages.js';

function snapshotOf(
  pids: readonly number[],
  rows: readonly PageRow[],
): ReturnType<typeof joinPages> {
  return joinPages(pageSnapshot(pids, rows), pids);
}

describe('pages to attach', () => {
  it('are joined by frame, with the mappings that nobody in the snapshot has', () => {
    const pages = snapshotOf(
      [5, 6],
      [
        [5, 16, 100, 3],
        [5, 17, 101, 1],
        [5, 18, 102, 2],
        [6, 16, 100, 3],
      ],
    );
    expect(pages.own).toEqual([[17], []]);
    expect(pages.shared.map(({ pfn, outside }) => [pfn, outside])).toEqual([
      [100, 1],
      [102, 1],
    ]);
  });

  it('make families of those that share at one address', () => {
    const pages = snapshotOf(
      [5, 6, 7, 8],
      [
        [5, 16, 100, 2],
        [5, 20, 103, 2],
        [6, 16, 100, 2],
        [7, 17, 101, 2],
        [7, 20, 104, 1],
        [8, 17, 101, 2],
        [8, 21, 103, 2],
      ],
    );
    const families = familiesOf(pages);
    expect(families.map(({ members }) => members)).toEqual([
      [0, 1],
      [2, 3],
    ]);
    // Frame 103 is at two addresses: no fork leads there.
    expect(families.map(({ frames }) => frames.map(({ pfn }) => pfn))).toEqual([[100], [101]]);
  });

  it('are written in runs', () => {
    expect([...rangesOf([3, 4, 5, 9, 11, 12])]).toEqual([
      [3, 3],
      [9, 1],
      [11, 2],
    ]);
    expect([...rangesOf([])]).toEqual([]);
  });
});
