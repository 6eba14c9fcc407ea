/** One mapping of /proc/PID/smaps with all of its sizes, as the state format lists them. */
export interface SmapsVma {
  /** First page number. */
  readonly start: number;
  /** `device inode` of the file, as smaps prints them. */
  readonly file: string;
  readonly flags: string;
  /** Non-zero sizes in KiB, in the kernel's order. */
  readonly kib: Readonly<Record<string, number>>;
}

/** Sizes that a state has. The others follow from these, or never change. */
const SIZES = new Set([
  'Rss',
  'Pss',
  'Shared_Clean',
  'Shared_Dirty',
  'Private_Clean',
  'Private_Dirty',
  'Referenced',
  'Anonymous',
  'KSM',
  'LazyFree',
  'AnonHugePages',
  'ShmemPmdMapped',
  'FilePmdMapped',
  'Shared_Hugetlb',
  'Private_Hugetlb',
  'Swap',
  'SwapPss',
  'Locked',
]);

const HEAD = /^([0-9a-f]+)000-[0-9a-f]+ \S+ [0-9a-f]+ (\S+) (\d+)/;
const SIZE = /^(\w+): +(\d+) kB$/;

/** Parses the mappings of `text` that lie from page `start` on, up to page `end`. */
export function parseSmapsFields(text: string, start: number, end: number): SmapsVma[] {
  const vmas: SmapsVma[] = [];
  let kib: Record<string, number> = {};
  let head: { start: number; file: string } | undefined;
  for (const line of text.split('\n')) {
    const first = HEAD.exec(line);
    if (first !== null) {
      const [, address = '', device = '', inode = ''] = first;
      head = { start: Number.parseInt(address, 16), file: `${device} ${inode}` };
      kib = {};
      continue;
    }
    if (head === undefined || head.start < start || head.start >= end) continue;
    if (line.startsWith('VmFlags:')) {
      vmas.push({ ...head, flags: line.slice('VmFlags:'.length).trim(), kib });
      continue;
    }
    const [, name = '', size = ''] = SIZE.exec(line) ?? [];
    if (SIZES.has(name) && size !== '0') kib[name] = Number(size);
  }
  return vmas;
}
