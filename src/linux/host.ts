import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { listPids, readProcText } from './processes.js';
import { MEMORY_THREADS } from './trace_events.js';

/** A small file as one trimmed line or more; empty if it does not exist or may not be read. */
export function readSetting(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function readSettings(directory: string, names: readonly string[]): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const name of names) {
    const value = readSetting(join(directory, name));
    if (value !== '') settings[name] = value;
  }
  return settings;
}

/** Settings of the machine that decide what happens to memory; kept with each recording. */
export interface HostSettings {
  readonly kernel: string;
  readonly thp: Readonly<Record<string, string>>;
  readonly khugepaged: Readonly<Record<string, string>>;
  readonly ksm: Readonly<Record<string, string>>;
  readonly vm: Readonly<Record<string, string>>;
  readonly swaps: string;
  readonly memTotalKib: number;
}

const THP_ROOT = '/sys/kernel/mm/transparent_hugepage';

/** Sizes of the multi-size huge pages with their own switches: `hugepages-64kB/enabled`. */
function hugePageSwitches(): string[] {
  if (!existsSync(THP_ROOT)) return [];
  return readdirSync(THP_ROOT)
    .filter((name) => name.startsWith('hugepages-'))
    .flatMap((name) => [`${name}/enabled`, `${name}/shmem_enabled`]);
}

export function readHostSettings(): HostSettings {
  return {
    kernel: readSetting('/proc/version'),
    thp: readSettings(THP_ROOT, [
      'enabled',
      'defrag',
      'shmem_enabled',
      'use_zero_page',
      ...hugePageSwitches(),
    ]),
    khugepaged: readSettings(join(THP_ROOT, 'khugepaged'), [
      'defrag',
      'max_ptes_none',
      'max_ptes_shared',
      'max_ptes_swap',
      'pages_to_scan',
      'scan_sleep_millisecs',
    ]),
    ksm: readSettings('/sys/kernel/mm/ksm', [
      'run',
      'pages_to_scan',
      'sleep_millisecs',
      'max_page_sharing',
      'merge_across_nodes',
      'use_zero_pages',
    ]),
    vm: readSettings('/proc/sys/vm', [
      'overcommit_memory',
      'page-cluster',
      'swappiness',
      'max_map_count',
      'legacy_va_layout',
    ]),
    swaps: readSetting('/proc/swaps'),
    memTotalKib: Number(/^MemTotal:\s+(\d+)/m.exec(readSetting('/proc/meminfo'))?.[1] ?? 0),
  };
}

/** Whether any size of huge page is given to memory that did not ask for it. */
export function isHugeEverywhere(settings: HostSettings): boolean {
  return Object.values(settings.thp).some((value) => value.includes('[always]'));
}

/** Value of a kernel option (`y`, `m`, a number), `n` if off, `undefined` if nobody tells. */
export class KernelConfig {
  #read: { readonly text: string | undefined } | undefined;

  /** Without `text` it is that of the running kernel, read when it is asked for. */
  constructor(text?: string) {
    if (text !== undefined) this.#read = { text };
  }

  get #text(): string | undefined {
    this.#read ??= { text: readKernelConfig() };
    return this.#read.text;
  }

  get isKnown(): boolean {
    return this.#text !== undefined;
  }

  option(name: string): string | undefined {
    const text = this.#text;
    if (text === undefined) return undefined;
    return new RegExp(`^CONFIG_${name}=(.*)$`, 'm').exec(text)?.[1] ?? 'n';
  }
}

function readKernelConfig(): string | undefined {
  try {
    const packed = readFileSync('/proc/config.gz');
    // Loading zlib takes 5 ms, and few ask.
    return process.getBuiltinModule('node:zlib').gunzipSync(packed).toString('latin1');
  } catch {
    const release = readSetting('/proc/sys/kernel/osrelease');
    const text = readSetting(`/boot/config-${release}`);
    return text === '' ? undefined : text;
  }
}

/** Thread ids of the kernel threads that work on the memory of others. */
export function memoryThreadTids(): number[] {
  return listPids().filter((pid) => MEMORY_THREADS.test((readProcText(pid, 'comm') ?? '').trim()));
}

/**
 * Inode of the initial PID name space: fixed in the kernel. Elsewhere /proc and tracefs count
 * processes differently.
 */
const INITIAL_PID_NAMESPACE = 'pid:[4026531836]';

export function isInitialPidNamespace(link: string): boolean {
  return link === INITIAL_PID_NAMESPACE;
}
