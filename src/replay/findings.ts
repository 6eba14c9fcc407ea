/**
 * Where the oracle events (allocations, counters) and the machine disagree, counted. The machine is
 * never corrected by them.
 */
export interface Findings {
  /** Faults with a present page: predicted and allocated a copy. */
  copiesAgree: number;
  /** Predicted reuse, and nothing was allocated. */
  reusesAgree: number;
  /** Predicted a copy, but nothing was allocated. */
  copiesTooMany: number;
  /** Predicted reuse, but a page was allocated: somebody held a reference for a moment. */
  copiesMissed: number;
  /** Counter events right after a fault, and how many of them the machine's counter equals. */
  countersChecked: number;
  countersAgree: number;
  /** Faults that the machine answers with a signal although the program went on. */
  faultsRefused: number;
  /** Anonymous pages that were added without a fault: their address is not known. */
  pagesUnplaced: number;
  /** Pages that the kernel swapped out, merged into a KSM page, and 2 MiB blocks it collapsed. */
  pagesSwappedOut: number;
  pagesMerged: number;
  blocksCollapsed: number;
  /** Pages that were freed although the machine still maps them, and no rule tells why. */
  freesUnexplained: number;
  /** Pages of a snapshot to start from that others share in a way that could not be made. */
  pagesAttachedApart: number;
  /** Processes that ran before the recording and are in no snapshot: their memory is unknown. */
  processesUnknown: number;
  /** Events of processes before the snapshot that shows them. */
  eventsBeforeSnapshot: number;
  /** Faults at addresses that no known mapping covers, which became private pages. */
  pagesInUnknownAreas: number;
}

export function noFindings(): Findings {
  return {
    copiesAgree: 0,
    reusesAgree: 0,
    copiesTooMany: 0,
    copiesMissed: 0,
    countersChecked: 0,
    countersAgree: 0,
    faultsRefused: 0,
    pagesUnplaced: 0,
    pagesSwappedOut: 0,
    pagesMerged: 0,
    blocksCollapsed: 0,
    freesUnexplained: 0,
    pagesAttachedApart: 0,
    processesUnknown: 0,
    eventsBeforeSnapshot: 0,
    pagesInUnknownAreas: 0,
  };
}
