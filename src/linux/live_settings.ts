/** Global settings of the kernel that live scenarios run under. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const THP = '/sys/kernel/mm/transparent_hugepage';
const KHUGEPAGED = `${THP}/khugepaged`;
const KSM = '/sys/kernel/mm/ksm';
const VM = '/proc/sys/vm';

/** A file under /proc/sys or /sys and what it shall hold. */
export interface Setting {
  readonly path: string;
  readonly value: string;
}

/** Sizes of folios with a switch of their own, as in `hugepages-64kB`. */
function folioSizeDirectories(): string[] {
  if (!existsSync(THP)) return [];
  return readdirSync(THP).filter((name) => name.startsWith('hugepages-'));
}

/** Of a list of choices the chosen one, which stands in brackets. */
export function chosenValue(text: string): string {
  return /\[([^\]]*)\]/.exec(text)?.[1] ?? text.trim();
}

function presentValue(path: string): string {
  return chosenValue(readFileSync(path, 'utf8'));
}

/**
 * The fixed environment of scenarios: nothing runs in the background (khugepaged, ksmd), no
 * read-ahead of swap, THP on request, smaller folios off. The pool of hugetlb pages stays as the
 * host has it. Settings that this kernel lacks are left out.
 */
export function fixedEnvironment(): Setting[] {
  const settings: Setting[] = [
    { path: `${KSM}/run`, value: '0' },
    { path: `${KSM}/advisor_mode`, value: 'none' },
    { path: `${KSM}/smart_scan`, value: '0' },
    { path: `${KSM}/sleep_millisecs`, value: '60000' },
    // One wake-up of ksmd then is one full scan.
    { path: `${KSM}/pages_to_scan`, value: '1000000000' },
    { path: `${KSM}/use_zero_pages`, value: '0' },
    { path: `${KSM}/max_page_sharing`, value: '256' },
    { path: `${KHUGEPAGED}/pages_to_scan`, value: '1' },
    { path: `${KHUGEPAGED}/scan_sleep_millisecs`, value: '3600000' },
    { path: `${KHUGEPAGED}/alloc_sleep_millisecs`, value: '3600000' },
    { path: `${KHUGEPAGED}/max_ptes_none`, value: '0' },
    { path: `${THP}/enabled`, value: 'madvise' },
    { path: `${THP}/defrag`, value: 'madvise' },
    { path: `${THP}/use_zero_page`, value: '1' },
    { path: `${THP}/shrink_underused`, value: '1' },
    { path: `${THP}/shmem_enabled`, value: 'never' },
    { path: `${VM}/page-cluster`, value: '0' },
  ];
  for (const directory of folioSizeDirectories()) {
    const value = directory === 'hugepages-2048kB' ? 'inherit' : 'never';
    for (const name of ['enabled', 'shmem_enabled']) {
      settings.push({ path: join(THP, directory, name), value });
    }
  }
  return settings.filter(({ path }) => existsSync(path));
}

const FIXED_KEYS: Readonly<Record<string, string>> = {
  thp: `${THP}/enabled`,
  shmem_thp: `${THP}/shmem_enabled`,
  zero_thp: `${THP}/use_zero_page`,
  shrink_underused: `${THP}/shrink_underused`,
  hugetlb: `${VM}/nr_hugepages`,
  page_cluster: `${VM}/page-cluster`,
  ksm_zero: `${KSM}/use_zero_pages`,
  ksm_max_sharing: `${KSM}/max_page_sharing`,
};

/** File of a `config` key of the scenario format, or `undefined` for a key that is none. */
export function settingPath(key: string): string | undefined {
  const sized = /^(shmem_)?mthp\.(\d+kB)$/.exec(key);
  if (sized === null) return Object.hasOwn(FIXED_KEYS, key) ? FIXED_KEYS[key] : undefined;
  const [, shmem, size = ''] = sized;
  return join(THP, `hugepages-${size}`, shmem === undefined ? 'enabled' : 'shmem_enabled');
}

/** What a setting goes back to between scenarios: the fixed environment, else what it was. */
export function restingValues(fixed: readonly Setting[]): (path: string) => string {
  const values = new Map(fixed.map(({ path, value }) => [path, value]));
  return (path) => {
    const value = values.get(path) ?? presentValue(path);
    values.set(path, value);
    return value;
  };
}
