import type { SnapshotArea, SnapshotLayout } from '../../trace/snapshot.js';
import { PAGE_SIZE_BYTES } from '../../base/units.js';
import { ElfSymbols } from './elf_symbols.js';

/** Reads a program file of this machine; `undefined` if it is not there. */
export type ReadModule = (path: string) => Uint8Array | undefined;

/**
 * Program files of this machine that are the recorded ones: each is read once, and used only if
 * its segments are those that the snapshots show.
 */
export class Modules {
  private readonly readModule: ReadModule | undefined;
  private readonly known = new Map<string, ElfSymbols | undefined>();
  private readonly snapshots: readonly SnapshotLayout[];

  constructor(snapshots: readonly SnapshotLayout[], readModule: ReadModule | undefined) {
    this.snapshots = snapshots;
    this.readModule = readModule;
  }

  of(path: string): ElfSymbols | undefined {
    if (this.readModule === undefined || !path.startsWith('/')) return undefined;
    if (!this.known.has(path)) {
      const text = this.textOf(path);
      const bytes = text === undefined ? undefined : this.readModule(path);
      const symbols = bytes === undefined ? undefined : ElfSymbols.parse(bytes);
      const matches =
        text !== undefined &&
        symbols?.matches(text.offsetBytes, (text.endPage - text.startPage) * PAGE_SIZE_BYTES);
      this.known.set(path, matches === true ? symbols : undefined);
    }
    return this.known.get(path);
  }

  /** Its executable mapping in some snapshot. */
  private textOf(path: string): SnapshotArea | undefined {
    for (const { vmas } of this.snapshots) {
      const text = vmas.find((vma) => vma.name === path && vma.perms[2] === 'x');
      if (text !== undefined) return text;
    }
    return undefined;
  }
}
