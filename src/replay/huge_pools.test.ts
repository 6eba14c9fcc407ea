import { describe, expect, it } from 'vitest';
import { PAGES_PER_PMD, PMD_ORDER, PUD_ORDER } from '../base/units.js';
import { anonymousHugetlbPages, HugePools, isPoolPage } from './huge_pools.js';
import { anonymousPageAt } from './mapped_page.js';
import { ReplayFiles } from './replay_files.js';
import { ReplayMachine } from './replay_machine.js';
import { TaskTable, type ReplayProcess } from './tasks.js';

const AT = 0x40000;
const MOST_PAGES = 2 ** 20;

function machineOf(flags: string, hugePages: number): ReplayMachine {
  const machine = new ReplayMachine(MOST_PAGES);
  machine.apply({ op: 'fork', p: 0, c: 1 });
  const n = hugePages * PAGES_PER_PMD;
  machine.apply({ op: 'mmap', p: 1, at: AT, n, prot: 'rw', flags: `${flags}|anon|fixed` });
  return machine;
}

function hugetlbPagesOf(machine: ReplayMachine, pid: number): number {
  const mm = machine.kernel.processes.get(pid)?.mm;
  return mm === undefined ? -1 : anonymousHugetlbPages(machine.kernel, mm);
}

describe('pools of hugetlb pages in a replay', () => {
  it('hold what mappings were promised, and the copies that faults make', () => {
    const machine = machineOf('private|hugetlb', 3);
    expect(machine.kernel.hugetlb.of(PMD_ORDER).total).toBe(3);
    for (let i = 0; i < 3; i += 1) {
      const at = AT + i * PAGES_PER_PMD;
      expect(machine.apply({ op: 'fault', p: 1, at, write: 1 }).ret).toBe(0);
    }
    machine.apply({ op: 'fork', p: 1, c: 2 });
    expect(machine.apply({ op: 'fault', p: 2, at: AT + 7, write: 1 }).ret).toBe(0);
    expect(machine.kernel.hugetlb.of(PMD_ORDER).total).toBe(4);
    expect([hugetlbPagesOf(machine, 1), hugetlbPagesOf(machine, 2)]).toEqual([1536, 1536]);
  });

  it('give pages where no promise was made', () => {
    const machine = machineOf('private|hugetlb|noreserve', 1);
    machine.apply({ op: 'fault', p: 1, at: AT, write: 1 });
    machine.apply({ op: 'munmap', p: 1, at: AT, n: PAGES_PER_PMD });
    expect(hugetlbPagesOf(machine, 1)).toBe(0);
    expect(machine.kernel.hugetlb.of(PMD_ORDER).free.length).toBe(1);
  });

  it('leave other memory alone', () => {
    const machine = machineOf('private', 1);
    const pools = new HugePools(machine);
    expect(pools.shortOf({ op: 'fault', p: 1, at: AT, write: 1 })).toBeUndefined();
    machine.apply({ op: 'fault', p: 1, at: AT, write: 1 });
    const mm = machine.kernel.processes.get(1)?.mm;
    if (mm === undefined) throw new Error('no process');
    expect(isPoolPage(machine.kernel, anonymousPageAt(machine.kernel, mm, AT))).toBe(false);
    expect(hugetlbPagesOf(machine, 1)).toBe(0);
  });

  it('are asked for pages of 1 GiB by what asks for such', () => {
    const machine = machineOf('private', 1);
    const flags = 'private|anon|fixed|hugetlb1g';
    const map = { op: 'mmap', p: 1, at: 0, n: 2 ** PUD_ORDER, prot: 'rw', flags } as const;
    const need = new HugePools(machine).shortOf(map);
    expect(need).toEqual({ order: PUD_ORDER, pages: 1 });
  });
});

describe('files of huge pages', () => {
  const processOf = (machine: ReplayMachine): ReplayProcess => {
    machine.apply({ op: 'fork', p: 0, c: 1 });
    return new TaskTable().add(1, undefined, '', 0);
  };

  it('are what memfd_create and shmget are asked for', () => {
    const machine = new ReplayMachine(MOST_PAGES);
    const process = processOf(machine);
    const files = new ReplayFiles(machine);
    const call = { role: 'file', place: -1, argumentPages: 0 } as const;
    files.note(process, { ...call, name: 'memfd_create', args: [0, 4], returned: 3 });
    files.note(process, { ...call, name: 'shmget', args: [0, 2 ** 21, 0o4600], returned: 9 });
    const segment = files.segment(9)?.file ?? '';
    expect(machine.files.get(segment)?.kind).toBe('hugetlb');
    expect(machine.files.get(files.fileToMap(process, 3, 0, false, AT))?.kind).toBe('hugetlb');
    // The descriptor is that of another file by now.
    expect(machine.files.get(files.fileToMap(process, 3, 0, false, AT + 1))?.kind).toBe('tmp');
  });
});
