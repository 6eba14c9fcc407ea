import { RmapError } from '../base/errors.js';
import { PAGE_SIZE_BYTES } from '../base/units.js';
import type { PageEvidence, PageMapping } from '../query/who_page.js';
import type { WhoTarget } from '../query/who_target.js';
import { findFileVmas, findMappingsOfFile } from './find_objects.js';
import type { ProcessVma } from './mapping_survey.js';
import { FrameInspector, likelyMappers } from './frame_facts.js';
import { MappingReader } from './mapping_reader.js';
import { PageEntryReader } from './page_entries.js';
import type { PageEntry } from './page_entries.js';
import { PagemapBuffer } from './pagemap_file.js';
import { readProcessPages } from './process_pages.js';
import type { MapsEntry } from './proc_text.js';
import { errorCodeOf, isGone, listPids, processId, readNameAndPins } from './processes.js';

/** A place where a page may be mapped, with what is known of it already. */
interface Place {
  readonly pid: number;
  readonly vpn: number;
  readonly entry?: PageEntry;
  readonly vma?: MapsEntry;
}

/** Where mappings of a file show one of its pages. */
function placesIn(vmas: readonly ProcessVma[], pageIndex: number): Place[] {
  return vmas
    .map(({ pid, vma }) => ({
      pid,
      vma,
      vpn: vma.startVpn + pageIndex - vma.offsetBytes / PAGE_SIZE_BYTES,
    }))
    .filter(({ vma, vpn }) => vma.startVpn <= vpn && vpn < vma.endVpn);
}

function hexAddress(vpn: number): string {
  return `0x${(vpn * PAGE_SIZE_BYTES).toString(16)}`;
}

/** Looks for the mappings of pages in all processes; reads as little as it can. */
export class PageFinder {
  readonly #target: string;
  readonly #startMs = performance.now();
  readonly #frames = new FrameInspector();
  readonly #entries = new PageEntryReader();
  readonly #mappings = new MappingReader();
  readonly #pids = listPids();

  constructor(target: string) {
    this.#target = target;
  }

  close(): void {
    this.#frames.close();
  }

  /** The page at an address of a process. */
  atAddress(pid: number, vpn: number): PageEvidence {
    if (processId(pid) === undefined) throw new RmapError('usage', `there is no process ${pid}`);
    const vma = this.#mappings.at(pid, vpn);
    if (vma === undefined) return this.#nothing('no mapping here');
    const entry = this.#entries.entry(pid, vpn);
    if (entry === undefined || this.#entries.deniedPids.has(pid)) {
      throw new RmapError('environment', `no right to read process ${pid}: needs CAP_SYS_PTRACE`);
    }
    if (entry.isSwapped) return this.#nothing('swapped out');
    if (!entry.isPresent) return this.#nothing('not present');
    if (entry.isFile) {
      const pageIndex = vma.offsetBytes / PAGE_SIZE_BYTES + vpn - vma.startVpn;
      return this.#evidence(entry.pfn, this.#fileMappings(entry.pfn, vma, pageIndex));
    }
    return this.#evidence(entry.pfn, this.#anonMappings(entry.pfn, vpn, { pid, vpn }));
  }

  /** A page frame, by its number. */
  atFrame(pfn: number): PageEvidence {
    const facts = this.#frames.facts(pfn, []);
    const isZero = facts.flags.includes('zero page');
    if (facts.mapcount === 0 || isZero) return this.#evidence(pfn, []);
    const found = this.#firstMapping(pfn);
    if (found === undefined) return this.#evidence(pfn, []);
    if (facts.flags.includes('anonymous')) {
      return this.#evidence(pfn, this.#anonMappings(pfn, found.vpn, found));
    }
    const pageIndex = found.vma.offsetBytes / PAGE_SIZE_BYTES + found.vpn - found.vma.startVpn;
    return this.#evidence(pfn, this.#fileMappings(pfn, found.vma, pageIndex));
  }

  /** A page of a file with all its mappings; found through any process that has touched it. */
  ofFile(path: string, pageIndex: number): PageEvidence {
    const vmas = findMappingsOfFile(path, this.#entries.deniedPids);
    for (const { pid, vpn } of placesIn(vmas, pageIndex)) {
      const entry = this.#entries.entry(pid, vpn);
      if (entry?.isPresent !== true || !entry.isFile) continue;
      return this.#evidence(entry.pfn, this.#mappingsAt(entry.pfn, placesIn(vmas, pageIndex)));
    }
    return this.#nothing('not mapped');
  }

  #nothing(state: PageEvidence['state']): PageEvidence {
    return {
      target: this.#target,
      state,
      page: undefined,
      mappings: [],
      deniedPids: [...this.#entries.deniedPids],
      elapsedMs: performance.now() - this.#startMs,
    };
  }

  #evidence(pfn: number, mappings: readonly PageMapping[]): PageEvidence {
    return {
      target: this.#target,
      state: 'present',
      page: this.#frames.facts(
        pfn,
        mappings.map((mapping) => mapping.pid),
      ),
      mappings,
      deniedPids: [...this.#entries.deniedPids],
      elapsedMs: performance.now() - this.#startMs,
    };
  }

  /**
   * Mappings of an anonymous page. A fork leaves it at the same address, so that address is looked
   * up in every process first; only if the kernel counts more mappings is everything searched.
   */
  #anonMappings(pfn: number, vpn: number, known: Place): PageMapping[] {
    const wanted = this.#frames.facts(pfn, []);
    if (wanted.flags.includes('zero page')) return this.#mappingsAt(pfn, [known]);
    const places: Place[] = [];
    for (const pid of this.#pids) {
      const entry = this.#entries.entry(pid, vpn);
      if (entry?.isPresent === true && entry.pfn === pfn) places.push({ pid, vpn, entry });
    }
    const isComplete = wanted.isMapcountExact && places.length >= wanted.mapcount;
    return this.#mappingsAt(pfn, isComplete ? places : this.#searchAll(pfn));
  }

  /** Mappings of a page of a file: only mappings of that file that cover the page can have it. */
  #fileMappings(pfn: number, file: MapsEntry, pageIndex: number): PageMapping[] {
    const vmas = findFileVmas(this.#pids, file, this.#entries.deniedPids);
    return this.#mappingsAt(pfn, placesIn(vmas, pageIndex));
  }

  #searchAll(pfn: number): Place[] {
    return this.#pids.flatMap((pid) => this.#search(pid, pfn).map((vpn) => ({ pid, vpn })));
  }

  /** Virtual pages at which a process maps a frame; reads its whole page map. */
  #search(pid: number, pfn: number): number[] {
    try {
      const reading = readProcessPages(pid, new PagemapBuffer(), { wantsKernelSums: false });
      if (reading === undefined) return [];
      const { rows } = reading.process;
      const found: number[] = [];
      let row = rows.pfn.indexOf(pfn);
      let run = 0;
      for (; row >= 0; row = rows.pfn.indexOf(pfn, row + 1)) {
        while (run + 1 < rows.runCount && (rows.runRow[run + 1] ?? 0) <= row) run++;
        found.push((rows.runVpn[run] ?? 0) + row - (rows.runRow[run] ?? 0));
      }
      return found;
    } catch (error) {
      const code = errorCodeOf(error);
      if (code === 'EACCES' || code === 'EPERM') this.#entries.deniedPids.add(pid);
      else if (!isGone(error)) throw error;
      return [];
    }
  }

  /** Any mapping of a frame; processes of the cgroup that pays for the page come first. */
  #firstMapping(pfn: number): { pid: number; vpn: number; vma: MapsEntry } | undefined {
    for (const pid of likelyMappers(pfn, this.#pids)) {
      const [vpn] = this.#search(pid, pfn);
      if (vpn === undefined) continue;
      const vma = this.#mappings.at(pid, vpn);
      if (vma !== undefined) return { pid, vpn, vma };
    }
    return undefined;
  }

  #mappingsAt(pfn: number, places: readonly Place[]): PageMapping[] {
    const mappings: PageMapping[] = [];
    const frameFlags = this.#frames.flags(pfn);
    for (const place of places) {
      const { pid, vpn } = place;
      const entry = place.entry ?? this.#entries.entry(pid, vpn);
      if (entry?.pfn !== pfn) continue;
      const vma = place.vma ?? this.#mappings.at(pid, vpn);
      if (vma === undefined) continue;
      const status = readNameAndPins(pid);
      mappings.push({
        pid,
        comm: status?.name ?? '',
        address: hexAddress(vpn),
        vmaStart: hexAddress(vma.startVpn),
        vmaEnd: hexAddress(vma.endVpn),
        vmaPermissions: vma.permissions,
        vmaName: vma.name,
        level: this.#entries.levelOf(pid, vpn, frameFlags, vma),
        isWritable: vma.permissions.includes('w'),
        isExclusive: entry.isExclusive,
        pinnedBytes: (status?.pinnedKib ?? 0) * 1024,
      });
    }
    return mappings;
  }
}

/** Answers a question about one page. Needs CAP_SYS_ADMIN: frames are hidden otherwise. */
export function findPage(
  target: string,
  where: Extract<WhoTarget, { kind: 'address' | 'pfn' }>,
): PageEvidence {
  return withFinder(target, (finder) =>
    where.kind === 'pfn' ? finder.atFrame(where.pfn) : finder.atAddress(where.pid, where.vpn),
  );
}

/** Answers a question about one page of a file. */
export function findFilePage(target: string, path: string, pageIndex: number): PageEvidence {
  return withFinder(target, (finder) => finder.ofFile(path, pageIndex));
}

function withFinder(target: string, ask: (finder: PageFinder) => PageEvidence): PageEvidence {
  let finder: PageFinder;
  try {
    finder = new PageFinder(target);
  } catch (error) {
    const code = errorCodeOf(error);
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    throw new RmapError(
      'environment',
      'page frames are hidden from this user: needs CAP_SYS_ADMIN; "rmap live" works without',
      { cause: error },
    );
  }
  try {
    return ask(finder);
  } finally {
    finder.close();
  }
}
