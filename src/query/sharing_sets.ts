import { fail } from '../base/errors.js';
import { PAGE_FLAG } from './page_map.js';
import type { PageMapPicture, PageRows } from './page_map.js';

const SEGMENT_BITS = 16;
const SEGMENT_FRAMES = 1 << SEGMENT_BITS;
const SEGMENT_MASK = SEGMENT_FRAMES - 1;

/** Roots of the two tries: nobody maps the page yet. */
const ROOT_ANON = 1;
const ROOT_FILE = 2;
const FIRST_NODES = 1 << 12;

/** A set of processes (with repetitions, one per mapping) and the pages that exactly it maps. */
export interface SharingSet {
  /** Indexes into `PageMapPicture.processes`, ascending; twice if a process maps a page twice. */
  readonly members: readonly number[];
  readonly isFile: boolean;
  readonly pages: number;
  /** Mappings of each of these pages by processes outside the picture. */
  readonly outsideMappings: number;
}

/**
 * Joins page maps on the page frame. Processes are added one after the other, so the set of those
 * that map a page so far is a node of a trie, and adding a process moves the page to a child node:
 * a page costs two array reads and two writes per mapping, whatever the number of processes.
 * Four bytes per page frame of the machine (by touched segments of 256 MiB), and as many nodes
 * as there are distinct sets.
 */
export class SharingSetBuilder {
  /** Node of each frame, by segments; 0 = not seen. */
  readonly #segments: (Int32Array | undefined)[] = [];
  #parent = new Int32Array(FIRST_NODES);
  #member = new Int32Array(FIRST_NODES);
  #pages = new Float64Array(FIRST_NODES);
  /** Child of each node for the process that is being added, … */
  #child = new Int32Array(FIRST_NODES);
  /** … valid where this holds the number of that process. */
  #childOf = new Int32Array(FIRST_NODES).fill(-1);
  #nodeCount = ROOT_FILE + 1;
  #process = -1;
  readonly #zeroPfns: ReadonlySet<number>;

  constructor(zeroPfns: ReadonlySet<number>) {
    this.#zeroPfns = zeroPfns;
    this.#member[ROOT_ANON] = -1;
    this.#member[ROOT_FILE] = -1;
  }

  /** Number of distinct sets met so far, intermediate ones included. */
  get nodeCount(): number {
    return this.#nodeCount;
  }

  /** Adds the pages of a process; processes come in ascending order of their index. */
  add(process: number, rows: PageRows): void {
    if (process <= this.#process) fail(`process ${process} added after ${this.#process}`);
    this.#process = process;
    const { pfn: pfns, flags, length } = rows;
    // Neighbouring pages mostly come from one set and go to one set: such a run is counted at once.
    let runNode = -1;
    let runNext = 0;
    let runPages = 0;
    for (let row = 0; row < length; row++) {
      const pfn = pfns[row] ?? 0;
      const segment = this.#segments[pfn >>> SEGMENT_BITS] ?? this.#newSegment(pfn);
      const slot = pfn & SEGMENT_MASK;
      let node = segment[slot] ?? 0;
      if (node === 0) {
        if (this.#zeroPfns.has(pfn)) continue;
        node = ((flags[row] ?? 0) & PAGE_FLAG.file) !== 0 ? ROOT_FILE : ROOT_ANON;
      }
      if (node !== runNode) {
        this.#moveRun(runNode, runNext, runPages);
        runNode = node;
        runNext = this.#childOf[node] === process ? (this.#child[node] ?? 0) : this.#grow(node);
        runPages = 0;
      }
      runPages++;
      segment[slot] = runNext;
    }
    this.#moveRun(runNode, runNext, runPages);
  }

  /** Moves pages from a set to its child; roots hold none. */
  #moveRun(node: number, next: number, pages: number): void {
    if (pages === 0) return;
    if (node > ROOT_FILE) this.#pages[node] = (this.#pages[node] ?? 0) - pages;
    this.#pages[next] = (this.#pages[next] ?? 0) + pages;
  }

  /** Processes that map a page so far, ascending, once per mapping. */
  membersOf(pfn: number): readonly number[] {
    return this.#membersOfNode(this.#nodeOf(pfn));
  }

  /**
   * The sets that have pages. With kernel mapcounts, pages of one set are told apart by the number
   * of mappings from outside.
   */
  finish(mapcounts: PageMapPicture['mapcounts']): SharingSet[] {
    const outside = this.#countOutside(mapcounts);
    const sets: SharingSet[] = [];
    for (let node = ROOT_FILE + 1; node < this.#nodeCount; node++) {
      let pages = this.#pages[node] ?? 0;
      if (pages === 0) continue;
      const members = this.#membersOfNode(node);
      const isFile = this.#isFile(node);
      for (const [outsideMappings, count] of outside.get(node) ?? []) {
        pages -= count;
        sets.push({ members, isFile, pages: count, outsideMappings });
      }
      if (pages > 0) sets.push({ members, isFile, pages, outsideMappings: 0 });
    }
    return sets;
  }

  /** For each node: pages by number of outside mappings, if not 0. */
  #countOutside(mapcounts: PageMapPicture['mapcounts']): Map<number, Map<number, number>> {
    const result = new Map<number, Map<number, number>>();
    if (mapcounts === undefined) return result;
    const sizes = new Map<number, number>();
    for (let row = 0; row < mapcounts.pfn.length; row++) {
      const node = this.#nodeOf(mapcounts.pfn[row] ?? 0);
      if (node === 0) continue;
      let size = sizes.get(node);
      if (size === undefined) sizes.set(node, (size = this.#membersOfNode(node).length));
      const outsideMappings = (mapcounts.mapcount[row] ?? 0) - size;
      if (outsideMappings <= 0) continue;
      let counts = result.get(node);
      if (counts === undefined) result.set(node, (counts = new Map()));
      counts.set(outsideMappings, (counts.get(outsideMappings) ?? 0) + 1);
    }
    return result;
  }

  #nodeOf(pfn: number): number {
    return this.#segments[pfn >>> SEGMENT_BITS]?.[pfn & SEGMENT_MASK] ?? 0;
  }

  #membersOfNode(start: number): number[] {
    const members: number[] = [];
    for (let node = start; node > ROOT_FILE; node = this.#parent[node] ?? 0) {
      members.push(this.#member[node] ?? 0);
    }
    return members.reverse();
  }

  #isFile(start: number): boolean {
    let node = start;
    while (node > ROOT_FILE) node = this.#parent[node] ?? 0;
    return node === ROOT_FILE;
  }

  /** Makes the child of a node for the process that is being added. */
  #grow(node: number): number {
    if (this.#nodeCount === this.#parent.length) this.#doubleNodes();
    const child = this.#nodeCount++;
    this.#parent[child] = node;
    this.#member[child] = this.#process;
    this.#childOf[child] = -1;
    this.#child[node] = child;
    this.#childOf[node] = this.#process;
    return child;
  }

  #doubleNodes(): void {
    const length = this.#parent.length * 2;
    const grown = (from: Int32Array): Int32Array<ArrayBuffer> => {
      const to = new Int32Array(length);
      to.set(from);
      return to;
    };
    this.#parent = grown(this.#parent);
    this.#member = grown(this.#member);
    this.#child = grown(this.#child);
    this.#childOf = grown(this.#childOf);
    const pages = new Float64Array(length);
    pages.set(this.#pages);
    this.#pages = pages;
  }

  #newSegment(pfn: number): Int32Array {
    const number = pfn >>> SEGMENT_BITS;
    const segment = new Int32Array(SEGMENT_FRAMES);
    while (this.#segments.length < number) this.#segments.push(undefined);
    this.#segments[number] = segment;
    return segment;
  }
}

/** Joins the pages of all processes of a picture. */
export function joinPages(picture: PageMapPicture): SharingSet[] {
  const builder = new SharingSetBuilder(picture.zeroPfns);
  for (const [index, process] of picture.processes.entries()) builder.add(index, process.rows);
  return builder.finish(picture.mapcounts);
}
