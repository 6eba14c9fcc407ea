import { PAGE_SIZE_BYTES } from '../../base/units.js';
import type { BreakSource } from './collector.js';
import type { SnapshotNames } from './images.js';
import type { Modules } from './modules.js';
import { baseName } from './regions.js';
import type { Writer } from './report.js';

const UNKNOWN: Writer = {
  module: 'unknown',
  modulePath: '',
  offset: -1,
  symbol: undefined,
  linkerSymbol: undefined,
};

/** Name of a function as its source has it, from the one that the linker knows. */
export type Demangle = (linkerSymbol: string) => string;

/** Names instructions: file, offset, and function where the file can be read and matches. */
export class Writers {
  private readonly names: SnapshotNames;
  private readonly modules: Modules;
  private readonly demangle: Demangle;
  private readonly demangled = new Map<string, string>();

  constructor(names: SnapshotNames, modules: Modules, demangle: Demangle) {
    this.names = names;
    this.modules = modules;
    this.demangle = demangle;
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
    return { module, modulePath: vma.name, offset, ...this.symbolAt(vma.name, offset) };
  }

  private symbolAt(path: string, offset: number): Pick<Writer, 'symbol' | 'linkerSymbol'> {
    const name = this.modules.of(path)?.at(offset);
    if (name === undefined) return { symbol: undefined, linkerSymbol: undefined };
    let symbol = this.demangled.get(name);
    if (symbol === undefined) {
      symbol = this.demangle(name);
      this.demangled.set(name, symbol);
    }
    return { symbol, linkerSymbol: symbol === name ? undefined : name };
  }
}
