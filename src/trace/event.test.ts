import { describe, expect, it } from 'vitest';
import { EVENT, EVENT_NAMES, isInternedWord, snapshotMark, wordCell, wordRow } from './event.js';

describe('events', () => {
  it('name each kind by its number', () => {
    for (const [name, kind] of Object.entries(EVENT)) expect(EVENT_NAMES[kind]).toBe(name);
  });

  it('keep numbers, errnos and −1 as they are and intern the rest', () => {
    for (const literal of [0, 2 ** 52, -1, -22, -4096]) expect(isInternedWord(literal)).toBe(false);
    for (const row of [0, 1, 12_345]) {
      expect(isInternedWord(wordCell(row))).toBe(true);
      expect(wordRow(wordCell(row))).toBe(row);
    }
  });

  it('read the marks of snapshots', () => {
    expect(snapshotMark('SNAP loaded')).toEqual({ name: 'loaded', ends: false });
    expect(snapshotMark('SNAPEND loaded')).toEqual({ name: 'loaded', ends: true });
    expect(snapshotMark('hello')).toBeUndefined();
  });
});
