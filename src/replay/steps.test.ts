import { describe, expect, it } from 'vitest';
import { STEP, StepQueue } from './steps.js';

describe('the queue of steps', () => {
  it('keeps every step where its number says when it grows, wherever it begins', () => {
    for (const taken of [0, 1, 700, 1023, 1024, 1500, 2047]) {
      const queue = new StepQueue();
      const first = queue.kind.length;
      for (let number = 0; number < taken + 3 * first; number += 1) {
        const slot = queue.push(STEP.call, 1, number, number * 10, number * 100);
        for (const column of [queue.a, queue.b, queue.c, queue.d, queue.e, queue.f]) {
          column[slot] = number;
        }
        queue.text[slot] = number + 5;
        const returned = number;
        const call = { name: '', role: 'vma', args: [], place: -1, argumentPages: 0 } as const;
        queue.calls[slot] = { ...call, returned };
        if (number < taken) queue.head += 1;
      }
      expect(queue.kind.length).toBe(first * 4);
      for (let number = queue.head; number < queue.tail; number += 1) {
        const slot = queue.slot(number);
        const { tid, timeNs, eventIndex, text, a, b, c, d, e, f } = queue;
        const cells = [tid, a, b, c, d, e, f].map((column) => column[slot]);
        expect(new Set(cells)).toEqual(new Set([number]));
        const others = [timeNs[slot], eventIndex[slot], text[slot], queue.calls[slot]?.returned];
        expect(others).toEqual([number * 10, number * 100, number + 5, number]);
        expect([queue.kind[slot], queue.state[slot]]).toEqual([STEP.call, 1]);
      }
    }
  });
});
