/** From one look at the kernel's structures to the state format of scenarios. */
import { REGION_START_PAGE } from '../trace/scenario.js';
import type { AnonVmaState, MachineState, ProcessState, VmaState } from '../trace/state.js';
import { LiveNames } from './live_names.js';
import type { Observation, ObservedVma } from './live_observation.js';
import { pageRuns } from './live_pages.js';
import type { SmapsVma } from './smaps_fields.js';

/** What a state needs besides the observation. */
export interface StateContext {
  readonly label: string;
  /** Number of the operation before which the look was taken. */
  readonly op: number;
  /** Mappings of smaps by process. */
  readonly smaps: ReadonlyMap<number, readonly SmapsVma[]>;
  /** The scenario's names of files by `device inode`, as smaps prints them. */
  readonly fileNames: ReadonlyMap<string, string>;
}

/** The state as the scenario format has it: names by first sight, runs of equal pages. */
export function liveState(observation: Observation, context: StateContext): MachineState {
  const names = new LiveNames(observation, context.fileNames);
  const vmas = [...observation.vmas].sort((left, right) =>
    left.p === right.p ? left.start - right.start : left.p - right.p,
  );
  // All of them before the first folio, since folios refer to them.
  for (const { av, avc } of vmas) {
    for (const key of av === undefined ? avc : [av, ...avc]) names.anonVmas.name(key);
  }
  const anonVmas = anonVmaStates(observation, names);
  const procs: Record<string, ProcessState> = {};
  for (const process of observation.mms.map(([p]) => p).sort((left, right) => left - right)) {
    const smaps = new Map(context.smaps.get(process)?.map((vma) => [vma.start, vma]));
    const own = vmas.filter(({ p }) => p === process);
    procs[process] = { vmas: own.map((vma) => vmaState(vma, smaps.get(vma.start), names)) };
  }
  const { label, op } = context;
  return { label, op, procs, anon_vmas: anonVmas, folios: names.folios };
}

function anonVmaStates(observation: Observation, names: LiveNames): Record<string, AnonVmaState> {
  const observed = new Map(observation.anonVmas.map((anonVma) => [anonVma.id, anonVma]));
  const vmas = new Map(observation.vmas.map((vma) => [vma.id, vma]));
  const states: Record<string, AnonVmaState> = {};
  // Roots and parents are named on the way and come at the end.
  for (const key of names.anonVmas.keys()) {
    const anonVma = observed.get(key);
    if (anonVma === undefined) continue;
    const { root, parent, children, active, refs, walk } = anonVma;
    states[names.anonVmas.name(key)] = {
      root: names.anonVmas.name(root),
      parent: names.anonVmas.name(parent),
      children,
      active,
      refs,
      walk: walk.flatMap((id) => {
        const vma = vmas.get(id);
        return vma === undefined ? [] : [[vma.p, vma.start - REGION_START_PAGE] as const];
      }),
    };
  }
  return states;
}

function vmaState(vma: ObservedVma, smaps: SmapsVma | undefined, names: LiveNames): VmaState {
  const file = vma.file === undefined ? undefined : names.file(vma.file, smaps?.file);
  return {
    at: vma.start - REGION_START_PAGE,
    n: vma.end - vma.start,
    pgoff: file === undefined ? vma.pgoff - REGION_START_PAGE : vma.pgoff,
    flags: smaps?.flags ?? '',
    ...(file === undefined ? {} : { file }),
    av: names.anonVmas.known(vma.av),
    avc: vma.avc.map((key) => names.anonVmas.name(key)),
    smaps: smaps?.kib ?? {},
    pages: pageRuns(vma, file !== undefined, names),
  };
}
