import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { compareStateFiles, compareStates } from './compare_states.js';
import { describeDifference } from './difference.js';
import type { MachineState, StateFile } from './state.js';
import { formatStateFile, parseStateFile } from './state.js';

const CASES = fileURLToPath(new URL('../../test/cases', import.meta.url));

function readCase(file: string): StateFile {
  return parseStateFile(readFileSync(join(CASES, file), 'utf8'), file);
}

const FILES = readdirSync(CASES).filter((file) => file.endsWith('.state.json'));

/** The same state under other numbers: ids reversed, slots moved, files renamed. */
function renumbered(file: StateFile): StateFile {
  const text = JSON.stringify(file)
    .replaceAll(/"A(\d+)"/g, (_all, id: string) => `"A${999 - Number(id)}"`)
    .replaceAll(/"F(\d+)"/g, (_all, id: string) => `"F${9999 - Number(id)}"`)
    .replaceAll(/"anonshm(\d+)"/g, (_all, id: string) => `"anonshm${99 - Number(id)}"`)
    .replaceAll(/"slot":(\d+)/g, (_all, slot: string) => `"slot":${Number(slot) + 77}`);
  return JSON.parse(text) as StateFile;
}

/** The same pages in runs of one page each. */
function singlePages(file: StateFile): StateFile {
  return JSON.parse(JSON.stringify(file), (key, value: unknown) => {
    if (key !== 'pages' || !Array.isArray(value)) return value;
    return value.flatMap((run: { at: number; n: number; sub?: number; slot?: number }) =>
      Array.from({ length: run.n }, (_, i) => ({
        ...run,
        at: run.at + i,
        n: 1,
        ...(run.sub === undefined ? {} : { sub: run.sub + i }),
        ...(run.slot === undefined ? {} : { slot: run.slot + i }),
      })),
    );
  }) as StateFile;
}

/** Everything that depends on who looked at the accessed bits, changed. */
function softened(file: StateFile): StateFile {
  return JSON.parse(JSON.stringify(file), (key, value: unknown) => {
    if (key === 'y') return 1 - Number(value);
    if (key === 'flt' || key === 'maj') return Number(value) + 1;
    if (key === 'Referenced') return Number(value) + 4;
    if (key === 'kf') return `${String(value)},referenced`.replace(/^,/, '');
    if (key === 'flags' && Array.isArray(value)) return [...value, 'young'];
    return value;
  }) as StateFile;
}

/** One file per mechanism: enough for the slow transformations. */
const SOME = FILES.filter((_file, i) => i % 9 === 0);

describe('states', () => {
  it('of all cases are read and written without loss', () => {
    expect(FILES.length).toBeGreaterThan(600);
    for (const file of FILES) {
      const original: unknown = JSON.parse(readFileSync(join(CASES, file), 'utf8'));
      const parsed = readCase(file);
      expect(parsed).toEqual(original);
    }
    for (const file of SOME) {
      const parsed = readCase(file);
      expect(parseStateFile(formatStateFile(parsed), file)).toEqual(parsed);
    }
  });

  it('are refused with the place of what does not fit', () => {
    expect(() => parseStateFile('{', 'a.json')).toThrow('a.json: malformed JSON');
    expect(() => parseStateFile('{"results":[]}', 'a.json')).toThrow(/^a\.json: states: /);
    const bad =
      '{"results":[],"states":[{"label":"x","op":-1,"procs":{},"anon_vmas":{},"folios":{}}]}';
    expect(() => parseStateFile(bad, 'a.json')).toThrow(/^a\.json: states\.0\.op: /);
  });
});

describe('comparison of states', () => {
  it('finds no difference between a state and itself under other numbers and runs', () => {
    for (const file of FILES) {
      const state = readCase(file);
      expect([file, compareStateFiles(state, renumbered(state)).count]).toEqual([file, 0]);
    }
    for (const file of SOME) {
      const state = readCase(file);
      const other = singlePages(renumbered(state));
      expect([file, compareStateFiles(state, other).differences]).toEqual([file, []]);
      expect([file, compareStateFiles(other, state).count]).toEqual([file, 0]);
    }
  });

  it('leaves soft fields out', () => {
    for (const file of SOME) {
      const state = readCase(file);
      expect([file, compareStateFiles(state, softened(state)).differences]).toEqual([file, []]);
    }
  });

  it('finds every single change of a hard field', () => {
    const patterns = [
      /"(?:at|n|pgoff|children|active|refs|order|mapcount|kc|pmc|entire|pincount)":(\d+)/g,
      /"(?:nr_pages_mapped|ksm_len|Rss|Pss|Swap|slot|sub|index)":(\d+)/g,
      /"(?:w|d|x|ae|se|none|file|maybe_shared|deferred)":([01])/g,
    ];
    let changes = 0;
    for (const file of SOME) {
      const { results, states } = readCase(file);
      const text = JSON.stringify(states);
      for (const pattern of patterns) {
        const found = [...text.matchAll(pattern)];
        // Three places spread over the file.
        for (const match of [found[0], found[found.length >> 1], found.at(-1)]) {
          if (match === undefined) continue;
          const [all, number = ''] = match;
          const changed = number === '0' ? 1 : number === '1' ? 0 : Number(number) + 1;
          const at = match.index + all.length - number.length;
          const other = `${text.slice(0, at)}${changed}${text.slice(at + number.length)}`;
          // A slot by itself is only a number: the pairing may absorb the change.
          if (all.startsWith('"slot"')) continue;
          const comparison = compareStateFiles(
            { results, states },
            { results, states: JSON.parse(other) as MachineState[] },
          );
          expect([file, all, match.index, comparison.count > 0]).toEqual([
            file,
            all,
            match.index,
            true,
          ]);
          changes += 1;
        }
      }
    }
    expect(changes).toBeGreaterThan(400);
  });

  it('sees which pages share a folio and a swap slot', () => {
    const state = readCase('cow_basic.state.json');
    const text = JSON.stringify(state);
    const [first = '', second = ''] = [...new Set(text.match(/"F\d+"/g))];
    const merged = text.replace(`"folio":${second}`, `"folio":${first}`);
    expect(merged).not.toBe(text);
    const comparison = compareStateFiles(state, JSON.parse(merged) as StateFile);
    expect(comparison.differences.some(({ field }) => field === 'folio')).toBe(true);
    const swap = readCase('swap_fork_entries.state.json');
    const slots = JSON.stringify(swap);
    const one = slots.replace(/"slot":(\d+)/, '"slot":999');
    expect(compareStateFiles(swap, JSON.parse(one) as StateFile).count).toBeGreaterThan(0);
  });

  it('speaks of processes, VMAs and pages', () => {
    const { states } = readCase('cow_basic.state.json');
    const [state] = states;
    if (state === undefined) throw new Error('no state');
    const change = (edit: (copy: MachineState) => void) => {
      const copy = JSON.parse(JSON.stringify(state)) as MachineState;
      edit(copy);
      return compareStates(state, copy).differences.map(describeDifference);
    };
    const [vma] = state.procs['0']?.vmas ?? [];
    const at = vma?.at ?? -1;
    expect(change((copy) => Object.assign(copy.procs['0']?.vmas[0] ?? {}, { n: 999 }))).toEqual([
      `state ${state.label}, process 0 VMA ${at}, n: expected ${vma?.n}, got 999`,
    ]);
    expect(change((copy) => delete (copy.procs as Record<string, unknown>)['0'])).toContain(
      `state ${state.label}, process 0, existence: expected a process, got no process`,
    );
    const pages = change((copy) =>
      Object.assign(copy.procs['0']?.vmas[0]?.pages[0] ?? {}, { w: 7 }),
    );
    expect(pages).toHaveLength(1);
    expect(pages[0]).toMatch(/process 0 VMA \d+ pages? \d+(?:–\d+)?, w: expected \d, got 7$/);
  });

  it('counts all differences and lists the first', () => {
    const state = readCase('pin_thp_before_fork.state.json');
    const text = JSON.stringify(state).replaceAll('"kc":1', '"kc":3');
    const comparison = compareStateFiles(state, JSON.parse(text) as StateFile, { mostListed: 5 });
    expect(comparison.differences).toHaveLength(5);
    expect(comparison.count).toBeGreaterThan(500);
  });

  it('compares answers by the number of their operation', () => {
    const state = readCase('cow_basic.state.json');
    const [, ...rest] = state.results;
    const differences = compareStateFiles(state, { ...state, results: rest }).differences;
    expect(differences.map(describeDifference)).toEqual([
      'operation 0, result: expected an answer, got none',
      `number of results: expected ${rest.length + 1}, got ${rest.length}`,
    ]);
  });
});
