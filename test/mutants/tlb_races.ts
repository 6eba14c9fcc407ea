/** Bugs that leave a CPU with a translation it should not have (spec 90 B 15, 16, 20, 38, C). */
import type { Machine } from '../../src/kernel/machine.js';
import { TlbModel } from '../../src/kernel/rmap/tlb_model.js';
import { REGION_START } from './judge.js';
import type { Edit } from './kernel_loader.js';
import type { Race } from './race.js';
import { forks, inGroup, written } from './steps.js';

/** From now on CPUs remember what they translated. */
function watchTlb({ kernel }: Machine): void {
  kernel.tlb = new TlbModel();
}

/** A CPU of process 0 writes through the translation that it has, if it allows that. */
function staleWrite(at: number, v: number) {
  return ({ kernel }: Machine): void => {
    const mm = kernel.processes.get(0)?.mm;
    const held = mm === undefined ? undefined : kernel.tlb?.find(mm, at + REGION_START);
    if (held?.isWritable === true) kernel.memory.content[held.pfn] = v;
  };
}

/** Nothing: a place to look at the machine. */
const look = (): void => undefined;

/** A zap flushes only where it found something, as Linux does. */
const ZAP_FLUSHES_WHAT_IT_FOUND: readonly Edit[] = [
  {
    file: 'fault/zap.ts',
    rule: '  if ((vma.flags & VM_HUGETLB) !== 0) zapHugetlbRange(',
    wrong:
      '  let isEmpty = true;\n' +
      '  for (let at = start; at < end && isEmpty; at += 1) {\n' +
      '    const leaf = kernel.pageTables.findLeaf(vma.mm.pgd, at);\n' +
      '    isEmpty = leaf === NIL || kernel.pageTables.flags[leaf] === 0;\n' +
      '  }\n' +
      '  if ((vma.flags & VM_HUGETLB) !== 0) zapHugetlbRange(',
  },
  {
    file: 'fault/zap.ts',
    rule: '  flushTlbRange(kernel, vma.mm, start, end);\n',
    wrong: '  if (!isEmpty) flushTlbRange(kernel, vma.mm, start, end);\n',
  },
];

const MOVE_DECLARES: Edit = {
  file: 'fault/move_page_tables.ts',
  rule: "import { downWrite, upWrite, type Op } from '../op/prims.js';",
  wrong: "import { downWrite, upWrite, writePoint, type Op } from '../op/prims.js';",
};

const FLUSH_OF_MOVE = '        flushTlbRange(kernel, oldVma.mm, from, from + extent);\n';

function sharedFile(n: number): Race['setUp'] {
  return [
    watchTlb,
    { op: 'file', id: 'f', n, kind: 'memfd' },
    { op: 'mmap', p: 0, at: 0, n, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
    { op: 'write', p: 0, at: 3, n: 1, v: 7 },
  ];
}

export const TLB_RACES: readonly Race[] = [
  {
    name: 'B15 CVE-2022-41222: a page table moves without the rmap locks, and its page is freed',
    setting: [
      ...ZAP_FLUSHES_WHAT_IT_FOUND,
      MOVE_DECLARES,
      {
        file: 'fault/move_page_tables.ts',
        rule: '        // Before the locks go',
        wrong: "        yield* writePoint('moved', from);\n        // Before the locks go",
      },
    ],
    edits: [
      {
        file: 'fault/move_page_tables.ts',
        rule: '        yield* lockRmap(oldVma);\n        yield* pageTablesSettled(',
        wrong: '        yield* pageTablesSettled(',
      },
      {
        file: 'fault/move_page_tables.ts',
        rule: '        yield* unlockRmap(oldVma);\n        done',
        wrong: '        done',
      },
    ],
    setUp: sharedFile(512),
    first: { op: 'mremap', p: 0, at: 0, n: 512, new: 512, to: 1024, flags: 'fixed' },
    second: [{ op: 'ftruncate', file: 'f', n: 0 }],
    broken: 'tlb.no-stale-translation',
  },
  {
    name: 'B16 CVE-2018-18281: mremap flushes after it gave the page-table lock back',
    setting: [
      ...ZAP_FLUSHES_WHAT_IT_FOUND,
      MOVE_DECLARES,
      {
        file: 'fault/move_page_tables.ts',
        rule: '    if (needRmapLocks) yield* unlockRmap(oldVma);\n',
        wrong:
          "    if (needRmapLocks) yield* unlockRmap(oldVma);\n    yield* writePoint('moved', from);\n",
      },
    ],
    edits: [
      {
        file: 'fault/move_page_tables.ts',
        rule: '    flushTlbRange(kernel, oldVma.mm, from, from + extent);\n    if (needRmapLocks)',
        wrong: '    if (needRmapLocks)',
      },
      {
        file: 'fault/move_page_tables.ts',
        rule: "    yield* writePoint('moved', from);\n",
        wrong: `    yield* writePoint('moved', from);\n${FLUSH_OF_MOVE}`,
      },
    ],
    setUp: sharedFile(8),
    first: { op: 'mremap', p: 0, at: 0, n: 8, new: 8, to: 100, flags: 'fixed' },
    second: [{ op: 'ftruncate', file: 'f', n: 0 }],
    broken: 'tlb.no-stale-translation',
  },
  {
    name: 'B20 mprotect does not know that reclaim owes a flush: a CPU writes on through it',
    // mprotect flushes what it changed, and a swap entry is nothing to change.
    setting: [
      {
        file: 'fault/change_protection.ts',
        rule: '  flushTlbRange(kernel, vma.mm, start, end);\n',
        wrong: '',
      },
      {
        file: 'fault/change_protection.ts',
        rule: '    if (changed !== pte) fillFlags(flags, changed, entry, length);\n',
        wrong:
          '    if (changed !== pte) fillFlags(flags, changed, entry, length);\n' +
          '    kernel.tlb?.flushMm(vma.mm);\n',
      },
    ],
    edits: [
      {
        file: 'fault/change_protection.ts',
        rule: '  flushTlbBatchedPending(kernel, vma.mm);\n',
        wrong: '',
      },
    ],
    setUp: [watchTlb, { op: 'swapon', kind: 'zram' }, ...inGroup(...written(0, 1))],
    first: { op: 'reclaim' },
    second: [{ op: 'mprotect', p: 0, at: 0, n: 1, prot: 'r' }, staleWrite(0, 9)],
    afterwards: [{ op: 'read', p: 0, at: 0, n: 1 }],
    broken: 'content.shadow-memory',
  },
  {
    name: 'B38 a write fault gives the old page up before its copy is in place',
    setting: [
      {
        file: 'fault/write_protect.ts',
        rule: "import type { Op } from '../op/prims.js';",
        wrong: "import { writePoint, type Op } from '../op/prims.js';",
      },
      {
        file: 'fault/write_protect.ts',
        rule: '  if (isNormal) {\n    folioRemoveRmapPtes',
        wrong: "  yield* writePoint('copied', entry);\n  if (isNormal) {\n    folioRemoveRmapPtes",
      },
    ],
    edits: [
      {
        file: 'fault/write_protect.ts',
        rule: '  // No CPU may read the old page once it is given up.\n',
        wrong:
          '  if (isNormal) {\n' +
          '    folioRemoveRmapPtes(kernel, oldHead, oldPfn, 1, vma);\n' +
          '    folioPut(kernel, oldHead, 2);\n' +
          '  }\n' +
          "  yield* writePoint('given up', entry);\n",
      },
      {
        file: 'fault/write_protect.ts',
        rule: '  if (isNormal) {\n    folioRemoveRmapPtes(kernel, oldHead, oldPfn, 1, vma);\n    // A folio',
        wrong: '  if (vpn < 0) {\n    // A folio',
      },
    ],
    setUp: [...written(0, 1), ...forks([0, 1])],
    first: { op: 'fault', p: 1, at: 0, write: 1 },
    second: [
      { op: 'write', p: 0, at: 0, n: 1, v: 9 },
      { op: 'read', p: 1, at: 0, n: 1 },
    ],
    broken: 'content.shadow-memory',
  },
  {
    name: 'C reclaim frees its pages and flushes then',
    setting: [
      {
        file: 'reclaim/shrink_list.ts',
        rule: "import type { Op } from '../op/prims.js';",
        wrong: "import { writePoint, type Op } from '../op/prims.js';",
      },
      {
        file: 'reclaim/shrink_list.ts',
        rule: '  for (const head of batch.kept)',
        wrong: "  yield* writePoint('freed', 0);\n  for (const head of batch.kept)",
      },
    ],
    edits: [
      {
        file: 'reclaim/shrink_list.ts',
        rule: '  tryToUnmapFlush(kernel, batch.tlb);\n',
        wrong: '',
      },
      {
        file: 'reclaim/shrink_list.ts',
        rule: "  yield* writePoint('freed', 0);\n",
        wrong: "  yield* writePoint('freed', 0);\n  tryToUnmapFlush(kernel, batch.tlb);\n",
      },
      {
        file: 'rmap/tlb_batch.ts',
        rule: '  if (batch.mayWrite) tryToUnmapFlush(kernel, batch);\n',
        wrong: '',
      },
    ],
    setUp: [watchTlb, { op: 'swapon', kind: 'zram' }, ...inGroup(...written(0, 1))],
    first: { op: 'reclaim' },
    second: [look],
    broken: 'tlb.no-stale-translation',
  },
];
