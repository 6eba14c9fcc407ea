import type { StopReason } from './recorder_options.js';

/** What signals, timers and the end of processes ask of a recording. */
export type Wish = { readonly stop: StopReason } | 'snapshot';

/** Collects what signals and timers ask for and wakes the loop. */
export class Wishes {
  readonly #list: Wish[] = [];
  #wake: (() => void) | undefined;

  add(wish: Wish): void {
    this.#list.push(wish);
    this.#wake?.();
  }

  take(): Wish | undefined {
    return this.#list.shift();
  }

  /** The next wish to stop, or `undefined` if none comes in this time; other wishes are dropped. */
  async nextStop(milliseconds: number): Promise<StopReason | undefined> {
    const endMs = performance.now() + milliseconds;
    for (;;) {
      const wish = this.take();
      if (wish !== undefined && wish !== 'snapshot') return wish.stop;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return undefined;
      await this.wait(leftMs);
    }
  }

  /** Waits for the time or for a wish, whichever comes first. */
  async wait(milliseconds: number): Promise<void> {
    if (this.#list.length > 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}

/** Turns signals into wishes for as long as the recording lasts. */
export function listenForSignals(wishes: Wishes): () => void {
  const handlers: readonly (readonly [NodeJS.Signals, Wish])[] = [
    ['SIGINT', { stop: 'interrupted' }],
    ['SIGTERM', { stop: 'terminated' }],
    ['SIGHUP', { stop: 'terminated' }],
    ['SIGUSR1', 'snapshot'],
  ];
  const listeners = handlers.map(([name, wish]) => {
    const listener = (): void => wishes.add(wish);
    process.on(name, listener);
    return { name, listener };
  });
  return () => {
    for (const { name, listener } of listeners) process.removeListener(name, listener);
  };
}
