import type { Machine } from '../../src/kernel/machine.js';

/** All that operations decide: the state, which frames, the lists and their order, the work done. */
export function outcomeOf(machine: Machine): unknown {
  const { kernel } = machine;
  const frames = [...kernel.mms].map((mm) =>
    mm.vmas.map((vma) =>
      Array.from({ length: vma.lengthPages }, (_, i) => {
        const entry = kernel.pageTables.findPte(mm.pgd, vma.start + i);
        return entry < 0
          ? ''
          : `${kernel.pageTables.payload[entry]}/${kernel.pageTables.flags[entry]}`;
      }),
    ),
  );
  const lists = [...kernel.lru.head].map((first) => {
    const members: number[] = [];
    for (let head = first; head >= 0; head = kernel.memory.next[head]) members.push(head);
    return members;
  });
  const { work, stats } = kernel;
  return { print: machine.fingerprint(), frames, lists, work, stats };
}
