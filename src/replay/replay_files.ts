import type { Machine } from '../kernel/machine.js';
import type { Operation } from '../kernel/operation.js';
import type { CallFiles } from './calls.js';
import type { CallRecord } from './steps.js';
import type { DescriptorFile, ReplayProcess } from './tasks.js';
import { isGigantic, pagesOf } from './calls.js';

/** Files whose length no event tells are this long: no fault lies behind their end. */
export const UNKNOWN_LENGTH_PAGES = 2 ** 34;

type ReplayFileKind = Extract<Operation, { op: 'file' }>['kind'];

const MFD_HUGETLB = 4;
const SHM_HUGETLB = 0o4000;

/** Machine files behind descriptors, names and System V segments. */
export class ReplayFiles implements CallFiles {
  private readonly machine: Machine;
  private count = 0;
  private readonly byName = new Map<string, string>();
  private readonly segments = new Map<number, { file: string; lengthPages: number }>();

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** Looks at a returned call that opens, makes or closes something. */
  note(process: ReplayProcess, call: CallRecord): void {
    const { returned } = call;
    if (returned < 0) return;
    if (call.name === 'openat' || call.name === 'open') {
      process.files.set(returned, known(this.make('tmp', UNKNOWN_LENGTH_PAGES)));
    } else if (call.name === 'memfd_create') {
      process.files.set(returned, known(this.make(memoryKind(call.args[1] ?? 0, MFD_HUGETLB), 0)));
    } else if (call.name === 'close') {
      process.files.delete(call.args[0] ?? -1);
    } else if (call.name === 'shmget') {
      if (this.segments.has(returned)) return;
      const lengthPages = pagesOf(call.args[1] ?? 0);
      const kind = memoryKind(call.args[2] ?? 0, SHM_HUGETLB);
      this.segments.set(returned, { file: this.make(kind, lengthPages), lengthPages });
    }
  }

  fileToMap(
    process: ReplayProcess,
    descriptor: number,
    offsetPages: number,
    isLoader: boolean,
    atPage: number,
  ): string {
    let entry = process.files.get(descriptor);
    // Without the call that opened it a descriptor may mean another file by now: loaders map the
    // start of a file first.
    const isOther = entry !== undefined && offsetPages === 0 && (isLoader || !entry.isKnown);
    if (entry === undefined || isOther || !this.fits(entry.file, atPage)) {
      entry = { file: this.make('tmp', UNKNOWN_LENGTH_PAGES), isKnown: false };
      process.files.set(descriptor, entry);
    }
    return entry.file;
  }

  /** A mapping of huge pages lies at a multiple of their size: any other is of another file. */
  private fits(file: string, atPage: number): boolean {
    const mapping = this.machine.files.get(file);
    return mapping?.kind !== 'hugetlb' || atPage % 2 ** mapping.hugeOrder === 0;
  }

  fileToResize(process: ReplayProcess, descriptor: number): string {
    let entry = process.files.get(descriptor);
    if (entry === undefined || !entry.isKnown) {
      entry = known(this.make('memfd', 0));
      process.files.set(descriptor, entry);
    }
    return entry.file;
  }

  /** The file with a path, for images and attached mappings. */
  named(path: string): string {
    let file = this.byName.get(path);
    if (file === undefined) {
      file = this.make('tmp', UNKNOWN_LENGTH_PAGES);
      this.byName.set(path, file);
    }
    return file;
  }

  segment(id: number): { readonly file: string; readonly lengthPages: number } | undefined {
    return this.segments.get(id);
  }

  private make(kind: ReplayFileKind, lengthPages: number): string {
    this.count += 1;
    const id = `file${this.count}`;
    this.machine.apply({ op: 'file', id, n: lengthPages, kind });
    return id;
  }
}

/** Kind of a file in memory that a call makes, whose flag for hugetlb is `hugetlbFlag`. */
function memoryKind(flags: number, hugetlbFlag: number): ReplayFileKind {
  if ((flags & hugetlbFlag) === 0) return 'memfd';
  return isGigantic(flags) ? 'memfd_hugetlb1g' : 'memfd_hugetlb';
}

function known(file: string): DescriptorFile {
  return { file, isKnown: true };
}
