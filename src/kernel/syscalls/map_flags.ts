import { RmapError } from '../../base/errors.js';
import type { Prot } from '../operation.js';
import { VM_EXEC, VM_READ, VM_WRITE } from '../vm/vm_flags.js';

/** @kernel MAP_SHARED */
export const MAP_SHARED = 0x1;
/** @kernel MAP_PRIVATE */
export const MAP_PRIVATE = 0x2;
/** @kernel MAP_FIXED */
export const MAP_FIXED = 0x10;
/** @kernel MAP_ANONYMOUS */
export const MAP_ANONYMOUS = 0x20;
/** @kernel MAP_GROWSDOWN */
export const MAP_GROWSDOWN = 0x100;
/** @kernel MAP_LOCKED */
export const MAP_LOCKED = 0x2000;
/** @kernel MAP_NORESERVE */
export const MAP_NORESERVE = 0x4000;
/** @kernel MAP_POPULATE */
export const MAP_POPULATE = 0x8000;
/** @kernel MAP_STACK */
export const MAP_STACK = 0x20000;
/** @kernel MAP_HUGETLB */
export const MAP_HUGETLB = 0x40000;
/** Together with MAP_HUGETLB: pages of 1 GiB instead of 2 MiB. @kernel MAP_HUGE_1GB */
export const MAP_HUGE_1GB = 0x78000000;

/** @kernel MREMAP_MAYMOVE */
export const MREMAP_MAYMOVE = 1;
/** @kernel MREMAP_FIXED */
export const MREMAP_FIXED = 2;
/** @kernel MREMAP_DONTUNMAP */
export const MREMAP_DONTUNMAP = 4;

/** @kernel MCL_CURRENT */
export const MCL_CURRENT = 1;
/** @kernel MCL_FUTURE */
export const MCL_FUTURE = 2;
/** @kernel MCL_ONFAULT */
export const MCL_ONFAULT = 4;

const PROT_BITS: Readonly<Record<Prot, number>> = {
  n: 0,
  r: VM_READ,
  w: VM_WRITE,
  x: VM_EXEC,
  rw: VM_READ | VM_WRITE,
  rx: VM_READ | VM_EXEC,
  wx: VM_WRITE | VM_EXEC,
  rwx: VM_READ | VM_WRITE | VM_EXEC,
};

const MAP_WORDS: ReadonlyMap<string, number> = new Map([
  ['shared', MAP_SHARED],
  ['private', MAP_PRIVATE],
  ['fixed', MAP_FIXED],
  ['anon', MAP_ANONYMOUS],
  ['growsdown', MAP_GROWSDOWN],
  ['locked', MAP_LOCKED],
  ['noreserve', MAP_NORESERVE],
  ['populate', MAP_POPULATE],
  ['stack', MAP_STACK],
  ['hugetlb', MAP_HUGETLB],
  ['hugetlb1g', MAP_HUGETLB | MAP_HUGE_1GB],
]);

const MREMAP_WORDS: ReadonlyMap<string, number> = new Map([
  ['none', 0],
  ['maymove', MREMAP_MAYMOVE],
  ['fixed', MREMAP_MAYMOVE | MREMAP_FIXED],
  ['dontunmap', MREMAP_MAYMOVE | MREMAP_DONTUNMAP],
]);

/** `VM_READ`, `VM_WRITE` and `VM_EXEC` bits of the protection letters. */
export function protBits(prot: Prot): number {
  return PROT_BITS[prot];
}

/** `MAP_*` bits of the `|`-joined words of an mmap operation. */
export function parseMapFlags(text: string): number {
  const flags = parseWords(text, MAP_WORDS, 'mmap');
  if (((flags & MAP_SHARED) !== 0) === ((flags & MAP_PRIVATE) !== 0)) {
    throw new RmapError('input', `mmap flags '${text}': want either shared or private`);
  }
  return flags;
}

/** `MREMAP_*` bits of the `|`-joined words of an mremap operation. */
export function parseMremapFlags(text: string): number {
  return parseWords(text, MREMAP_WORDS, 'mremap');
}

function parseWords(text: string, words: ReadonlyMap<string, number>, what: string): number {
  let flags = 0;
  for (const word of text.split('|')) {
    const bits = words.get(word);
    if (bits === undefined) {
      throw new RmapError('input', `${what} flag '${word}': want ${[...words.keys()].join(', ')}`);
    }
    flags |= bits;
  }
  return flags;
}
