import { RmapError } from '../base/errors.js';
import type { Operation } from '../kernel/operation.js';
import { settingPath } from './live_settings.js';

/** A scenario in the words of native/actor: `name key=value …`, one line per operation. */
export class ActorScript {
  readonly operations: readonly Operation[];
  /** Names of files by their identity in smaps, as the actor reports it. */
  readonly fileNames = new Map<string, string>();
  /** Paths that `config` operations have written to. */
  readonly changedSettings = new Set<string>();
  readonly #fileNumbers = new Map<string, number>();

  constructor(operations: readonly Operation[]) {
    this.operations = operations;
  }

  /** The operation as a line for the actor. `restingValue` is asked before a setting changes. */
  line(operation: Operation, restingValue: (path: string) => string): string {
    if (operation.op === 'config') {
      const path = settingPath(operation.key);
      if (path === undefined) {
        throw new RmapError('input', `config: unknown key ${JSON.stringify(operation.key)}`);
      }
      restingValue(path);
      this.changedSettings.add(path);
      return `set path=${path} value=${operation.value}`;
    }
    const words: string[] = [operation.op];
    for (const [key, value] of Object.entries(operation)) {
      if (key === 'op') continue;
      const isFile = key === 'file' || (key === 'id' && operation.op === 'file');
      words.push(isFile ? `file=${this.#fileNumber(String(value))}` : `${key}=${value}`);
    }
    return words.join(' ');
  }

  #fileNumber(id: string): number {
    const number = this.#fileNumbers.get(id) ?? this.#fileNumbers.size;
    this.#fileNumbers.set(id, number);
    return number;
  }
}
