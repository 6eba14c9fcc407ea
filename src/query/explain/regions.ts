import type { Mm } from '../../kernel/vm/mm.js';
import type { Vma } from '../../kernel/vm/vma.js';
import { VM_GROWSDOWN } from '../../kernel/vm/vm_flags.js';
import type { Image, NamedVma, SnapshotNames } from './images.js';
import type { Modules } from './modules.js';
import type { RegionKind } from './report.js';

/** Memory of one kind in one program image. */
export interface Region {
  readonly id: number;
  readonly kind: RegionKind;
  readonly label: string;
  readonly image: Image;
}

/** glibc puts an arena other than the main one at a multiple of 64 MiB. */
const ARENA_PAGES = 0x4000000 / 4096;
/** Longest .bss to believe in when the file cannot be asked. */
const LIKELY_BSS_PAGES = 64;
const THREAD_STACK_PAGES = 0x800000 / 4096;

/** Regions by mapping, named after what the snapshots say, or after their shape. */
export class Regions {
  readonly all: Region[] = [];
  private readonly names: SnapshotNames;
  private readonly modules: Modules;
  private readonly byVma = new Map<Vma, Region>();
  private readonly byKey = new Map<string, Region>();

  constructor(names: SnapshotNames, modules: Modules) {
    this.names = names;
    this.modules = modules;
  }

  /** @param near Index of the next snapshot. */
  of(vma: Vma, image: Image, pid: number, near: number): Region {
    const known = this.byVma.get(vma);
    if (known !== undefined) return known;
    const region = this.name(vma, image, pid, near);
    this.byVma.set(vma, region);
    return region;
  }

  private name(vma: Vma, image: Image, pid: number, near: number): Region {
    const middle = vma.start + Math.floor((vma.end - vma.start) / 2);
    const named =
      this.names.find(image, pid, vma.start, near) ?? this.names.find(image, pid, middle, near);
    const [kind, label] = named === undefined ? shapeOf(vma, vma.mm) : kindOf(named, this.modules);
    const key = `${image.id}|${kind}|${label}`;
    let region = this.byKey.get(key);
    if (region === undefined) {
      region = { id: this.all.length, kind, label, image };
      this.all.push(region);
      this.byKey.set(key, region);
    }
    return region;
  }
}

function shapeOf(vma: Vma, mm: Mm): readonly [RegionKind, string] {
  if ((vma.flags & VM_GROWSDOWN) !== 0) return ['stack', 'stack'];
  if (vma.file !== undefined) return ['file', 'private file mappings'];
  if (mm.startBrk > 0 && vma.start >= mm.startBrk && vma.end <= mm.brk) return ['heap', 'heap'];
  return ['anonymous', 'anonymous mappings'];
}

function kindOf(
  { snapshot, index, vma }: NamedVma,
  modules: Modules,
): readonly [RegionKind, string] {
  const { name } = vma;
  if (name === '[heap]') return ['heap', 'heap'];
  if (name === '[stack]') return ['stack', 'stack'];
  if (name.startsWith('/')) return ['data', `${baseName(name)} .data`];
  if (name !== '') return ['anonymous', name];
  const below = snapshot.vmas[index - 1];
  const isAdjacent =
    below !== undefined && below.pid === vma.pid && below.endPage === vma.startPage;
  const lengthPages = vma.endPage - vma.startPage;
  if (isAdjacent && below.name.startsWith('/') && below.perms[1] === 'w') {
    const belowPages = below.endPage - below.startPage;
    const bssPages =
      modules.of(below.name)?.bssPages(below.offsetBytes, belowPages) ?? LIKELY_BSS_PAGES;
    // The kernel merges what follows .bss with it: then most of the mapping is something else.
    if (lengthPages <= bssPages) return ['bss', `${baseName(below.name)} .bss`];
  }
  if (isAdjacent && below.perms.startsWith('---') && lengthPages === THREAD_STACK_PAGES) {
    return ['thread stack', 'thread stacks'];
  }
  const above = snapshot.vmas[index + 1];
  const isArena =
    vma.startPage % ARENA_PAGES === 0 &&
    above !== undefined &&
    above.startPage === vma.endPage &&
    above.perms.startsWith('---') &&
    above.endPage === vma.startPage + ARENA_PAGES;
  return isArena ? ['arena', 'malloc arenas'] : ['anonymous', 'anonymous mappings'];
}

/** Last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
