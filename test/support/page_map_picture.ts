import { PAGE_FLAG } from '../../src/query/page_map.js';
import type { PageMapPicture, PageRows, PictureProcess } from '../../src/query/page_map.js';

/** A page of a test process: its frame, and what pagemap says of it. */
export interface TestPage {
  readonly pfn: number;
  readonly file?: boolean;
  readonly exclusive?: boolean;
}

function rowsOf(pages: readonly TestPage[]): PageRows {
  return {
    length: pages.length,
    pfn: Uint32Array.from(pages, (page) => page.pfn),
    flags: Uint8Array.from(
      pages,
      (page) =>
        (page.file === true ? PAGE_FLAG.file : 0) |
        (page.exclusive === true ? PAGE_FLAG.exclusive : 0),
    ),
    runVpn: Float64Array.of(0x1000),
    runRow: Uint32Array.of(0),
    runCount: 1,
  };
}

/** A process of a test picture; pages lie side by side from 0x1000 on, in one mapping. */
export function testProcess(
  pid: number,
  pages: readonly TestPage[],
  more: Partial<PictureProcess> = {},
): PictureProcess {
  return {
    pid,
    ppid: 100,
    comm: 'worker',
    cgroup: '/app',
    threadCount: 1,
    rssBytes: pages.length * 4096,
    swapBytes: 0,
    pageTableBytes: 0,
    pinnedBytes: 0,
    kernelSums: undefined,
    vmas: [
      {
        startVpn: 0x1000,
        endVpn: 0x1000 + pages.length,
        permissions: 'rw-p',
        offsetBytes: 0,
        device: '00:00',
        inode: 0,
        name: '[heap]',
        firstRow: 0,
        rowCount: pages.length,
        firstSwap: 0,
        swapCount: 0,
      },
    ],
    rows: rowsOf(pages),
    swapEntries: new Float64Array(),
    ...more,
  };
}

/** A picture of the whole machine, read while nothing moved. */
export function testPicture(
  processes: readonly PictureProcess[],
  more: Partial<PageMapPicture> = {},
): PageMapPicture {
  return {
    time: '2026-01-01T00:00:00.000Z',
    processes,
    zeroPfns: new Set(),
    mapcounts: undefined,
    mapcountsAreExact: true,
    coversMachine: true,
    method: {
      consistency: 'twice',
      hasFrames: true,
      movedPages: 0,
      movedPids: [],
      kernelMovedPages: 0,
      vanishedPids: [],
      deniedPids: [],
      entriesRead: 10,
      cpuMs: 1,
      skippedPages: 0,
    },
    ...more,
  };
}

/** Anonymous pages with the given frames. */
export function anon(...pfns: readonly number[]): TestPage[] {
  return pfns.map((pfn) => ({ pfn }));
}
