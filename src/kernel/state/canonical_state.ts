import { largeRow, folioAnonVma, isKsmFolio, folioMapcount, folioMapping } from '../phys/folio.js';
import type { Kernel } from '../kernel.js';
import { ksmItemsOf } from '../ksm/items.js';
import { PG_HEAD, PG_HUGETLB, PG_ZERO } from '../phys/page_flags.js';
import type { AnonVma } from '../rmap/anon_vma_types.js';
import type { AddressSpace } from '../vm/address_space.js';
import type { Mm } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { formatVmFlags } from '../vm/vm_flags.js';
import { folioFlagNames } from './page_flag_names.js';
import { PageRuns } from './page_runs.js';
import { smapsOf } from './smaps.js';
import type {
  AnonVmaState,
  FolioState,
  MachineState,
  ProcessState,
  StateRun,
  VmaState,
} from './state_types.js';

/** The state format lists the first rmap_items of a KSM page only; `ksm_len` counts all. */
const MOST_LISTED_ITEMS = 24;

/** Names things in first-seen order while a state is written. */
export class StateNames {
  private readonly kernel: Kernel;
  /** Page from which addresses and anonymous page offsets count. */
  readonly regionStart: number;
  private readonly anonVmaIds = new Map<AnonVma, string>();
  private readonly folioIds = new Map<number, string>();
  /** VMA where the folio was first seen: decides how its index is shown. */
  private readonly folioVmas = new Map<number, Vma>();
  private readonly slotIds = new Map<number, number>();
  private readonly anonymousFiles = new Map<AddressSpace, string>();
  readonly processOfMm = new Map<Mm, number>();
  private readonly processOfMmId = new Map<number, number>();

  constructor(kernel: Kernel, regionStart: number) {
    this.kernel = kernel;
    this.regionStart = regionStart;
    for (const process of kernel.processes.values()) {
      if (this.processOfMm.has(process.mm)) continue;
      this.processOfMm.set(process.mm, process.id);
      this.processOfMmId.set(process.mm.mmId, process.id);
    }
  }

  anonVma(anonVma: AnonVma): string {
    return numbered(this.anonVmaIds, anonVma, 'A');
  }

  /** Its name, or null if no VMA leads to it. */
  knownAnonVma(anonVma: AnonVma): string | null {
    return this.anonVmaIds.get(anonVma) ?? null;
  }

  folio(head: number, vma: Vma): string {
    if (!this.folioIds.has(head)) this.folioVmas.set(head, vma);
    return numbered(this.folioIds, head, 'F');
  }

  slot(entry: number): number {
    let id = this.slotIds.get(entry);
    if (id === undefined) {
      id = this.slotIds.size;
      this.slotIds.set(entry, id);
    }
    return id;
  }

  /** Slots of one run are consecutive: names them all in order. */
  file(mapping: AddressSpace): string {
    if (mapping.name !== undefined) return String(mapping.name);
    return numbered(this.anonymousFiles, mapping, 'anonshm');
  }

  processOfSlot(mmId: number): number | null {
    return this.processOfMmId.get(mmId) ?? null;
  }

  anonVmas(): Iterable<readonly [AnonVma, string]> {
    return this.anonVmaIds;
  }

  folios(): Iterable<readonly [number, string]> {
    return this.folioIds;
  }

  firstVmaOf(head: number): Vma | undefined {
    return this.folioVmas.get(head);
  }

  get kernelTables(): Kernel {
    return this.kernel;
  }
}

function numbered<K>(ids: Map<K, string>, key: K, prefix: string): string {
  let id = ids.get(key);
  if (id === undefined) {
    id = `${prefix}${ids.size}`;
    ids.set(key, id);
  }
  return id;
}

/**
 * The machine as a dump of Linux's own structures would show it (cases format). Addresses and
 * anonymous page offsets are relative to `regionStart`.
 */
export function canonicalState(
  kernel: Kernel,
  label: string,
  operationNumber: number,
  regionStart: number,
): MachineState {
  const names = new StateNames(kernel, regionStart);
  const processes = [...names.processOfMm].sort((a, b) => a[1] - b[1]);
  const procs: Record<string, ProcessState> = {};
  for (const [mm, id] of processes) {
    procs[id] = { vmas: mm.vmas.map((vma) => vmaState(kernel, names, vma)) };
  }
  const anonVmas: Record<string, AnonVmaState> = {};
  // Roots and parents get their numbers while the list is walked, so it may grow.
  for (const [anonVma, id] of names.anonVmas()) anonVmas[id] = anonVmaState(names, anonVma);
  const folios: Record<string, FolioState> = {};
  for (const [head, id] of names.folios()) folios[id] = folioState(kernel, names, head);
  return { label, op: operationNumber, procs, anon_vmas: anonVmas, folios };
}

function vmaState(kernel: Kernel, names: StateNames, vma: Vma): VmaState {
  const base = { at: vma.start - names.regionStart, n: vma.end - vma.start };
  const pgoff = vma.file === undefined ? vma.pgoff - names.regionStart : vma.pgoff;
  const file = vma.file === undefined ? {} : { file: names.file(vma.file.mapping) };
  const av = vma.anonVma === undefined ? null : names.anonVma(vma.anonVma);
  const avc = vma.anonVmaChain.map((edge) => names.anonVma(edge.anonVma));
  const pages: StateRun[] = new PageRuns(kernel, names, vma).collect();
  return {
    ...base,
    pgoff,
    flags: formatVmFlags(vma.flags),
    ...file,
    av,
    avc,
    smaps: smapsOf(kernel, vma),
    pages,
  };
}

function anonVmaState(names: StateNames, anonVma: AnonVma): AnonVmaState {
  const { intervals, avcOfRow } = names.kernelTables;
  const walk: Array<readonly [number, number]> = [];
  for (let row = intervals.firstRow(anonVma.tree); row >= 0; row = intervals.nextRow(row)) {
    const vma = avcOfRow[row]?.vma;
    const process = vma === undefined ? undefined : names.processOfMm.get(vma.mm);
    if (vma !== undefined && process !== undefined) {
      walk.push([process, vma.start - names.regionStart]);
    }
  }
  return {
    root: names.anonVma(anonVma.root),
    parent: names.anonVma(anonVma.parent),
    children: anonVma.childCount,
    active: anonVma.activeVmaCount,
    refs: anonVma.refcount,
    walk,
  };
}

function folioState(kernel: Kernel, names: StateNames, head: number): FolioState {
  const { memory, large } = kernel;
  const flags = memory.flags[head];
  const isLarge = (flags & PG_HEAD) !== 0;
  const row = isLarge ? largeRow(kernel, head) : 0;
  const order = isLarge ? large.order[row] : 0;
  if ((flags & PG_ZERO) !== 0) return { order, kind: 'zero' };
  const isHugetlb = (flags & PG_HUGETLB) !== 0;
  return {
    order,
    ...ownerState(kernel, names, head),
    ...(isHugetlb ? { hugetlb: 1 } : {}),
    refs: memory.refcount[head],
    mapcount: folioMapcount(kernel, head),
    ...(isLarge ? largeState(kernel, names, row, isHugetlb) : {}),
    flags: folioFlagNames(flags),
  };
}

function ownerState(
  kernel: Kernel,
  names: StateNames,
  head: number,
): Pick<FolioState, 'kind' | 'av' | 'file' | 'index' | 'ksm' | 'ksm_len'> {
  const index = kernel.memory.index[head];
  if (isKsmFolio(kernel, head)) {
    const items = ksmItemsOf(kernel, head);
    return {
      kind: 'ksm',
      ksm: items.slice(0, MOST_LISTED_ITEMS).map((item) => ({
        p: names.processOfMm.get(item.mm) ?? null,
        at: item.vpn - names.regionStart,
        av: names.knownAnonVma(item.anonVma),
      })),
      ksm_len: items.length,
    };
  }
  const anonVma = folioAnonVma(kernel, head);
  if (anonVma !== undefined) {
    const isPrivateFile = names.firstVmaOf(head)?.file !== undefined;
    return {
      kind: 'anon',
      av: names.anonVma(anonVma),
      index: isPrivateFile ? index : index - names.regionStart,
    };
  }
  const mapping = folioMapping(kernel, head);
  return mapping === undefined
    ? { kind: 'file', index }
    : { kind: 'file', file: names.file(mapping), index };
}

function largeState(
  kernel: Kernel,
  names: StateNames,
  row: number,
  isHugetlb: boolean,
): Partial<FolioState> {
  const { large } = kernel;
  const entire = large.entireMapcount[row];
  const pincount = large.pincount[row];
  if (isHugetlb) return { entire, pincount };
  const slot = (id: number, mapcount: number): { p: number | null; mapcount: number } | null =>
    id === 0 ? null : { p: names.processOfSlot(id), mapcount };
  const partially = large.partiallyMapped[row] !== 0 ? ['partially_mapped'] : [];
  return {
    entire,
    ...(kernel.profile.pageMapcount ? { nr_pages_mapped: large.pagesMapped[row] } : {}),
    pincount,
    ...(kernel.profile.mmIds === 'none'
      ? {}
      : {
          mm: [
            slot(large.mmId0[row], large.mmIdMapcount0[row]),
            slot(large.mmId1[row], large.mmIdMapcount1[row]),
          ],
          maybe_shared: large.shared[row],
        }),
    flags2: ['large_rmappable', ...partially],
    ...(large.order[row] >= 2 ? { deferred: large.deferred[row] } : {}),
  };
}
