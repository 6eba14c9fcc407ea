import type { Machine } from '../kernel/machine.js';

/** Does `work`, whose writes fill no more than their own pages, whatever the knobs say. */
export function withSmallPages(machine: Machine, work: () => void): void {
  const { kernel } = machine;
  const before = kernel.givenOrder;
  kernel.givenOrder = 0;
  try {
    work();
  } finally {
    kernel.givenOrder = before;
  }
}
