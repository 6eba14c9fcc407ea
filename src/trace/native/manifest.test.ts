import { describe, expect, it } from 'vitest';
import type { Upgrade } from './manifest.js';
import { upgradeManifest } from './manifest.js';

const OLD = { format: 'rmap recording', formatVersion: 1, speed: 3 };

const UPGRADES: ReadonlyMap<number, Upgrade> = new Map<number, Upgrade>([
  [1, ({ speed, ...rest }) => ({ ...rest, velocity: speed })],
  [2, (manifest) => ({ ...manifest, colour: 'red' })],
]);

describe('upgrades of the manifest', () => {
  it('go one version at a time', () => {
    expect(upgradeManifest(OLD, 'm', 3, UPGRADES)).toEqual({
      format: 'rmap recording',
      formatVersion: 3,
      velocity: 3,
      colour: 'red',
    });
    expect(upgradeManifest({ ...OLD, formatVersion: 2 }, 'm', 3, UPGRADES)).toMatchObject({
      speed: 3,
      colour: 'red',
    });
  });

  it('leave the newest version alone', () => {
    expect(upgradeManifest(OLD, 'm', 1, UPGRADES)).toEqual(OLD);
  });

  it('refuse newer versions with their number, and what has none', () => {
    expect(() => upgradeManifest({ ...OLD, formatVersion: 4 }, 'm', 3, UPGRADES)).toThrow(
      'm: written in format version 4, this program reads up to 3',
    );
    for (const formatVersion of [undefined, '1', 0, 1.5]) {
      expect(() => upgradeManifest({ ...OLD, formatVersion }, 'm')).toThrow(/formatVersion is/);
    }
    expect(() => upgradeManifest([], 'm')).toThrow(/expected an object/);
    expect(() => upgradeManifest(OLD, 'm', 2, new Map())).toThrow(/version 1 is not supported/);
  });
});
