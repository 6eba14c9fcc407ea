import { PAGE_SIZE_BYTES } from '../../base/units.js';
import type { BreakSource } from './collector.js';
import type { SnapshotNames } from './images.js';
import type { Modules } from './modules.js';
import { baseName } from './regions.js';
import type { Writer } from './report.js';

const UNKNOWN: Writer = { module: 'unknown', modulePath: '', offset: -1, symbol: undefined };

/** Names instructions: file, offset, and function where the file can be read and matches. */
export class Writers {
  private readonly names: SnapshotNames;
  private readonly modules: Modules;

  constructor(names: SnapshotNames, modules: Modules) {
    this.names = names;
    this.modules = modules;
  }

  of(source: BreakSource): Writer {
    if (source.isKernel) return { ...UNKNOWN, module: 'kernel', symbol: 'copy to user memory' };
    if (source.instruction === 0) {
      return { ...UNKNOWN, module: 'kernel', symbol: source.call === '' ? undefined : source.call };
    }
    if (source.instruction < 0) return UNKNOWN;
    const page = Math.floor(source.instruction / PAGE_SIZE_BYTES);
    const found = this.names.find(source.image, source.pid, page, source.near);
    if (found === undefined) {
      return { ...UNKNOWN, module: `0x${source.instruction.toString(16)}` };
    }
    const { vma } = found;
    const offset = source.instruction - vma.startPage * PAGE_SIZE_BYTES + vma.offsetBytes;
    const module = vma.name === '' ? 'generated code' : baseName(vma.name);
    if (!vma.name.startsWith('/')) return { ...UNKNOWN, module };
    const symbol = this.modules.of(vma.name)?.at(offset);
    return { module, modulePath: vma.name, offset, symbol };
  }
}
