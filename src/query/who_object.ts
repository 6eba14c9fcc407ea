/** A file, memory file or shared memory segment that was looked for, with all that holds it. */
export interface MemoryObject {
  /** As the kernel prints it; ` (deleted)` stripped. */
  readonly name: string;
  /** Device and inode: what tells objects of one name apart. Device as `major:minor`. */
  readonly device: string;
  readonly inode: number;
  readonly type: 'file' | 'memory file' | 'shared memory segment';
  /** No name leads to it any more: it is freed when the last holder goes. */
  readonly isDeleted: boolean;
  readonly sizeBytes: number;
  /**
   * Memory that it takes, swapped pages included, for objects that live in memory; `undefined` for
   * files on disk, whose cache does not show here.
   */
  readonly memoryBytes: number | undefined;
  readonly mappings: readonly ObjectMapping[];
  readonly descriptors: readonly ObjectDescriptor[];
}

export interface ObjectMapping {
  readonly pid: number;
  readonly comm: string;
  readonly vmaStart: string;
  readonly vmaEnd: string;
  readonly vmaPermissions: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Pages of the object that the mapping has touched, and private copies of such pages. */
  readonly touchedBytes: number;
  readonly copiedBytes: number;
}

export interface ObjectDescriptor {
  readonly pid: number;
  readonly comm: string;
  readonly fd: number;
}

/** A process that keeps an object alive. */
export interface ObjectHolder {
  readonly pid: number;
  readonly comm: string;
  readonly mappingCount: number;
  readonly mappedBytes: number;
  readonly descriptorCount: number;
  /** What is freed if this process goes and all others stay. */
  readonly freedBytes: number;
}

export interface HeldObject extends MemoryObject {
  readonly holders: readonly ObjectHolder[];
  /** What keeps it when no process does. */
  readonly keptBy: 'name' | 'segment id' | 'processes' | 'nothing visible';
}

export interface WhoObjectReport {
  readonly schemaVersion: 1;
  readonly kind: 'object';
  readonly target: string;
  readonly precision: 'exact';
  /** Largest first. */
  readonly objects: readonly HeldObject[];
  readonly deniedPids: readonly number[];
  readonly elapsedMs: number;
}

function holdersOf(object: MemoryObject): ObjectHolder[] {
  const holders = new Map<
    number,
    { comm: string; mappingCount: number; mappedBytes: number; descriptorCount: number }
  >();
  const holderOf = (pid: number, comm: string) => {
    const known = holders.get(pid);
    if (known !== undefined) return known;
    const holder = { comm, mappingCount: 0, mappedBytes: 0, descriptorCount: 0 };
    holders.set(pid, holder);
    return holder;
  };
  for (const { pid, comm, lengthBytes } of object.mappings) {
    const holder = holderOf(pid, comm);
    holder.mappingCount++;
    holder.mappedBytes += lengthBytes;
  }
  for (const { pid, comm } of object.descriptors) holderOf(pid, comm).descriptorCount++;
  const isLast = holders.size === 1 && object.isDeleted;
  return [...holders].map(([pid, holder]) => ({
    pid,
    ...holder,
    freedBytes: isLast ? (object.memoryBytes ?? 0) : 0,
  }));
}

function keptBy(object: MemoryObject, holderCount: number): HeldObject['keptBy'] {
  if (!object.isDeleted) return object.type === 'shared memory segment' ? 'segment id' : 'name';
  return holderCount > 0 ? 'processes' : 'nothing visible';
}

/** Who keeps objects alive, and what goes with whom. */
export function computeWhoObject(
  target: string,
  found: readonly MemoryObject[],
  deniedPids: readonly number[],
  elapsedMs: number,
): WhoObjectReport {
  const weight = (object: MemoryObject): number => object.memoryBytes ?? object.sizeBytes;
  const objects = found
    .toSorted((left, right) => weight(right) - weight(left))
    .map((object) => {
      const holders = holdersOf(object);
      return { ...object, holders, keptBy: keptBy(object, holders.length) };
    });
  return {
    schemaVersion: 1,
    kind: 'object',
    target,
    precision: 'exact',
    objects,
    deniedPids,
    elapsedMs,
  };
}
