/**
 * Which process an mm pointer of the recorded kernel belongs to, learnt from the calls that lock
 * their own address space.
 */
export class MmWords {
  private readonly pids = new Map<number, number>();
  private readonly words = new Map<number, number>();

  learn(word: number, pid: number): void {
    if (this.pids.get(word) === pid) return;
    this.forget(pid);
    this.pids.set(word, pid);
    this.words.set(pid, word);
  }

  /** The process has ended or has another address space now. */
  forget(pid: number): void {
    const word = this.words.get(pid);
    if (word === undefined) return;
    if (this.pids.get(word) === pid) this.pids.delete(word);
    this.words.delete(pid);
  }

  /** Process of an mm; undefined for one outside of the recording or not met yet. */
  pidOf(word: number): number | undefined {
    return this.pids.get(word);
  }

  /** Whether the recording tells anything of the kind. */
  get isEmpty(): boolean {
    return this.words.size === 0;
  }
}
