import type { Collector } from './collector.js';
import { FATE, type ForkLedger } from './fork_ledger.js';
import { PageSet } from './page_set.js';
import type { FanOutReport } from './report.js';

const BLOCK_PAGES = 512;

/** For every parent with several children: how many of them copied one and the same page. */
export function fanOutReports(collector: Collector): FanOutReport[] {
  const families = new Map<number, ForkLedger[]>();
  for (const fork of collector.forks) {
    const family = families.get(fork.parent);
    if (family === undefined) families.set(fork.parent, [fork]);
    else family.push(fork);
  }
  const reports: FanOutReport[] = [];
  for (const [parent, forks] of families) {
    if (forks.length < 2) continue;
    const counts = new Map<number, Uint16Array>();
    const byParent = new PageSet();
    for (const fork of forks) {
      fork.forEachPage((vpn, fate) => {
        if (fate === FATE.parentWrote) byParent.add(vpn);
        if (fate !== FATE.childWrote) return;
        const number = Math.floor(vpn / BLOCK_PAGES);
        let block = counts.get(number);
        if (block === undefined) {
          block = new Uint16Array(BLOCK_PAGES);
          counts.set(number, block);
        }
        block[vpn % BLOCK_PAGES] = (block[vpn % BLOCK_PAGES] ?? 0) + 1;
      });
    }
    const pagesByChildren = new Array<number>(forks.length + 1).fill(0);
    for (const block of counts.values()) {
      for (const count of block) {
        if (count > 0) pagesByChildren[count] = (pagesByChildren[count] ?? 0) + 1;
      }
    }
    reports.push({
      parent,
      children: forks.map((fork) => fork.child),
      pagesByChildren,
      parentPages: byParent.size,
    });
  }
  return reports.sort((a, b) => copies(b) - copies(a));
}

function copies(report: FanOutReport): number {
  return report.pagesByChildren.reduce((sum, pages, children) => sum + pages * children, 0);
}
