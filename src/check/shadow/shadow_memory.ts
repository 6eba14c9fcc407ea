import { isUffdArmed } from '../../kernel/uffd/context.js';
import type { Machine } from '../../kernel/machine.js';
import type { Operation, OperationResult } from '../../kernel/operation.js';
import { findVma } from '../../kernel/vm/mm.js';
import { VM_WIPEONFORK } from '../../kernel/vm/vm_flags.js';
import { forEachValue } from './result_values.js';
import { ShadowMm } from './shadow_mm.js';
import { ShadowFile } from './shadow_page.js';
import { dropCopiesInHole, truncate, ShadowProcess, type PinnedPage } from './shadow_process.js';

const HUGE_PAGES = 512;
const GIGANTIC_PAGES = 512 * 512;

/** Advices after which private memory reads as if it was never written. */
const DROPPING: ReadonlySet<string> = new Set(['dontneed', 'dontneed_locked', 'guard_install']);

/**
 * A plain model of what memory holds: every private page is what its process wrote last, every
 * shared one what anybody wrote last, a fork copies (spec 90 A6, number 53). It knows nothing of
 * frames, counts or entries, so that whatever goes wrong with them and reaches a program shows as a
 * difference. Only values are judged; which access raises a signal is not its business.
 *
 * Tell it every operation with its result, in order, after the machine performed it.
 */
export class ShadowMemory {
  readonly processes = new Map<number, ShadowProcess>();
  private readonly machine: Machine;
  private readonly files = new Map<string | number, ShadowFile>();
  private problems: string[] = [];

  constructor(machine: Machine) {
    this.machine = machine;
    this.processes.set(0, new ShadowProcess(new ShadowMm()));
  }

  /** Takes the operation over. Returns what its result says that memory cannot hold. */
  observe(operation: Operation, result: OperationResult): string[] {
    this.problems = [];
    // Says how often memory will be used, not what is in it.
    if (operation.op === 'fadvise') return [];
    if ('file' in operation && operation.op !== 'mmap') this.observeFile(operation, result);
    else if (operation.op === 'file') {
      const { kind, id } = operation;
      const isGigantic = kind === 'memfd_hugetlb1g';
      const unit = isGigantic ? GIGANTIC_PAGES : kind === 'memfd_hugetlb' ? HUGE_PAGES : 1;
      this.files.set(id, new ShadowFile(unit));
    } else if ('p' in operation) {
      const process = this.processes.get(operation.p);
      if (process !== undefined) this.observeProcess(process, operation, result);
    }
    return this.problems;
  }

  private observeProcess(
    process: ShadowProcess,
    operation: Extract<Operation, { readonly p: number }>,
    result: OperationResult,
  ): void {
    const isDone = result.ret >= 0;
    const { mm } = process;
    switch (operation.op) {
      case 'mmap':
        if (isDone) this.map(mm, operation, result.ret);
        break;
      case 'munmap':
        if (isDone) mm.unmap(operation.at, operation.n);
        break;
      case 'mremap':
        if (isDone) remap(mm, operation, result.ret);
        else this.remapBegun(mm, operation, result.err);
        break;
      case 'madvise':
        this.advise(mm, operation, isDone);
        break;
      case 'process_madvise':
        // Of another address space only what loses nothing.
        if (this.processes.get(operation.q)?.mm === mm) this.advise(mm, operation, isDone);
        break;
      case 'brk_at':
        mm.brk = operation.end ?? operation.at;
        break;
      case 'inherit':
        this.inherit(mm, this.processes.get(operation.q)?.mm, operation, isDone);
        break;
      case 'brk':
        if (result.ret < mm.brk) mm.unmap(result.ret, mm.brk - result.ret);
        if (result.ret > mm.brk) mm.mapZeros(mm.brk, result.ret);
        mm.brk = result.ret;
        break;
      case 'fork':
        if (isDone) this.fork(process, operation.p, operation.c);
        break;
      case 'vfork':
      case 'clone_vm':
        if (isDone) this.processes.set(operation.c, new ShadowProcess(mm, process));
        break;
      case 'exec':
        if (isDone) process.mm = new ShadowMm();
        break;
      case 'exit':
        this.processes.delete(operation.p);
        break;
      case 'read':
        this.compareRead(mm, operation.p, operation.at, result);
        break;
      case 'write':
        this.write(mm, operation.at, operation.n, operation.v, result);
        break;
      case 'pvm_write': {
        const target = this.processes.get(operation.q)?.mm;
        if (target !== undefined) this.writeRemotely(target, operation, isDone);
        break;
      }
      case 'mem_write':
        this.writeRemotely(mm, operation, isDone);
        break;
      case 'vmsplice':
        if (isDone) this.splice(process, operation.at, result.ret, operation.id);
        break;
      case 'vmdrain':
        if (isDone) this.drain(process, operation.p, operation.id, result);
        break;
      case 'pin':
      case 'pin_read':
        if (isDone) this.pin(process, operation.at, operation.n, operation.id);
        break;
      case 'unpin':
        if (isDone) this.unpin(process, operation.id);
        break;
      case 'uffd_copy':
      case 'uffd_zero':
        this.fill(mm, operation.at, operation.n, operation.op === 'uffd_copy' ? operation.v : 0, {
          isDone,
          mayBePartial: result.err === 'EAGAIN',
        });
        break;
      case 'uffd_move':
        if (isDone || result.err === 'EAGAIN') this.move(mm, operation, isDone);
        break;
      case 'ksm_merge':
        if (result.err !== 'EINVAL') this.equate(mm, operation);
        break;
      case 'memory_failure':
        this.lose(operation.at, operation.n);
        break;
      default:
    }
    if (!isDone) this.forgetUnmapped(process, operation.p);
  }

  private map(mm: ShadowMm, operation: Extract<Operation, { op: 'mmap' }>, at: number): void {
    const words = operation.flags.split('|');
    const isShared = words.includes('shared');
    const hugeUnit = words.includes('hugetlb1g')
      ? GIGANTIC_PAGES
      : words.includes('hugetlb')
        ? HUGE_PAGES
        : 1;
    let file = operation.file === undefined ? undefined : this.files.get(operation.file);
    if (words.includes('anon')) file = undefined;
    const unit = file?.unitPages ?? hugeUnit;
    if (file === undefined && isShared) file = new ShadowFile(unit);
    const index = words.includes('anon') ? 0 : (operation.off ?? 0);
    const end = at + Math.ceil(operation.n / unit) * unit;
    mm.map({ start: at, end, file, index, isShared, unitPages: unit });
  }

  private advise(
    mm: ShadowMm,
    operation: Extract<Operation, { op: 'madvise' | 'process_madvise' }>,
    isDone: boolean,
  ): void {
    const { advice, at, n } = operation;
    if (advice === 'remove') {
      this.removeFromFile(mm, at, n, isDone);
      return;
    }
    for (const [, page] of mm.knownIn(at, n)) {
      if (DROPPING.has(advice)) {
        if (isDone && page.unitPages === 1) page.drop();
        else page.dropMaybe();
      } else if (advice === 'free') {
        page.mayRevert = true;
      }
    }
  }

  /** A hole where a shared mapping shows the file. */
  private removeFromFile(mm: ShadowMm, at: number, n: number, isDone: boolean): void {
    for (let i = at; i < at + n; i += 1) {
      const page = mm.page(i);
      if (page === undefined || !page.isShared || page.file === undefined) continue;
      const { file, index } = page;
      if (isDone) file.page(index).set(0);
      else file.page(index).setMaybe(0);
      if (isDone && i === at) dropCopiesInHole(this.processes.values(), file, index, index + n);
    }
  }

  private fork(parent: ShadowProcess, p: number, c: number): void {
    const { regionStart, kernel } = this.machine;
    const [parentMm, childMm] = [kernel.processes.get(p)?.mm, kernel.processes.get(c)?.mm];
    const mm = new ShadowMm();
    mm.brk = parent.mm.brk;
    for (const { start, end } of childMm?.vmas ?? []) {
      const [at, behind] = [start - regionStart, end - regionStart];
      const vma = parentMm === undefined ? undefined : findVma(parentMm, start);
      if (vma !== undefined && (vma.flags & VM_WIPEONFORK) !== 0) {
        mm.mapZeros(at, behind);
        continue;
      }
      mm.inherit(parent.mm, at, behind - at);
      // Its owner took pages from the parent, which gets a signal there; the child starts anew.
      if (vma?.lostHugePages !== true) continue;
      for (const [, page] of mm.knownIn(at, behind - at)) page.dropMaybe();
    }
    this.processes.set(c, new ShadowProcess(mm, parent));
  }

  /** What the child gets anew; of a call that failed, as far as it came. */
  private inherit(
    child: ShadowMm,
    parent: ShadowMm | undefined,
    { at, n }: { readonly at: number; readonly n: number },
    isDone: boolean,
  ): void {
    if (parent === undefined || parent === child) return;
    if (isDone) {
      child.inherit(parent, at, n);
      return;
    }
    for (const [page, { own }] of parent.knownIn(at, n)) {
      if (own !== undefined) child.page(page)?.writeMaybe(own);
    }
  }

  private compareRead(mm: ShadowMm, p: number, at: number, { vals }: OperationResult): void {
    forEachValue(vals, (value, i) => {
      if (typeof value !== 'number') return;
      const page = mm.pageOrStack(at + i);
      if (page.accepts(value)) return;
      this.problems.push(`process ${p} reads ${value} at ${at + i}, which holds ${page.expected}`);
    });
  }

  private write(mm: ShadowMm, at: number, n: number, v: number, result: OperationResult): void {
    const failed = new Set<number>();
    forEachValue(result.vals, (value, i) => {
      if (typeof value !== 'number') failed.add(i);
    });
    for (let i = 0; i < n; i += 1) if (!failed.has(i)) mm.pageOrStack(at + i).write(v);
  }

  private writeRemotely(
    mm: ShadowMm,
    { at, n, v }: { readonly at: number; readonly n: number; readonly v: number },
    isDone: boolean,
  ): void {
    for (let i = at; i < at + n; i += 1) {
      // It grows a stack, as an access of the process does.
      if (isDone) mm.pageOrStack(i).write(v);
      else mm.page(i)?.writeMaybe(v);
    }
  }

  private splice(process: ShadowProcess, at: number, n: number, id: number): void {
    const pipe = process.pipes.get(id) ?? [];
    process.pipes.set(id, pipe);
    for (let i = at; i < at + n; i += 1) {
      pipe.push(process.mm.pageOrStack(i).watch());
    }
  }

  private drain(process: ShadowProcess, p: number, id: number, { vals }: OperationResult): void {
    const pipe = process.pipes.get(id) ?? [];
    let taken = 0;
    forEachValue(vals, (value, i) => {
      taken = i + 1;
      const watcher = pipe[i];
      if (typeof value !== 'number' || watcher === undefined || watcher.accepts(value)) return;
      this.problems.push(
        `process ${p} reads ${value} from pipe ${id}, never written by its source`,
      );
    });
    pipe.splice(0, taken);
    process.pipes.delete(id);
  }

  private pin(process: ShadowProcess, at: number, n: number, id: number): void {
    const pages: PinnedPage[] = [];
    for (let i = at; i < at + n; i += 1) {
      const page = process.mm.pageOrStack(i);
      pages.push({ page, generation: page.generation });
    }
    process.rings.set(id, pages);
  }

  private unpin(process: ShadowProcess, id: number): void {
    const pages = process.rings.get(id);
    if (pages !== undefined) pages.length = 0;
    process.rings.delete(id);
  }

  private fill(
    mm: ShadowMm,
    at: number,
    n: number,
    value: number,
    outcome: { readonly isDone: boolean; readonly mayBePartial: boolean },
  ): void {
    for (let i = at; i < at + n; i += 1) {
      if (outcome.isDone) mm.pageOrStack(i).write(value);
      else if (outcome.mayBePartial) mm.pageOrStack(i).writeMaybe(value);
    }
  }

  private move(
    mm: ShadowMm,
    { at, n, to }: { readonly at: number; readonly n: number; readonly to: number },
    isDone: boolean,
  ): void {
    for (let i = 0; i < n; i += 1) {
      const [source, target] = [mm.pageOrStack(at + i), mm.pageOrStack(to + i)];
      if (isDone) target.takeFrom(source);
      else {
        target.writeMaybe(source.expected);
        source.dropMaybe();
      }
    }
  }

  /**
   * A move of several mappings that failed at one of them: those before it are moved. Where their
   * places stay mapped it cannot be seen how far that came, but what is registered stops it.
   */
  private remapBegun(
    mm: ShadowMm,
    operation: Extract<Operation, { op: 'mremap' }>,
    err: string | undefined,
  ): void {
    const { p, at, n, to, flags } = operation;
    if (to === undefined || n !== operation.new || !flags.includes('fixed')) return;
    const isKept = flags.includes('dontunmap');
    if (isKept && err !== 'EFAULT') {
      this.move(mm, { at, n, to }, false);
      return;
    }
    const { kernel, regionStart } = this.machine;
    const start = at + regionStart;
    const vmas = kernel.processes.get(p)?.mm.vmas.filter(({ end }) => end > start) ?? [];
    const stop = isKept ? vmas.find((vma) => isUffdArmed(vma)) : vmas[0];
    // Nothing is registered: it was the first that failed.
    if (isKept && stop === undefined) return;
    const moved = stop === undefined ? n : Math.min(n, Math.max(0, stop.start - start));
    mm.move(at, moved, to, moved, isKept);
  }

  /**
   * A merge that was given says that two pages are equal: whoever shares the first one, wherever it
   * is, may see what the second one holds.
   */
  private equate(mm: ShadowMm, operation: Extract<Operation, { op: 'ksm_merge' }>): void {
    const target = this.processes.get(operation.q)?.mm.page(operation.to);
    const old = mm.page(operation.at)?.expected;
    if (target === undefined || old === undefined) return;
    const values = [target.expected, ...target.maybe];
    for (const { mm: other } of this.processes.values()) {
      for (const [, page] of other.knownPages()) {
        if (page.isShared || !page.accepts(old)) continue;
        for (const value of values) if (!page.accepts(value)) page.writeMaybe(value);
      }
    }
  }

  /** Hardware lost these pages, for whoever shares them. */
  private lose(at: number, n: number): void {
    for (const { mm } of this.processes.values()) {
      // A huge page of hugetlb is lost as a whole.
      const unit = mm.page(at)?.unitPages ?? 1;
      const first = Math.floor(at / unit) * unit;
      const end = Math.ceil((at + n) / unit) * unit;
      for (let i = first; i < end; i += 1) {
        const page = mm.page(i);
        if (page === undefined) continue;
        page.dropMaybe();
        if (page.isShared) page.writeMaybe(0);
      }
    }
  }

  private observeFile(
    operation: Extract<Operation, { op: 'filewrite' | 'fileread' | 'punch' | 'ftruncate' }>,
    result: OperationResult,
  ): void {
    const file = this.files.get(operation.file);
    if (file === undefined) return;
    if (operation.op === 'ftruncate') {
      truncate(this.processes.values(), file, operation.n);
      return;
    }
    const { at, n } = operation;
    if (operation.op === 'fileread') {
      forEachValue(result.vals, (value, i) => {
        if (typeof value !== 'number' || file.page(at + i).accepts(value)) return;
        // A read cut short by the end of the file: what a large folio holds behind it is not read.
        if (value === 0 && result.ret < 0) return;
        const held = file.page(at + i).value;
        this.problems.push(`file ${operation.file} gives ${value} at ${at + i}, it holds ${held}`);
      });
      return;
    }
    if (operation.op === 'punch') {
      dropCopiesInHole(this.processes.values(), file, at, at + n);
    }
    for (let i = at; i < at + n; i += 1) {
      if (operation.op === 'punch') file.page(i).set(0);
      else if (operation.op === 'filewrite' && result.ret < 0) file.page(i).setMaybe(operation.v);
      else if (operation.op === 'filewrite') file.page(i).set(operation.v);
    }
  }

  /** After a failure, pages that lie in no VMA any more are forgotten. */
  private forgetUnmapped(process: ShadowProcess, p: number): void {
    const { kernel, regionStart } = this.machine;
    const mm = kernel.processes.get(p)?.mm;
    if (mm === undefined) return;
    process.mm.retain(
      mm.vmas.map(({ start, end }) => ({ start: start - regionStart, end: end - regionStart })),
    );
  }
}

function remap(mm: ShadowMm, operation: Extract<Operation, { op: 'mremap' }>, to: number): void {
  const { at, n, flags } = operation;
  mm.move(at, n, to, operation.new, flags.includes('dontunmap'));
}
