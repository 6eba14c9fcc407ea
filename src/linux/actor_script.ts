import { RmapError } from '../base/errors.js';
import type { Operation } from '../kernel/operation.js';
import { settingPath } from './live_settings.js';

/** Operations that the actor performs with real processes: those of the scenario format. */
const LIVE_OPERATIONS: ReadonlySet<Operation['op']> = new Set([
  'mmap',
  'munmap',
  'mprotect',
  'mlock',
  'munlock',
  'mremap',
  'madvise',
  'read',
  'write',
  'fork',
  'exit',
  'brk_at',
  'brk',
  'pin',
  'unpin',
  'vmsplice',
  'vmdrain',
  'pvm_write',
  'mem_write',
  'uffd_move',
  'uffd_register',
  'uffd_unregister',
  'uffd_copy',
  'uffd_zero',
  'uffd_wp',
  'prctl_merge',
  'file',
  'filewrite',
  'fileread',
  'punch',
  'ftruncate',
  'fadvise',
  'config',
  'ksm',
  'ksm_unmerge',
  'swapon',
  'swapoff',
  'memcg',
  'reclaim',
  'dump',
  'drain',
  'sleep',
  'compact',
]);

/** A scenario in the words of native/actor. */
export interface ActorScript {
  /** `name key=value …` for each operation; empty for `dump`, which the actor does not see. */
  readonly lines: readonly string[];
  /** Paths that `config` operations write to. */
  readonly settingPaths: ReadonlySet<string>;
}

/**
 * Throws an error that names the operation where it cannot be performed live. A pool of hugetlb
 * pages is made larger by `takenHugePages`, which the host has in use or promised already.
 */
export function actorScript(operations: readonly Operation[], takenHugePages = 0): ActorScript {
  const settingPaths = new Set<string>();
  const fileNumbers = new Map<string, number>();
  const fileNumber = (id: string | number): number => {
    const number = fileNumbers.get(String(id)) ?? fileNumbers.size;
    fileNumbers.set(String(id), number);
    return number;
  };
  const lines = operations.map((operation, i) => {
    checkLive(operation, i);
    if (operation.op === 'dump') return '';
    if (operation.op === 'config') {
      const path = pathOfKey(operation.key);
      settingPaths.add(path);
      const more = operation.key === 'hugetlb' ? takenHugePages : 0;
      return `set path=${path} value=${settingValue(operation.key, operation.value, more)}`;
    }
    const words: string[] = [operation.op];
    for (const [key, value] of Object.entries(operation)) {
      if (key === 'op') continue;
      // No name of the scenario reaches the actor: files are numbered.
      const isFile = key === 'file' || (key === 'id' && operation.op === 'file');
      words.push(isFile ? `file=${fileNumber(value)}` : `${key}=${value}`);
    }
    return words.join(' ');
  });
  return { lines, settingPaths };
}

function checkLive(operation: Operation, i: number): void {
  if (!LIVE_OPERATIONS.has(operation.op)) {
    throw new RmapError('environment', `operation ${i}: ${operation.op} cannot be performed live`);
  }
  if (operation.op === 'uffd_register') checkRegistration(operation.features, i);
  if (operation.op === 'mmap' && operation.at === undefined) {
    throw new RmapError(
      'environment',
      `operation ${i}: mmap needs an address to be performed live`,
    );
  }
}

/** Without a signal an access would wait for good: the actor has nobody who answers. */
function checkRegistration(features: string | undefined, i: number): void {
  const words = features?.split('|') ?? [];
  if (words.includes('sigbus') && !words.includes('event_fork')) return;
  throw new RmapError(
    'environment',
    `operation ${i}: uffd_register needs the feature sigbus, and not event_fork, ` +
      'to be performed live',
  );
}

function pathOfKey(key: string): string {
  const path = settingPath(key);
  if (path !== undefined) return path;
  throw new RmapError('input', `config: unknown key ${JSON.stringify(key)}`);
}

function settingValue(key: string, value: string | number, more: number): string {
  const text = more === 0 ? String(value) : String(Number(value) + more);
  if (/^[\w+]+$/.test(text)) return text;
  throw new RmapError('input', `config ${key}: value ${JSON.stringify(text)} is not one word`);
}
