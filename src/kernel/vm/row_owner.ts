/** Sets what a row of `Kernel.intervals` belongs to. Never leaves a hole: the array stays plain. */
export function setOwner<T>(owners: Array<T | undefined>, row: number, owner: T): void {
  while (owners.length < row) owners.push(undefined);
  owners[row] = owner;
}
