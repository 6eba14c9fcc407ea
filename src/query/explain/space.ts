import type { Mm } from '../../kernel/vm/mm.js';
import type { ForkLedger } from './fork_ledger.js';
import type { Image } from './images.js';

/** One address space of the replay: from its fork or exec to its exit or next exec. */
export interface Space {
  readonly id: number;
  readonly mm: Mm;
  readonly pid: number;
  /** Space that it was forked from, or −1. */
  readonly parent: number;
  image: Image;
  comm: string;
  readonly startNs: number;
  endNs: number;
  end: 'running' | 'exit' | 'exec';
  isAlive: boolean;
  /** The fork that made it. */
  birth: ForkLedger | undefined;
  /** Forks of its own whose child may still share something. */
  forks: ForkLedger[];
  copiedPages: number;
  rssBytes: number;
  pssBytes: number;
  ussBytes: number;
  mostUssBytes: number;
  zeroPages: number;
}
