/** Neighbours that an operation should have merged (spec 90 A6, number 46). */
import type { Machine } from '../kernel/machine.js';
import type { Operation, OperationResult } from '../kernel/operation.js';
import type { Mm } from '../kernel/vm/mm.js';
import type { Vma } from '../kernel/vm/vma.js';
import { VM_MAYBE_GUARD, VM_SOFTDIRTY, VM_SPECIAL } from '../kernel/vm/vm_flags.js';

/** Id under which such neighbours are reported, beside the ids of the invariants. */
export const MERGE_INVARIANT = 'vma.merged';

/** Pages [start, end). */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** What two neighbours must have in common. */
interface Kind extends Range {
  readonly flags: number;
  readonly file: Vma['file'];
  /** How far page numbers are ahead of offsets. */
  readonly shift: number;
}

/** An address space as it was before an operation. */
interface Before {
  readonly kinds: readonly Kind[];
  readonly brk: number;
}

/**
 * Knows what each address space was like before an operation, because history may leave neighbours
 * that could be one: only those count of which the operation changed one or both. The predicate
 * (spec 10 §9.3) is written down here once more, from the point of view of the outcome.
 */
export class MergeOracle {
  private readonly machine: Machine;
  private before = new Map<Mm, Before>();
  private mayFail = false;

  constructor(machine: Machine) {
    this.machine = machine;
    this.remember();
  }

  /** Boundaries that the operation left between what should be one VMA, one sentence each. */
  after(operation: Operation, result: OperationResult): string[] {
    const wrong = this.mayFail || result.ret < 0 ? [] : this.leftApart(operation, result);
    this.remember();
    return wrong;
  }

  private remember(): void {
    const { kernel } = this.machine;
    // A merge that lacks memory is left undone.
    this.mayFail = kernel.failAllocation !== 0;
    this.before = new Map(
      [...kernel.mms].map((mm) => [mm, { kinds: mm.vmas.map((vma) => kindOf(vma)), brk: mm.brk }]),
    );
  }

  private leftApart(operation: Operation, result: OperationResult): string[] {
    if (!('p' in operation)) return [];
    const mm = this.machine.kernel.processes.get(operation.p)?.mm;
    if (mm === undefined) return [];
    const before = this.before.get(mm);
    if (before === undefined) return [];
    const found = rangeOf(operation, result, this.machine.regionStart, mm, before);
    if (found === undefined) return [];
    const isNew = operation.op === 'mmap' || operation.op === 'brk';
    const grows = operation.op === 'mremap' && result.ret === operation.at;
    const wrong: string[] = [];
    for (const [i, upper] of mm.vmas.entries()) {
      const lower = mm.vmas[i - 1];
      const at = upper.start;
      if (lower?.end !== at || at < found.start || at > found.end) continue;
      // A heap that begins never joins what lies before it.
      if (operation.op === 'brk' && at === mm.startBrk) continue;
      // The source of a move loses its anon_vma last, and nobody looks at its neighbours then.
      if (operation.op === 'mremap' && (lower.lostAnonVma || upper.lostAnonVma)) continue;
      const lowerChanged = isChanged(before.kinds, lower, at - 1);
      const upperChanged = isChanged(before.kinds, upper, at);
      if (!lowerChanged && !upperChanged) continue;
      // Ranges are worked on upwards: of two that changed, the upper one came second.
      const [source, target] = upperChanged ? [upper, lower] : [lower, upper];
      const wasMapped = !isNew || source.start < found.start || source.end > found.end;
      if (!isSameKind(lower, upper) || !canShare(target, source, wasMapped, grows)) continue;
      wrong.push(`mm ${mm.id}: ${operation.op} left the VMAs at ${lower.start} and ${at} apart`);
    }
    return wrong;
  }
}

/** Where the operation may merge; undefined: nowhere. */
function rangeOf(
  operation: Operation,
  result: OperationResult,
  regionStart: number,
  mm: Mm,
  before: Before,
): Range | undefined {
  switch (operation.op) {
    case 'mmap':
      return rangeAt(result.ret + regionStart, operation.n);
    case 'mremap':
      // The registration of a moved VMA ends when it is merged already.
      if (mm.uffd !== undefined) return undefined;
      return rangeAt(result.ret + regionStart, operation.new);
    case 'brk':
      return { start: Math.min(before.brk, mm.brk), end: mm.brk };
    case 'mprotect':
    case 'madvise':
    case 'mlock':
    case 'munlock':
    case 'uffd_register':
    case 'uffd_unregister':
      return rangeAt(operation.at + regionStart, operation.n);
    default:
      return undefined;
  }
}

function rangeAt(start: number, pages: number): Range {
  return { start, end: start + pages };
}

function kindOf({ start, end, flags, file, pgoff }: Vma): Kind {
  const kept = flags & ~(VM_SOFTDIRTY | VM_MAYBE_GUARD);
  return { start, end, flags: kept, file, shift: start - pgoff };
}

function isEqualKind(one: Kind, other: Kind): boolean {
  return one.flags === other.flags && one.file === other.file && one.shift === other.shift;
}

/** Whether the page was something else before. */
function isChanged(before: readonly Kind[], vma: Vma, page: number): boolean {
  const old = before.find(({ start, end }) => start <= page && page < end);
  return old === undefined || !isEqualKind(old, kindOf(vma));
}

function isSameKind(lower: Vma, upper: Vma): boolean {
  return (
    ((lower.flags | upper.flags) & VM_SPECIAL) === 0 && isEqualKind(kindOf(lower), kindOf(upper))
  );
}

/**
 * Whether the pages of `source` may get the anon_vmas of `target`. New memory (`wasMapped` false)
 * had none when it was to be merged, whatever it has now. Those of a fork child are not copied; a
 * VMA that `grows` in place keeps them.
 */
function canShare(target: Vma, source: Vma, wasMapped: boolean, grows: boolean): boolean {
  const own = wasMapped ? source.anonVma : undefined;
  if (target.anonVma === undefined && own === undefined) return true;
  if (target.anonVma === undefined) return grows || source.anonVmaChain.length === 1;
  if (own === undefined) return target.anonVmaChain.length === 1;
  return target.anonVma === own;
}
