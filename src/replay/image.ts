import { PAGE_SIZE_BYTES } from '../base/units.js';
import type { Machine } from '../kernel/machine.js';
import type { Prot } from '../kernel/operation.js';
import type { SnapshotArea, SnapshotLayout } from '../trace/snapshot.js';
import type { ReplayFiles } from './replay_files.js';
import { isImageVma, type ReplayProcess } from './tasks.js';

/** First page behind the stack of a process, as a snapshot shows it. */
export function stackTop(snapshot: SnapshotLayout, pid: number): number | undefined {
  return snapshot.vmas.find((vma) => vma.pid === pid && vma.name === '[stack]')?.endPage;
}

/** Protection of a VMA when it was mapped: an accounted one was writable once. */
export function originalProt(vma: SnapshotArea): Prot {
  const isExecutable = vma.perms[2] === 'x';
  const wasWritable = vma.perms[1] === 'w' || vma.flags.split(' ').includes('ac');
  if (wasWritable) return isExecutable ? 'rwx' : 'rw';
  if (vma.perms[0] !== 'r') return 'n';
  return isExecutable ? 'rx' : 'r';
}

/** Bytes of a process's short name, without the end. */
const COMM_LENGTH = 15;

/**
 * Name that a snapshot gives to the program of a process. Where `executable` is a link or a script
 * it is another file's: the one whose mapping ends last below the heap. Then the snapshot must show
 * the same program still, by its short name.
 */
export function imageName(snapshot: SnapshotLayout, pid: number, executable: string): string {
  const own = snapshot.vmas.filter((vma) => vma.pid === pid);
  if (own.some((vma) => vma.name === executable)) return executable;
  const process = snapshot.procs.find((one) => one.pid === pid);
  const base = executable.slice(executable.lastIndexOf('/') + 1);
  if (process === undefined || process.comm !== base.slice(0, COMM_LENGTH)) return executable;
  const heapPage = Math.floor(process.brkStart / PAGE_SIZE_BYTES);
  const below = own.filter((vma) => vma.name.startsWith('/') && vma.endPage <= heapPage);
  return below.at(-1)?.name ?? executable;
}

/**
 * Maps what execve maps by itself and no call shows: segments of the executable and its
 * interpreter with their zeroed ends, and the stack. Addresses come from a later snapshot; calls
 * recorded since then map over them.
 */
export function installImage(
  machine: Machine,
  files: ReplayFiles,
  process: ReplayProcess,
  snapshot: SnapshotLayout,
): void {
  let previous: SnapshotArea | undefined;
  const name = imageName(snapshot, process.pid, process.executable);
  for (const vma of snapshot.vmas) {
    if (vma.pid !== process.pid) continue;
    const isImage = isImageVma(vma, name);
    const isZeroedEnd =
      vma.name === '' &&
      previous !== undefined &&
      previous.endPage === vma.startPage &&
      isImageVma(previous, name) &&
      previous.perms[1] === 'w';
    previous = vma;
    if (isImage || isZeroedEnd) mapImageVma(machine, files, process.pid, vma);
  }
}

/** Maps one VMA of a snapshot with nothing in it. */
export function mapImageVma(
  machine: Machine,
  files: ReplayFiles,
  p: number,
  vma: SnapshotArea,
): void {
  const n = vma.endPage - vma.startPage;
  const common = { op: 'mmap' as const, p, at: vma.startPage, n, prot: originalProt(vma) };
  const isStack = vma.name === '[stack]';
  const isAnonymous = isStack || vma.name === '' || vma.name === '[heap]' || vma.inode === 0;
  if (isAnonymous) {
    const flags = isStack ? 'private|anon|fixed|growsdown' : 'private|anon|fixed';
    machine.apply({ ...common, flags });
    return;
  }
  const sharing = vma.perms[3] === 's' ? 'shared' : 'private';
  machine.apply({
    ...common,
    flags: `${sharing}|fixed`,
    file: files.named(vma.name),
    off: Math.floor(vma.offsetBytes / 4096),
  });
}
