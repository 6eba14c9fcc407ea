// oxlint-disable unicorn/no-null -- the state format has null
/** Samples of what the observer printed for stored scenarios must become the stored states. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { compareStates } from '../trace/compare_states.js';
import type { MachineState } from '../trace/state.js';
import { parseStateFile } from '../trace/state.js';
import { stateOf } from './live_server.js';
import type { Observation } from './live_observation.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const samples = join(root, 'test/data/live');

interface Sample {
  readonly label: string;
  readonly op: number;
  readonly fileNames: ReadonlyArray<readonly [string, string]>;
  readonly smaps: ReadonlyArray<readonly [number, string]>;
  readonly observation: Observation;
}

function readSamples(name: string): Sample[] {
  const text = gunzipSync(readFileSync(join(samples, `${name}.json.gz`))).toString('utf8');
  return JSON.parse(text) as Sample[];
}

function stateFromSample({ label, op, fileNames, smaps, observation }: Sample): MachineState {
  return stateOf(label, { observation, smaps: new Map(smaps), fileNames: new Map(fileNames), op });
}

const names = readdirSync(samples).map((file) => file.replace('.json.gz', ''));

describe('liveState', () => {
  it.each(names)('%s: observed pages become the stored states', (name) => {
    const path = join(root, 'test/cases', `${name}.state.json`);
    const stored = parseStateFile(readFileSync(path, 'utf8'), path).states;
    const states = readSamples(name).map(stateFromSample);
    expect(states.map(({ label, op }) => [label, op])).toEqual(
      stored.map(({ label, op }) => [label, op]),
    );
    for (const [i, state] of states.entries()) {
      expect(compareStates(stored[i], state).differences).toEqual([]);
    }
  });

  it('cuts runs and numbers ids as the stored state does', () => {
    const path = join(root, 'test/cases/probe2_hugetlb_memfd_private.state.json');
    const [stored] = parseStateFile(readFileSync(path, 'utf8'), path).states;
    const state = stateFromSample(readSamples('probe2_hugetlb_memfd_private')[0]);
    expect(state).toEqual(stored);
  });

  it('names what is gone null: processes of rmap_items, their anon_vmas', () => {
    const [sample] = readSamples('ksm_dontneed');
    const { observation } = sample;
    const folios = observation.folios.map((folio) =>
      folio.ksm === undefined
        ? folio
        : { ...folio, ksm: [['dead', 0x1000005, 'gone'] as const, ...folio.ksm] },
    );
    const state = stateFromSample({ ...sample, observation: { ...observation, folios } });
    const ksm = Object.values(state.folios).find(({ kind }) => kind === 'ksm')?.ksm;
    expect(ksm?.slice(0, 2)).toEqual([
      { p: null, at: 5, av: null },
      { p: 0, at: 3, av: 'A0' },
    ]);
  });

  it('lists at most 24 rmap_items, as the format does', () => {
    const [sample] = readSamples('ksm_dontneed');
    const { observation } = sample;
    const folios = observation.folios.map((folio) =>
      folio.ksm === undefined
        ? folio
        : { ...folio, ksmLength: 100, ksm: Array.from({ length: 100 }, () => folio.ksm![0]) },
    );
    const state = stateFromSample({ ...sample, observation: { ...observation, folios } });
    const folio = Object.values(state.folios).find(({ kind }) => kind === 'ksm');
    expect([folio?.ksm?.length, folio?.ksm_len]).toEqual([24, 100]);
  });

  it('leaves out entries that are neither pages, swap slots nor guards', () => {
    const [sample] = readSamples('cow_basic');
    const { observation } = sample;
    const [vma, ...rest] = observation.vmas;
    const page = 0x1000007;
    const swap = 1 << 6;
    const pages = [
      [page, 0, 0, swap, 77, 27] as const, // a migration entry
      [page + 1, 0, 16, swap, 40, 0] as const,
      [page + 2, 0, 16, swap, 41, 0] as const,
      [page + 3, 0, 0, swap, 42, 0] as const,
      [page + 4, 0, 0, swap | (1 << 2), 0, 31] as const,
      [page + 5, 0, 0, 0, 0, 0] as const,
    ];
    const vmas = [{ ...vma, pages }, ...rest];
    const state = stateFromSample({ ...sample, observation: { ...observation, vmas } });
    expect(state.procs['0']?.vmas[0]?.pages).toEqual([
      { at: 8, n: 2, k: 'swap', slot: 0, level: 'pte', se: 1, type: 0 },
      { at: 10, n: 1, k: 'swap', slot: 2, level: 'pte', se: 0, type: 0 },
      { at: 11, n: 1, k: 'guard' },
    ]);
  });
});
