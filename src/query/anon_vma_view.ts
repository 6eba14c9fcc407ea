/**
 * The anon_vmas of running processes: what a fork leaves behind in the kernel, and how far the
 * kernel must look for the mappings of a page.
 */

/** The VMAs of one process with a chain, as the kernel held them at one time. */
export interface ProcessChains {
  readonly pid: number;
  /** Number of the address space; processes that share one (vfork) have the same. */
  readonly mm: number;
  /** VMAs, those without a chain included. */
  readonly vmas: number;
  /**
   * `[length, own, entry, entry …]`: number of the VMA's own anon_vma or −1, then the anon_vma of
   * each anon_vma_chain. Fewer entries than `length` if the chain is very long.
   */
  readonly chains: ReadonlyArray<readonly number[]>;
}

/** What native/chains reads. */
export interface AnonVmaReading {
  /** Sizes of the kernel's structures; 0 if unknown. */
  readonly anonVmaBytes: number;
  readonly chainBytes: number;
  readonly processes: readonly ProcessChains[];
  /** For each anon_vma: 1 if no VMA has it as its own any more. */
  readonly dead: readonly number[];
}

/** anon_vmas of one process, or of all together. */
export interface AnonVmaUse {
  readonly vmaCount: number;
  /** anon_vmas that its VMAs lead to, each once. */
  readonly anonVmaCount: number;
  /** anon_vma_chains: the links between VMAs and anon_vmas. */
  readonly avcCount: number;
  /** Most links of one VMA: forks since its memory was first touched that left an anon_vma. */
  readonly longestChain: number;
  /**
   * anon_vmas of ancestors that ended (or unmapped): no VMA has one as its own any more, and only
   * the chains of descendants keep it.
   */
  readonly deadAncestorCount: number;
  /** VMAs of the group that the kernel looks at to find all mappings of one page, at most. */
  readonly widestWalk: number;
}

export interface AnonVmaProcess extends AnonVmaUse {
  readonly pid: number;
}

export interface AnonVmaView {
  /** In the order of the report's processes. */
  readonly processes: readonly AnonVmaProcess[];
  readonly total: AnonVmaUse;
  /** Memory that these anon_vmas and links take in the kernel. */
  readonly kernelBytes: number;
}

/** For each anon_vma: links that lead to it from the address spaces of the reading. */
function linkCounts(reading: AnonVmaReading): Uint32Array {
  const counts = new Uint32Array(reading.dead.length);
  for (const { chains } of distinctSpaces(reading.processes)) {
    for (const chain of chains) {
      for (let index = 2; index < chain.length; index++) {
        const anonVma = chain[index] ?? 0;
        counts[anonVma] = (counts[anonVma] ?? 0) + 1;
      }
    }
  }
  return counts;
}

function distinctSpaces(processes: readonly ProcessChains[]): ProcessChains[] {
  const seen = new Set<number>();
  return processes.filter(({ mm }) => {
    const isNew = !seen.has(mm);
    seen.add(mm);
    return isNew;
  });
}

function useOf(
  spaces: readonly ProcessChains[],
  reading: AnonVmaReading,
  links: Uint32Array,
): AnonVmaUse {
  const anonVmas = new Set<number>();
  let vmaCount = 0;
  let avcCount = 0;
  let longestChain = 0;
  for (const { vmas, chains } of spaces) {
    vmaCount += vmas;
    for (const chain of chains) {
      const length = chain[0] ?? 0;
      avcCount += length;
      longestChain = Math.max(longestChain, length);
      for (let index = 2; index < chain.length; index++) anonVmas.add(chain[index] ?? 0);
    }
  }
  let deadAncestorCount = 0;
  let widestWalk = 0;
  for (const anonVma of anonVmas) {
    if (reading.dead[anonVma] === 1) deadAncestorCount++;
    widestWalk = Math.max(widestWalk, links[anonVma] ?? 0);
  }
  return {
    vmaCount,
    anonVmaCount: anonVmas.size,
    avcCount,
    longestChain,
    deadAncestorCount,
    widestWalk,
  };
}

/** Counts per process and over all; `order`: pids in the order wanted. */
export function computeAnonVmas(reading: AnonVmaReading, order: readonly number[]): AnonVmaView {
  const links = linkCounts(reading);
  const byPid = new Map(reading.processes.map((space) => [space.pid, space]));
  const processes: AnonVmaProcess[] = [];
  for (const pid of order) {
    const space = byPid.get(pid);
    if (space !== undefined) processes.push({ pid, ...useOf([space], reading, links) });
  }
  const total = useOf(distinctSpaces(reading.processes), reading, links);
  const kernelBytes =
    total.anonVmaCount * reading.anonVmaBytes + total.avcCount * reading.chainBytes;
  return { processes, total, kernelBytes };
}
