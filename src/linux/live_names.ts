// oxlint-disable unicorn/no-null -- the state format has null
import type { MachineState } from '../trace/state.js';
import type { KernelAddress, Observation, ObservedFolio } from './live_observation.js';
import { folioState } from './live_folio.js';

/** Numbers things in the order in which they are first seen. */
export class FirstSeen {
  readonly #letter: string;
  readonly #names = new Map<string, string>();

  constructor(letter: string) {
    this.#letter = letter;
  }

  name(key: string): string {
    const name = this.#names.get(key) ?? `${this.#letter}${this.#names.size}`;
    this.#names.set(key, name);
    return name;
  }

  /** The name of a thing that was seen, null of another. */
  known(key: string | undefined): string | null {
    return (key === undefined ? undefined : this.#names.get(key)) ?? null;
  }

  /** Keys in order of their numbers; those added meanwhile come too. */
  keys(): MapIterator<string> {
    return this.#names.keys();
  }
}

/** The names that one state gives to kernel objects. */
export class LiveNames {
  readonly anonVmas = new FirstSeen('A');
  /** Processes by mm, and by mm_id. */
  readonly processOfMm: ReadonlyMap<KernelAddress, number>;
  readonly processOfMmId: ReadonlyMap<number, number>;
  /** States of the folios that were named. */
  readonly folios: Record<string, MachineState['folios'][string]> = {};

  readonly #folioNames = new FirstSeen('F');
  readonly #folios: ReadonlyMap<number, ObservedFolio>;
  readonly #slots = new Map<string, number>();
  readonly #files = new Map<KernelAddress, string>();
  readonly #scenarioFiles: ReadonlyMap<string, string>;
  #unnamedFiles = 0;

  /** `scenarioFiles`: the scenario's names of files by `device inode`. */
  constructor(observation: Observation, scenarioFiles: ReadonlyMap<string, string>) {
    this.processOfMm = new Map(observation.mms.map(([process, , mm]) => [mm, process]));
    this.processOfMmId = new Map(observation.mms.map(([process, , , id]) => [id, process]));
    this.#folios = new Map(observation.folios.map((folio) => [folio.frame, folio]));
    this.#scenarioFiles = scenarioFiles;
  }

  folioAt(headFrame: number): ObservedFolio | undefined {
    return this.#folios.get(headFrame);
  }

  folio(folio: ObservedFolio, isFileMapping: boolean): string {
    const name = this.#folioNames.name(String(folio.frame));
    this.folios[name] ??= folioState(folio, isFileMapping, this);
    return name;
  }

  slot(type: number, offset: number): number {
    const key = `${type}:${offset}`;
    const slot = this.#slots.get(key) ?? this.#slots.size;
    this.#slots.set(key, slot);
    return slot;
  }

  /**
   * A file of the scenario by its own name; shared anonymous memory is numbered as it appears.
   * `identity` is what smaps says of the first mapping of it.
   */
  file(mapping: KernelAddress, identity: string | undefined): string {
    const known = this.#files.get(mapping);
    if (known !== undefined) return known;
    const given = identity === undefined ? undefined : this.#scenarioFiles.get(identity);
    const name = given ?? `anonshm${this.#unnamedFiles++}`;
    this.#files.set(mapping, name);
    return name;
  }
}
