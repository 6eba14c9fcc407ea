import { RmapError } from '../base/errors.js';
import { PAGE_SIZE_BYTES } from '../base/units.js';

/** One line of /proc/PID/maps. Page numbers, not addresses. */
export interface MapsEntry {
  readonly startVpn: number;
  /** First page number behind the mapping. */
  readonly endVpn: number;
  /** As in maps: `rw-p`. */
  readonly permissions: string;
  readonly offsetBytes: number;
  /** `major:minor`, hexadecimal as in maps. */
  readonly device: string;
  readonly inode: number;
  /** File or `[heap]`; empty for plain anonymous memory. A name is data, never a path to open. */
  readonly name: string;
}

/** One mapping of /proc/PID/smaps; sizes in KiB as the kernel prints them. */
export interface SmapsEntry extends MapsEntry {
  readonly rssKib: number;
  readonly pssKib: number;
  readonly anonKib: number;
  readonly anonHugeKib: number;
  readonly shmemHugeKib: number;
  readonly fileHugeKib: number;
  readonly ksmKib: number;
  readonly swapKib: number;
  /** VmFlags: `rd wr mr mw me ac`. */
  readonly flags: string;
}

/** Page number of a hexadecimal address: all but the last three digits, exact for any address. */
function parsePage(address: string): number {
  return address.length > 3 ? Number.parseInt(address.slice(0, -3), 16) : 0;
}

function parseMapsLine(line: string, file: string): MapsEntry {
  // start-end perms offset major:minor inode   name
  const match = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) (\S+) (\d+) *(.*)$/s.exec(line);
  if (match === null) {
    throw new RmapError('input', `${file}: expected a mapping, found ${JSON.stringify(line)}`);
  }
  const [, start = '', end = '', permissions = '', offset = '', device = '', inode = ''] = match;
  return {
    startVpn: parsePage(start),
    endVpn: parsePage(end),
    permissions,
    offsetBytes: Number.parseInt(offset, 16),
    device,
    inode: Number(inode),
    name: match[7] ?? '',
  };
}

/** The vsyscall page belongs to the kernel half of the address space and has no pagemap entry. */
export function isUserMapping(entry: MapsEntry): boolean {
  return entry.name !== '[vsyscall]';
}

/**
 * Parses /proc/PID/maps. `file` names the source in errors; `lines` may be that of other processes.
 */
export function parseMaps(text: string, file: string, lines = new MapsLines()): MapsEntry[] {
  const entries: MapsEntry[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const entry = lines.parse(line, file);
    if (isUserMapping(entry)) entries.push(entry);
  }
  return entries;
}

const MOST_KNOWN_LINES = 1 << 14;

/** Lines of /proc/PID/maps. Forked processes have the same ones: each is parsed once. */
export class MapsLines {
  readonly #known = new Map<string, MapsEntry>();

  parse(line: string, file: string): MapsEntry {
    let entry = this.#known.get(line);
    if (entry !== undefined) return entry;
    entry = parseMapsLine(line, file);
    if (this.#known.size === MOST_KNOWN_LINES) this.#known.clear();
    this.#known.set(line, entry);
    return entry;
  }
}

/** First page number behind the mapping of a line that starts at `line`; NaN if it is cut off. */
export function endOfMapsLine(text: string, line: number): number {
  const dash = text.indexOf('-', line);
  return parsePage(text.slice(dash + 1, text.indexOf(' ', dash)));
}

/**
 * The mapping that holds a page, from the text of /proc/PID/maps; only its line is parsed. Lines
 * ascend by address.
 */
export function findMapping(text: string, vpn: number, file: string): MapsEntry | undefined {
  for (let line = 0; line < text.length;) {
    const newline = text.indexOf('\n', line);
    const end = newline < 0 ? text.length : newline;
    if (vpn < endOfMapsLine(text, line)) {
      const entry = parseMapsLine(text.slice(line, end), file);
      return entry.startVpn <= vpn ? entry : undefined;
    }
    line = end + 1;
  }
  return undefined;
}

interface SmapsNumbers {
  rssKib: number;
  pssKib: number;
  anonKib: number;
  anonHugeKib: number;
  shmemHugeKib: number;
  fileHugeKib: number;
  ksmKib: number;
  swapKib: number;
}

/** Fields in the order in which the kernel prints them. */
const SMAPS_FIELDS: readonly (readonly [string, keyof SmapsNumbers])[] = [
  ['Rss:', 'rssKib'],
  ['Pss:', 'pssKib'],
  ['Anonymous:', 'anonKib'],
  ['KSM:', 'ksmKib'],
  ['AnonHugePages:', 'anonHugeKib'],
  ['ShmemPmdMapped:', 'shmemHugeKib'],
  ['FilePmdMapped:', 'fileHugeKib'],
  ['Swap:', 'swapKib'],
];

function noPages(): SmapsNumbers {
  return {
    rssKib: 0,
    pssKib: 0,
    anonKib: 0,
    anonHugeKib: 0,
    shmemHugeKib: 0,
    fileHugeKib: 0,
    ksmKib: 0,
    swapKib: 0,
  };
}

const SPACE = 0x20;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const LETTER_A = 0x41;
const LETTER_Z = 0x5a;

/** Number behind blanks at `start`. */
function numberAt(text: string, start: number): number {
  let at = start;
  while (text.charCodeAt(at) === SPACE) at++;
  let value = 0;
  for (let code = text.charCodeAt(at); code >= DIGIT_0 && code <= DIGIT_9;) {
    value = value * 10 + code - DIGIT_0;
    code = text.charCodeAt(++at);
  }
  return value;
}

/** Reads the wanted field of a line, if it is one; returns the place of the next one wanted. */
function readField(text: string, line: number, next: number, numbers: SmapsNumbers): number {
  for (let index = next; index < SMAPS_FIELDS.length; index++) {
    const [label, field] = SMAPS_FIELDS[index] ?? [];
    if (label === undefined || field === undefined) break;
    // Comparing the second character first saves most of the calls.
    if (text.charCodeAt(line + 1) !== label.charCodeAt(1)) continue;
    if (!text.startsWith(label, line)) continue;
    numbers[field] = numberAt(text, line + label.length);
    return index + 1;
  }
  return next;
}

/**
 * Parses /proc/PID/smaps. `file` names the source in errors. Runs while processes are held, so it
 * makes no string for the lines that it skips.
 */
export function parseSmaps(text: string, file: string): SmapsEntry[] {
  const entries: SmapsEntry[] = [];
  let head: MapsEntry | undefined;
  let numbers = noPages();
  let flags = '';
  let next = 0;
  const finish = (): void => {
    if (head === undefined || !isUserMapping(head)) return;
    // Written out: spreading takes ten times as long.
    entries.push({
      startVpn: head.startVpn,
      endVpn: head.endVpn,
      permissions: head.permissions,
      offsetBytes: head.offsetBytes,
      device: head.device,
      inode: head.inode,
      name: head.name,
      rssKib: numbers.rssKib,
      pssKib: numbers.pssKib,
      anonKib: numbers.anonKib,
      anonHugeKib: numbers.anonHugeKib,
      shmemHugeKib: numbers.shmemHugeKib,
      fileHugeKib: numbers.fileHugeKib,
      ksmKib: numbers.ksmKib,
      swapKib: numbers.swapKib,
      flags,
    });
  };
  for (let line = 0; line < text.length;) {
    const newline = text.indexOf('\n', line);
    const end = newline < 0 ? text.length : newline;
    const first = text.charCodeAt(line);
    // A line `Rss:   12 kB` starts with a capital letter, a mapping with a hexadecimal digit.
    if (first < LETTER_A || first > LETTER_Z) {
      finish();
      head = parseMapsLine(text.slice(line, end), file);
      numbers = noPages();
      flags = '';
      next = 0;
    } else if (text.startsWith('VmFlags:', line)) {
      flags = text.slice(line + 8, end).trim();
    } else if (next < SMAPS_FIELDS.length) {
      next = readField(text, line, next, numbers);
    }
    line = end + 1;
  }
  finish();
  return entries;
}

/** `key: value` lines as of /proc/PID/status, smaps_rollup and /proc/meminfo. */
export function parseFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

/** Number at the start of a field (`1234 kB` → 1234), or 0 if the kernel does not print it. */
export function numberField(fields: ReadonlyMap<string, string>, name: string): number {
  const value = Number.parseInt(fields.get(name) ?? '0', 10);
  return Number.isFinite(value) ? value : 0;
}

/** The parts of /proc/PID/stat that are used here. Times in clock ticks, addresses in bytes. */
export interface ProcessStat {
  readonly comm: string;
  readonly state: string;
  readonly ppid: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly cpuTicks: number;
  /** Since boot: with the pid it names one process for ever. */
  readonly startTicks: number;
  readonly isKernelThread: boolean;
  readonly startCode: number;
  readonly stackStart: number;
  readonly brkStart: number;
  readonly argStart: number;
  readonly envEnd: number;
}

const PF_KTHREAD = 0x00200000;

/**
 * Parses /proc/PID/stat. The comm may contain blanks and parentheses, so the last `)` ends it.
 * Addresses above 2^53 do not occur in user space; other wide fields are not read.
 */
export function parseStat(text: string, file: string): ProcessStat {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) {
    throw new RmapError('input', `${file}: expected "pid (comm) …", found ${JSON.stringify(text)}`);
  }
  // Field 3 of proc(5) is index 0 here.
  const fields = text.slice(close + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3] ?? 0);
  return {
    comm: text.slice(open + 1, close),
    state: fields[0] ?? '?',
    ppid: field(4),
    isKernelThread: (field(9) & PF_KTHREAD) !== 0,
    minorFaults: field(10),
    majorFaults: field(12),
    cpuTicks: field(14) + field(15),
    startTicks: field(22),
    startCode: field(26),
    stackStart: field(28),
    brkStart: field(47),
    argStart: field(48),
    envEnd: field(51),
  };
}

/** Length of a mapping in bytes. */
export function lengthBytes(entry: MapsEntry): number {
  return (entry.endVpn - entry.startVpn) * PAGE_SIZE_BYTES;
}
