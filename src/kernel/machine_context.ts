import type { Kernel } from './kernel.js';
import type { FileId } from './operation.js';
import type { AddressSpace } from './vm/address_space.js';

/** What the executors of operations see of a machine. */
export interface MachineContext {
  readonly kernel: Kernel;
  /** Page from which addresses in operations and results count. */
  readonly regionStart: number;
  readonly files: Map<FileId, AddressSpace>;
  /** The file with this name, or an input error. */
  file(id: FileId): AddressSpace;
}
