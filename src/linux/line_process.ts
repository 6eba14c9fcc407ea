import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { RmapError } from '../base/errors.js';

interface Waiting {
  readonly resolve: (answer: string) => void;
  readonly reject: (error: Error) => void;
}

const MOST_STDERR_CHARS = 2000;

/**
 * A native program that answers each line of its input with one line. It runs in a session of its
 * own, so that ^C on our terminal does not reach it before we have told it to end.
 */
export class LineProcess {
  readonly #name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #waiting: Waiting[] = [];
  readonly #unasked: string[] = [];
  readonly #ended: Promise<void>;
  #rest = '';
  #stderr = '';
  #failure: RmapError | undefined;

  constructor(name: string, path: string, args: readonly string[]) {
    this.#name = name;
    this.#child = spawn(path, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.#child.stdout.setEncoding('utf8');
    this.#child.stdout.on('data', (text: string) => {
      this.#take(text);
    });
    this.#child.stderr.setEncoding('utf8');
    this.#child.stderr.on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MOST_STDERR_CHARS);
    });
    // A write to a program that has just died: its end is reported by 'close'.
    this.#child.stdin.on('error', () => {});
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (error) => {
        this.#fail(`${name} cannot be started: ${error.message}`);
        resolve();
      });
      this.#child.on('close', (code, signal) => {
        const last = this.#stderr.trim().split('\n').at(-1) ?? '';
        this.#fail(`${name} ended (${signal ?? `exit code ${code}`}) ${last}`.trim());
        resolve();
      });
    });
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const next = this.#waiting.shift();
      if (next === undefined) this.#unasked.push(line);
      else next.resolve(line);
    }
  }

  #fail(message: string): void {
    this.#failure ??= new RmapError('environment', message);
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }

  /** The next line of output; throws what the program reports as `{"error": …}`. */
  async next(): Promise<Record<string, unknown>> {
    const line =
      this.#unasked.shift() ??
      (await new Promise<string>((resolve, reject) => {
        if (this.#failure === undefined) this.#waiting.push({ resolve, reject });
        else reject(this.#failure);
      }));
    const answer = JSON.parse(line) as Record<string, unknown>;
    if (typeof answer['error'] === 'string') {
      throw new RmapError('environment', `${this.#name}: ${answer['error']}`);
    }
    return answer;
  }

  /** Sends lines; each is answered by one `next()`. */
  send(lines: string): void {
    this.#child.stdin.write(lines);
  }

  async ask(line: string): Promise<Record<string, unknown>> {
    this.send(`${line}\n`);
    return this.next();
  }

  /** Ends the input, which makes the program clean up and leave. */
  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }
}
