import { describe, expect, it } from 'vitest';
import { dataPath } from '../../test/support/trace_events.js';
import { RmapError } from '../base/errors.js';
import { openRecording } from '../trace/open.js';
import type { Recording } from '../trace/recording.js';
import { replay } from './replay.js';
import { Snapshots } from './snapshots.js';

/** A recording without layouts of snapshots. */
function plain(own: Recording): Recording {
  const { path, format, info, strings, words, fields } = own;
  return {
    path,
    format,
    info,
    strings,
    words,
    fields,
    events: () => own.events(),
    snapshot: (name) => own.snapshot(name),
    positionOf: (index) => own.positionOf(index),
  };
}

/** The recording of a group that a process joins, with something else in the place of a part. */
async function joinWith(change: (own: Recording) => Partial<Recording>): Promise<Recording> {
  const own = await openRecording(dataPath('recordings/join'));
  const layout = async (name: string) => own.layout?.(name) ?? own.snapshot(name);
  return { ...plain(own), layout, ...change(own) };
}

const damage = (name: string): RmapError => new RmapError('input', `${name} is damaged`);

describe('snapshots of a replay', () => {
  it('are asked for behind the first events, and each once', async () => {
    const asked: string[] = [];
    const recording = await joinWith((own) => ({
      events() {
        asked.push('events');
        return own.events();
      },
      async snapshot(name) {
        asked.push(name);
        return own.snapshot(name);
      },
    }));
    const { snapshots } = await replay(recording);
    const names = ['start', 'join1', 't1', 't2', 't3'];
    expect(snapshots.map(({ name }) => name)).toEqual(names);
    expect(asked).toEqual(['events', ...names]);
  });

  it('arrive late without a difference', async () => {
    const direct = await replay(await joinWith(() => ({})));
    const late = await joinWith((own) => ({
      async snapshot(name) {
        await new Promise((resolve) => {
          setTimeout(resolve, 20);
        });
        return own.snapshot(name);
      },
    }));
    const { snapshots, driver } = await replay(late);
    expect(snapshots).toEqual(direct.snapshots);
    expect(driver.machine.fingerprint()).toBe(direct.driver.machine.fingerprint());
  });

  it('are refused when damaged, wanted or not, the first one first', async () => {
    const recording = await joinWith((own) => ({
      async snapshot(name) {
        if (name === 't2' || name === 't3') throw damage(name);
        return own.snapshot(name);
      },
    }));
    await expect(replay(recording)).rejects.toThrow('t2 is damaged');
    await expect(replay(recording, { until: 'start' })).rejects.toThrow('t2 is damaged');
  });

  it('are refused before whatever else is wrong', async () => {
    const snapshot = async (name: string): Promise<never> => {
      throw damage(name);
    };
    const layout = async (name: string): Promise<never> => {
      throw damage(`layout of ${name}`);
    };
    const events = async function* (): AsyncIterableIterator<never> {
      throw damage('events');
    };
    const first = 'start is damaged';
    await expect(replay(await joinWith(() => ({ snapshot, events })))).rejects.toThrow(first);
    await expect(replay(await joinWith(() => ({ snapshot, layout })))).rejects.toThrow(first);
    const recording = await joinWith(() => ({ events }));
    await expect(replay(recording)).rejects.toThrow('events is damaged');
  });

  it('are refused when they list more than any machine holds', async () => {
    const recording = await joinWith((own) => ({
      async snapshot(name) {
        return { ...(await own.snapshot(name)), anonPages: 2 ** 26 + 1 };
      },
    }));
    await expect(replay(recording)).rejects.toThrow(
      /snapshot "start" lists \d+ anonymous pages, more/,
    );
    await expect(new Snapshots(recording).read('start')).rejects.toThrow(/more than 67108864/);
  });

  it('are read whole where nothing less can be had', async () => {
    const recording = plain(await openRecording(dataPath('recordings/join')));
    const snapshots = new Snapshots(recording);
    const layouts = await snapshots.layouts();
    const names = recording.info.snapshots.map(({ name }) => name);
    expect(names.length).toBeGreaterThan(0);
    expect([...layouts.keys()]).toEqual(names);
    for (const name of names) expect(snapshots.find(name)).toBe(layouts.get(name));
  });
});
