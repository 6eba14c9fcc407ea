/** Functions of an ELF file, for naming the instruction that wrote. 64-bit little-endian only. */

const PAGE_BYTES = 4096;
const ELF_MAGIC = 0x464c457f;
const PT_LOAD = 1;
const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const STT_FUNC = 2;
const PF_X = 1;
const MOST_SYMBOLS = 4_000_000;
/** Names of C++ are long, and cannot be read when they are cut. */
const MOST_NAME_LENGTH = 4096;
/** Of all names together: a broken table points to the same text again and again. */
const MOST_NAME_BYTES = 2 ** 28;

interface Segment {
  readonly offset: number;
  readonly address: number;
  readonly sizeBytes: number;
  /** Length in memory: what is longer than in the file is .bss. */
  readonly memoryBytes: number;
  readonly flags: number;
}

/** The symbols of one file by file offset. */
export class ElfSymbols {
  private readonly segments: readonly Segment[];
  private readonly starts: Float64Array;
  private readonly ends: Float64Array;
  private readonly names: readonly string[];

  private constructor(segments: readonly Segment[], symbols: readonly FoundSymbol[]) {
    this.segments = segments;
    this.starts = Float64Array.from(symbols, (symbol) => symbol.address);
    this.ends = Float64Array.from(symbols, (symbol) => symbol.address + symbol.sizeBytes);
    this.names = symbols.map((symbol) => symbol.name);
  }

  /** Parses a file; `undefined` if it is no ELF file that we read, or a broken one. */
  static parse(bytes: Uint8Array): ElfSymbols | undefined {
    try {
      return parse(bytes, (segments, symbols) => new ElfSymbols(segments, symbols));
    } catch (error) {
      // Offsets outside of the file: the symbols are a convenience, not a result.
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  /**
   * Whether an executable mapping of `sizeBytes` at a file offset is one that this file asks for,
   * rounded to pages: a file that was replaced since then rarely passes.
   */
  matches(offsetBytes: number, sizeBytes: number): boolean {
    return this.segments.some((segment) => {
      if ((segment.flags & PF_X) === 0) return false;
      const start = segment.offset - (segment.offset % PAGE_BYTES);
      const end = Math.ceil((segment.offset + segment.sizeBytes) / PAGE_BYTES) * PAGE_BYTES;
      return start === offsetBytes && end - start === sizeBytes;
    });
  }

  /**
   * Pages of .bss behind a writable mapping of `lengthPages` pages at a file offset, without the
   * rest of the last data page; 0 if the file asks for none.
   */
  bssPages(offsetBytes: number, lengthPages: number): number {
    for (const { offset, address, sizeBytes, memoryBytes } of this.segments) {
      if (memoryBytes <= sizeBytes || offsetBytes < offset - (offset % PAGE_BYTES)) continue;
      if (offsetBytes >= offset + sizeBytes) continue;
      const mapped = Math.floor((address + (offsetBytes - offset)) / PAGE_BYTES);
      return Math.max(0, Math.ceil((address + memoryBytes) / PAGE_BYTES) - mapped - lengthPages);
    }
    return 0;
  }

  /** The function whose body covers a file offset. */
  at(offset: number): string | undefined {
    const segment = this.segments.find(
      ({ offset: start, sizeBytes }) => start <= offset && offset < start + sizeBytes,
    );
    if (segment === undefined) return undefined;
    const address = segment.address + (offset - segment.offset);
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.starts[middle] ?? 0) <= address) low = middle + 1;
      else high = middle;
    }
    const found = low - 1;
    return found >= 0 && address < (this.ends[found] ?? 0) ? this.names[found] : undefined;
  }
}

interface FoundSymbol {
  readonly address: number;
  readonly sizeBytes: number;
  readonly name: string;
}

function parse(
  bytes: Uint8Array,
  make: (segments: Segment[], symbols: FoundSymbol[]) => ElfSymbols,
): ElfSymbols | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isRead = bytes.length >= 64 && view.getUint32(0, true) === ELF_MAGIC;
  if (!isRead || view.getUint8(4) !== 2 || view.getUint8(5) !== 1) return undefined;
  const word = (at: number): number => Number(view.getBigUint64(at, true));
  const segments: Segment[] = [];
  const programHeaders = word(32);
  for (let i = 0; i < view.getUint16(56, true); i += 1) {
    const at = programHeaders + i * view.getUint16(54, true);
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const flags = view.getUint32(at + 4, true);
    segments.push({
      offset: word(at + 8),
      address: word(at + 16),
      sizeBytes: word(at + 32),
      memoryBytes: word(at + 40),
      flags,
    });
  }
  const symbols: FoundSymbol[] = [];
  let nameBytes = 0;
  const sectionHeaders = word(40);
  const sectionSize = view.getUint16(58, true);
  for (let i = 0; i < view.getUint16(60, true); i += 1) {
    const at = sectionHeaders + i * sectionSize;
    const type = view.getUint32(at + 4, true);
    if (type !== SHT_SYMTAB && type !== SHT_DYNSYM) continue;
    const strings = word(sectionHeaders + view.getUint32(at + 40, true) * sectionSize + 24);
    const count = Math.floor(word(at + 32) / 24);
    if (count > MOST_SYMBOLS) throw new RangeError('symbol table');
    for (let row = 0; row < count; row += 1) {
      const symbol = word(at + 24) + row * 24;
      const address = word(symbol + 8);
      const sizeBytes = word(symbol + 16);
      if ((view.getUint8(symbol + 4) & 15) !== STT_FUNC || address === 0 || sizeBytes === 0)
        continue;
      const name = nameAt(bytes, strings + view.getUint32(symbol, true));
      nameBytes += name.length;
      if (nameBytes > MOST_NAME_BYTES) throw new RangeError('string table');
      if (name !== '') symbols.push({ address, sizeBytes, name });
    }
  }
  symbols.sort((a, b) => a.address - b.address);
  return make(segments, symbols);
}

function nameAt(bytes: Uint8Array, start: number): string {
  if (start >= bytes.length) throw new RangeError('string table');
  let text = '';
  for (
    let at = start;
    at < bytes.length && bytes[at] !== 0 && text.length < MOST_NAME_LENGTH;
    at += 1
  ) {
    text += String.fromCharCode(bytes[at] ?? 0);
  }
  return text;
}
