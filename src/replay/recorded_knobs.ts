import type { RecordingInfo } from '../trace/recording.js';

const THP_MODES = /^(always|madvise|never)$/;

/** A file of a group of settings, the key of `config` it stands for, and the values that are known. */
type SettingFile = readonly [group: string, file: RegExp, key: string, values: RegExp];

const SETTING_FILES: readonly SettingFile[] = [
  ['thp', /^enabled$/, 'thp', THP_MODES],
  ['thp', /^shmem_enabled$/, 'shmem_thp', /^(always|within_size|advise|never)$/],
  ['thp', /^use_zero_page$/, 'zero_thp', /^[01]$/],
  [
    'thp',
    /^hugepages-((?:16|32|64|128|256|512|1024|2048)kB)\/enabled$/,
    'mthp.',
    /^(always|inherit|madvise|never)$/,
  ],
  [
    'thp',
    /^hugepages-((?:8|16|32|64|128|256|512|1024|2048)kB)\/shmem_enabled$/,
    'shmem_mthp.',
    /^(always|inherit|within_size|advise|never)$/,
  ],
  ['ksm', /^use_zero_pages$/, 'ksm_zero', /^[01]$/],
  ['ksm', /^max_page_sharing$/, 'ksm_max_sharing', /^[1-9]\d{0,8}$/],
];

/**
 * The `config` operations, as keys and values, that give a machine the settings of the recorded
 * one: those that decide how large folios are and what ksmd merges. What is not known is left out.
 */
export function recordedKnobs({ thp, settings }: RecordingInfo): Map<string, string> {
  const knobs = new Map<string, string>();
  for (const [group, file, key, values] of SETTING_FILES) {
    for (const [name, text] of Object.entries(settings[group] ?? {})) {
      const match = file.exec(name);
      const value = chosen(text);
      if (match !== null && values.test(value)) knobs.set(`${key}${match[1] ?? ''}`, value);
    }
  }
  // Older recordings say this one alone.
  const mode = chosen(thp);
  if (THP_MODES.test(mode)) knobs.set('thp', mode);
  return knobs;
}

/** `always [madvise] never` → `madvise`; other texts are values themselves. */
function chosen(text: unknown): string {
  if (typeof text !== 'string') return '';
  return /\[(\w+)\]/.exec(text)?.[1] ?? text.trim();
}
