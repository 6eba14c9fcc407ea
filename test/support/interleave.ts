import type { Op, Point, RwSem } from '../../src/kernel/op/prims.js';

/** Runs a task up to its first point of this kind (and lock), which it has not passed then. */
export function stopAt<T>(task: Op<T>, kind: Point['kind'], object?: RwSem | string): Point {
  for (;;) {
    const step = task.next();
    if (step.done === true) throw new Error(`the task ends without a point '${kind}'`);
    if (step.value.kind === kind && (object === undefined || step.value.object === object)) {
      return step.value;
    }
  }
}

/** Runs a task to its end; returns every point it passed. */
export function pointsOf<T>(task: Op<T>): { readonly points: Point[]; readonly result: T } {
  const points: Point[] = [];
  for (;;) {
    const step = task.next();
    if (step.done === true) return { points, result: step.value };
    points.push(step.value);
  }
}
