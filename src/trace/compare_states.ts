/**
 * Comparison of two machine states. Ids (anon_vmas, folios, swap slots, shared anonymous files)
 * are paired in the order in which both sides are first seen, so the numbering of either side does
 * not matter. Soft fields are left out: whether a page was touched since somebody looked.
 */
import { compareRuns } from './compare_runs.js';
import { DifferenceList, hardFlags } from './difference.js';
import type { Reporter, StateComparison } from './difference.js';
import { IdPairs } from './id_pairs.js';
import type {
  AnonVmaState,
  FolioState,
  MachineState,
  StateFile,
  StateResult,
  VmaState,
} from './state.js';

/** smaps fields that depend on who looked at the accessed bits. */
const SOFT_SMAPS = new Set(['Referenced']);

export interface CompareOptions {
  readonly mostListed?: number;
}

const MOST_LISTED = 50;

/** Everything that the comparison of one state carries along. */
interface Pairing {
  readonly report: Reporter;
  readonly anonVmas: IdPairs;
  readonly folios: IdPairs;
  readonly slots: IdPairs;
  readonly files: IdPairs;
}

/** Compares one state with the expected one. */
export function compareStates(
  expected: MachineState,
  actual: MachineState,
  options: CompareOptions = {},
): StateComparison {
  const list = new DifferenceList(expected.label, options.mostListed ?? MOST_LISTED);
  compareInto(list, expected, actual);
  return list.finish();
}

/** Compares all results and states of two files. */
export function compareStateFiles(
  expected: StateFile,
  actual: StateFile,
  options: CompareOptions = {},
): StateComparison {
  const list = new DifferenceList('', options.mostListed ?? MOST_LISTED);
  compareResults(list, expected.results, actual.results);
  list.equal('', 'number of states', expected.states.length, actual.states.length);
  for (const [i, state] of expected.states.entries()) {
    const other = actual.states[i];
    if (other === undefined) break;
    list.state = state.label;
    list.equal('', 'label', state.label, other.label);
    compareInto(list, state, other);
  }
  return list.finish();
}

function compareResults(
  list: DifferenceList,
  expected: readonly StateResult[],
  actual: readonly StateResult[],
): void {
  const others = new Map(actual.map((result) => [result.i, result]));
  for (const result of expected) {
    const other = others.get(result.i);
    const where = `operation ${result.i}`;
    if (other === undefined) {
      list.add(where, 'result', 'an answer', 'none');
      continue;
    }
    list.equal(where, 'ret', result.ret, other.ret);
    list.equal(where, 'err', result.err ?? '', other.err ?? '');
    list.equal(where, 'vals', JSON.stringify(result.vals ?? []), JSON.stringify(other.vals ?? []));
  }
  list.equal('', 'number of results', expected.length, actual.length);
}

function compareInto(list: DifferenceList, expected: MachineState, actual: MachineState): void {
  const pairing: Pairing = {
    report: list,
    anonVmas: new IdPairs(),
    folios: new IdPairs(),
    slots: new IdPairs(),
    files: new IdPairs(),
  };
  const processes = new Set([...Object.keys(expected.procs), ...Object.keys(actual.procs)]);
  for (const process of [...processes].sort((left, right) => Number(left) - Number(right))) {
    const left = expected.procs[process];
    const right = actual.procs[process];
    if (left === undefined || right === undefined) {
      list.add(`process ${process}`, 'existence', existence(left), existence(right));
      continue;
    }
    compareVmas(pairing, process, left.vmas, right.vmas);
  }
  compareFolios(pairing, expected, actual);
  compareAnonVmas(pairing, expected, actual);
}

function existence(process: unknown): string {
  return process === undefined ? 'no process' : 'a process';
}

function compareVmas(
  pairing: Pairing,
  process: string,
  expected: readonly VmaState[],
  actual: readonly VmaState[],
): void {
  const others = new Map(actual.map((vma) => [vma.at, vma]));
  for (const vma of expected) {
    const where = `process ${process} VMA ${vma.at}`;
    const other = others.get(vma.at);
    if (other === undefined) {
      pairing.report.add(where, 'existence', `a VMA of ${vma.n} pages`, 'no VMA starts here');
      continue;
    }
    others.delete(vma.at);
    compareVma(pairing, where, vma, other);
  }
  for (const vma of others.values()) {
    const where = `process ${process} VMA ${vma.at}`;
    pairing.report.add(where, 'existence', 'no VMA starts here', `a VMA of ${vma.n} pages`);
  }
}

function compareVma(pairing: Pairing, where: string, expected: VmaState, actual: VmaState): void {
  const { report, anonVmas } = pairing;
  report.equal(where, 'n', expected.n, actual.n);
  report.equal(where, 'pgoff', expected.pgoff, actual.pgoff);
  report.equal(where, 'VmFlags', expected.flags, actual.flags);
  compareFile(pairing, where, expected.file, actual.file);
  report.paired(where, 'anon_vma', anonVmas, expected.av, actual.av);
  report.equal(where, 'length of the AVC list', expected.avc.length, actual.avc.length);
  for (const [i, id] of expected.avc.entries()) {
    const other = actual.avc[i];
    if (other !== undefined) report.paired(where, `AVC ${i}`, anonVmas, id, other);
  }
  for (const key of new Set([...Object.keys(expected.smaps), ...Object.keys(actual.smaps)])) {
    if (SOFT_SMAPS.has(key)) continue;
    report.equal(where, `smaps ${key}`, expected.smaps[key] ?? 0, actual.smaps[key] ?? 0);
  }
  compareRuns(pairing, where, expected.pages, actual.pages);
}

/** Shared anonymous memory has a file whose number depends on who counts. */
function compareFile(
  pairing: Pairing,
  where: string,
  expected: string | undefined,
  actual: string | undefined,
): void {
  if (expected?.startsWith('anonshm') === true && actual?.startsWith('anonshm') === true) {
    pairing.report.paired(where, 'file', pairing.files, expected, actual);
  } else {
    pairing.report.equal(where, 'file', expected ?? '', actual ?? '');
  }
}

/** Roots and parents that no VMA names are paired while the list is walked. */
function compareAnonVmas(pairing: Pairing, expected: MachineState, actual: MachineState): void {
  const { report, anonVmas } = pairing;
  for (let i = 0; i < anonVmas.pairs.length; i += 1) {
    const [left = '', right = ''] = anonVmas.pairs[i] ?? [];
    const where = `anon_vma ${left}`;
    const [one, other] = [expected.anon_vmas[left], actual.anon_vmas[right]];
    if (one === undefined || other === undefined) {
      report.equal(where, 'existence', one !== undefined, other !== undefined);
      continue;
    }
    report.paired(where, 'root', anonVmas, one.root, other.root);
    report.paired(where, 'parent', anonVmas, one.parent, other.parent);
    report.equal(where, 'num_children', one.children, other.children);
    report.equal(where, 'num_active_vmas', one.active, other.active);
    report.equal(where, 'refcount', one.refs, other.refs);
    report.equal(where, 'interval tree', walkText(one), walkText(other));
  }
  const [left, right] = [
    Object.keys(expected.anon_vmas).length,
    Object.keys(actual.anon_vmas).length,
  ];
  report.equal('', 'number of anon_vmas', left, right);
}

function walkText(anonVma: AnonVmaState): string {
  if (anonVma.walk === null) return 'not listed';
  return anonVma.walk.map(([process, start]) => `${process}:${start}`).join(' ');
}

function compareFolios(pairing: Pairing, expected: MachineState, actual: MachineState): void {
  for (const [left, right] of pairing.folios.pairs) {
    const where = `folio ${left}`;
    const [one, other] = [expected.folios[left], actual.folios[right]];
    if (one === undefined || other === undefined) {
      pairing.report.equal(where, 'existence', one !== undefined, other !== undefined);
      continue;
    }
    compareFolio(pairing, where, one, other);
  }
  const [left, right] = [Object.keys(expected.folios).length, Object.keys(actual.folios).length];
  pairing.report.equal('', 'number of folios', left, right);
}

const FOLIO_NUMBERS = [
  'order',
  'index',
  'refs',
  'mapcount',
  'entire',
  'nr_pages_mapped',
  'pincount',
  'maybe_shared',
  'deferred',
  'hugetlb',
  'ksm_len',
] as const;

function compareFolio(
  pairing: Pairing,
  where: string,
  expected: FolioState,
  actual: FolioState,
): void {
  const { report, anonVmas } = pairing;
  report.equal(where, 'kind', expected.kind, actual.kind);
  for (const field of FOLIO_NUMBERS) {
    report.equal(where, field, expected[field] ?? 0, actual[field] ?? 0);
  }
  report.paired(where, 'anon_vma', anonVmas, expected.av, actual.av);
  compareFile(pairing, where, expected.file, actual.file);
  report.equal(where, 'flags', hardFlags(expected.flags), hardFlags(actual.flags));
  report.equal(where, 'flags2', hardFlags(expected.flags2), hardFlags(actual.flags2));
  report.equal(where, 'MM-ID slots', slotsText(expected), slotsText(actual));
  const items = expected.ksm ?? [];
  const others = actual.ksm ?? [];
  // A dump of Linux holds the first items only; `ksm_len` counts all.
  if (items.length === (expected.ksm_len ?? items.length)) {
    report.equal(where, 'number of rmap_items', items.length, others.length);
  }
  for (const [i, item] of items.entries()) {
    const other = others[i];
    if (other === undefined) continue;
    report.equal(where, `rmap_item ${i} process`, item.p ?? 'gone', other.p ?? 'gone');
    report.equal(where, `rmap_item ${i} page`, item.at, other.at);
    report.paired(where, `rmap_item ${i} anon_vma`, anonVmas, item.av, other.av);
  }
}

function slotsText(folio: FolioState): string {
  const slots = folio.mm ?? [];
  return slots.map((slot) => (slot === null ? 'empty' : `${slot.p}×${slot.mapcount}`)).join(' ');
}
