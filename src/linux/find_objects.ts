import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { RmapError } from '../base/errors.js';
import { PAGE_SIZE_BYTES } from '../base/units.js';
import type { MemoryObject, ObjectDescriptor } from '../query/who_object.js';
import { isHidden, look } from './look.js';
import { MappingSurvey } from './mapping_survey.js';
import type { ProcessVma } from './mapping_survey.js';
import { isUserMapping, MapsLines } from './proc_text.js';
import type { MapsEntry } from './proc_text.js';
import { errorCodeOf, isGone, listPids, ProcessNames, readProcText } from './processes.js';

const DELETED = ' (deleted)';

/** Calls `visit` with the mappings whose line in maps contains a text; no other is parsed. */
function visitVmas(
  pid: number,
  text: string,
  lines: MapsLines,
  denied: Set<number>,
  visit: (vma: MapsEntry) => void,
): void {
  const file = `/proc/${pid}/maps`;
  const maps = look(pid, denied, () => readProcText(pid, 'maps')) ?? '';
  for (let at = maps.indexOf(text); at >= 0;) {
    const end = maps.indexOf('\n', at + text.length);
    const vma = lines.parse(maps.slice(maps.lastIndexOf('\n', at) + 1, end), file);
    if (isUserMapping(vma)) visit(vma);
    at = end < 0 ? -1 : maps.indexOf(text, end);
  }
}

/** All mappings of the file that `like` maps. */
export function findFileVmas(
  pids: readonly number[],
  like: Pick<MapsEntry, 'device' | 'inode'>,
  denied: Set<number>,
): ProcessVma[] {
  const { device, inode } = like;
  const found: ProcessVma[] = [];
  const lines = new MapsLines();
  for (const pid of pids) {
    visitVmas(pid, ` ${device} ${inode} `, lines, denied, (vma) => {
      if (vma.device === device && vma.inode === inode) found.push({ pid, vma });
    });
  }
  return found;
}

/** `major:minor` as in maps, from the device number of stat(2). */
export function deviceName(device: number): string {
  const low = device % 2 ** 32;
  const high = Math.floor(device / 2 ** 32);
  const major = ((low >>> 8) & 0xfff) + (high & ~0xfff);
  const minor = (low & 0xff) + ((low >>> 12) & ~0xff);
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  return `${hex(major)}:${hex(minor)}`;
}

interface Found {
  readonly device: string;
  readonly inode: number;
  name: string;
  stats: Stats | undefined;
  readonly vmas: ProcessVma[];
  readonly descriptors: ObjectDescriptor[];
}

/** Collects files by device and inode, with all that maps or has them open. */
class ObjectCollector {
  readonly #objects = new Map<string, Found>();
  readonly #pids = listPids();
  readonly #lines = new MapsLines();
  readonly denied = new Set<number>();
  readonly names = new ProcessNames();

  objects(): Found[] {
    return [...this.#objects.values()];
  }

  /** Adds mappings by a text of their maps line. */
  addVmas(text: string, isWanted: (vma: MapsEntry) => boolean): void {
    for (const pid of this.#pids) {
      visitVmas(pid, text, this.#lines, this.denied, (vma) => {
        if (!isWanted(vma)) return;
        const found = this.#object(vma.device, vma.inode, vma.name);
        found.vmas.push({ pid, vma });
        found.stats ??= mappedStats(pid, vma);
      });
    }
  }

  /** Adds open files by what their links say. */
  addDescriptors(isWanted: (link: string) => boolean): void {
    for (const pid of this.#pids) {
      const names = look(pid, this.denied, () => readdirSync(`/proc/${pid}/fd`)) ?? [];
      for (const name of names) {
        const path = `/proc/${pid}/fd/${name}`;
        const link = look(pid, this.denied, () => readlinkSync(path));
        if (link === undefined || !isWanted(link)) continue;
        const stats = look(pid, this.denied, () => statSync(path));
        if (stats !== undefined) this.#addDescriptor(pid, Number(name), link, stats);
      }
    }
  }

  /** Adds an object that has a name of its own. */
  addNamed(name: string, stats: Stats): void {
    this.#object(deviceName(stats.dev), stats.ino, name).stats = stats;
  }

  #addDescriptor(pid: number, fd: number, link: string, stats: Stats): void {
    const found = this.#object(deviceName(stats.dev), stats.ino, link);
    found.stats ??= stats;
    found.descriptors.push({ pid, comm: this.names.of(pid), fd });
  }

  #object(device: string, inode: number, name: string): Found {
    const key = `${device} ${inode}`;
    let found = this.#objects.get(key);
    if (found === undefined) {
      found = { device, inode, name, stats: undefined, vmas: [], descriptors: [] };
      this.#objects.set(key, found);
    }
    return found;
  }
}

/** What stat(2) says about a mapped file. Follows the link of the kernel, not its name. */
function mappedStats(pid: number, vma: MapsEntry): Stats | undefined {
  const start = (vma.startVpn * PAGE_SIZE_BYTES).toString(16);
  const end = (vma.endVpn * PAGE_SIZE_BYTES).toString(16);
  try {
    return statSync(`/proc/${pid}/map_files/${start}-${end}`);
  } catch (error) {
    if (isHidden(error) || isGone(error)) return undefined;
    throw error;
  }
}

/** Device numbers of file systems in memory: major 0 has none on disk but network ones. */
function memoryDevices(): ReadonlySet<string> {
  const devices = new Set<string>();
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [, device = '', type = ''] = /^\d+ \d+ (\d+:\d+) .* - (\S+) /.exec(line) ?? [];
    const [major = 0, minor = 0] = device.split(':').map(Number);
    if (type !== 'tmpfs' && type !== 'ramfs' && type !== 'devtmpfs') continue;
    const hex = (value: number): string => value.toString(16).padStart(2, '0');
    devices.add(`${hex(major)}:${hex(minor)}`);
  }
  return devices;
}

function strippedName(name: string): string {
  return name.endsWith(DELETED) ? name.slice(0, -DELETED.length) : name;
}

function objectsOf(collector: ObjectCollector, type: MemoryObject['type']): MemoryObject[] {
  const survey = new MappingSurvey(collector.names);
  const inMemory = memoryDevices();
  return collector.objects().map(({ name, device, inode, stats, vmas, descriptors }) => {
    const isMemory = type === 'memory file' || inMemory.has(device);
    return {
      name: strippedName(name),
      device,
      inode,
      type: type === 'file' && isMemory ? 'memory file' : type,
      isDeleted: stats === undefined ? name.endsWith(DELETED) : stats.nlink === 0,
      sizeBytes: stats?.size ?? 0,
      memoryBytes: isMemory && stats !== undefined ? stats.blocks * 512 : undefined,
      mappings: survey.mappingsOf(vmas),
      descriptors,
    };
  });
}

/** Objects that were found, and the processes that hide what they hold. */
export interface FoundObjects {
  readonly objects: readonly MemoryObject[];
  readonly deniedPids: readonly number[];
}

/** Memory files made by memfd_create with this name; several can have one name. */
export function findMemfds(name: string): FoundObjects {
  const collector = new ObjectCollector();
  const links = new Set([`/memfd:${name}${DELETED}`, `/memfd:${name}`]);
  collector.addVmas(`/memfd:${name}`, (vma) => links.has(vma.name));
  collector.addDescriptors((link) => links.has(link));
  return { objects: objectsOf(collector, 'memory file'), deniedPids: [...collector.denied] };
}

/** Adds a file by its path and all mappings of it; a deleted file is known by its mappings. */
function collectFile(collector: ObjectCollector, path: string): void {
  const stats = statOrUndefined(path);
  if (stats === undefined) {
    const links = new Set([path, `${path}${DELETED}`]);
    collector.addVmas(path, (vma) => links.has(vma.name));
    return;
  }
  collector.addNamed(path, stats);
  const device = deviceName(stats.dev);
  collector.addVmas(` ${stats.ino} `, (vma) => vma.device === device && vma.inode === stats.ino);
  if (collector.objects().some((object) => object.vmas.length > 0)) return;
  // Stacked file systems print another device in maps: there the name decides.
  collector.addVmas(path, (vma) => vma.name === path);
}

function unknownFile(path: string): RmapError {
  return new RmapError('usage', `${path}: no such file, open or mapped`);
}

/**
 * All mappings of a file; notes processes that hide theirs. Throws `RmapError('usage')` if nobody
 * knows the path.
 */
export function findMappingsOfFile(path: string, denied: Set<number>): readonly ProcessVma[] {
  const collector = new ObjectCollector();
  collectFile(collector, path);
  for (const pid of collector.denied) denied.add(pid);
  const objects = collector.objects();
  if (objects.length === 0) throw unknownFile(path);
  return objects.flatMap((object) => object.vmas);
}

/** A file with all that maps it or has it open; the same errors. */
export function findFile(path: string): FoundObjects {
  const collector = new ObjectCollector();
  collectFile(collector, path);
  const links = new Set([path, `${path}${DELETED}`]);
  collector.addDescriptors((link) => links.has(link));
  const objects = objectsOf(collector, 'file');
  if (objects.length === 0) throw unknownFile(path);
  return { objects, deniedPids: [...collector.denied] };
}

function statOrUndefined(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (isGone(error) || errorCodeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

const SHM_DEST = 0o1000;

/** One line of /proc/sysvipc/shm. */
interface Segment {
  readonly key: number;
  readonly id: number;
  readonly mode: number;
  readonly sizeBytes: number;
  readonly rssBytes: number;
  readonly swapBytes: number;
}

/** Parses /proc/sysvipc/shm. */
export function parseSegments(text: string): Segment[] {
  const [head = '', ...lines] = text.split('\n');
  const names = head.trim().split(/\s+/);
  return lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const cells = line.trim().split(/\s+/);
      const cell = (name: string): string => cells[names.indexOf(name)] ?? '0';
      return {
        key: Number(cell('key')),
        id: Number(cell('shmid')),
        mode: Number.parseInt(cell('perms'), 8),
        sizeBytes: Number(cell('size')),
        rssBytes: Number(cell('rss')),
        swapBytes: Number(cell('swap')),
      };
    });
}

/** A System V shared memory segment. Throws `RmapError('usage')` if there is none with this id. */
export function findSegment(id: number): FoundObjects {
  const segment = parseSegments(readFileSync('/proc/sysvipc/shm', 'utf8')).find(
    (candidate) => candidate.id === id,
  );
  if (segment === undefined) throw new RmapError('usage', `there is no segment ${id} (ipcs -m)`);
  const collector = new ObjectCollector();
  collector.addVmas('/SYSV', (vma) => vma.name.startsWith('/SYSV') && vma.inode === id);
  const [found] = collector.objects();
  const key = (segment.key >>> 0).toString(16).padStart(8, '0');
  return {
    deniedPids: [...collector.denied],
    objects: [
      {
        name: `/SYSV${key}`,
        device: found?.device ?? '',
        inode: id,
        type: 'shared memory segment',
        isDeleted: (segment.mode & SHM_DEST) !== 0,
        sizeBytes: segment.sizeBytes,
        memoryBytes: segment.rssBytes + segment.swapBytes,
        mappings: new MappingSurvey(collector.names).mappingsOf(found?.vmas ?? []),
        descriptors: [],
      },
    ],
  };
}
