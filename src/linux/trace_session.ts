import { join } from 'node:path';
import { RmapError } from '../base/errors.js';
import { memoryThreadTids } from './host.js';
import { readProcText } from './processes.js';
import { sessionName } from './session_journal.js';
import type { SessionJournal } from './session_journal.js';
import { TraceInstance } from './tracefs.js';
import { eventsOf } from './trace_events.js';
import type { EventSetName } from './trace_events.js';

/** The trace instance of one recording and the threads that it follows. */
export class TraceSession {
  readonly instance: TraceInstance;
  readonly missingEvents: readonly string[];
  /** Text of the format file of each traced event. */
  readonly formats: Readonly<Record<string, string>>;
  readonly #processOfThread = new Map<number, number>();
  readonly #helperTids: ReadonlySet<number>;

  private constructor(
    instance: TraceInstance,
    formats: Readonly<Record<string, string>>,
    missingEvents: readonly string[],
  ) {
    this.instance = instance;
    this.formats = formats;
    this.missingEvents = missingEvents;
    this.#helperTids = new Set(memoryThreadTids());
  }

  /** Makes the instance, with everything set but the threads, and switched off. */
  static create(
    tracefs: string,
    journal: SessionJournal,
    sets: readonly EventSetName[],
    bufferKib: number,
  ): TraceSession {
    const name = sessionName(journal.state.recorder);
    journal.update({ instance: join(tracefs, 'instances', name) });
    const instance = TraceInstance.create(tracefs, name);
    instance.write('tracing_on', '0');
    instance.write('buffer_size_kb', String(bufferKib));
    instance.write('trace_clock', 'mono');
    instance.write('options/event-fork', '1');
    // Drop the oldest when full: only then does the stream say where events are missing.
    instance.write('options/overwrite', '1');
    const { formats, missing } = chooseEvents(instance, sets);
    return new TraceSession(instance, formats, missing);
  }

  /** Follows threads and all their descendants from now on. */
  follow(tids: readonly number[]): void {
    this.instance.append('set_event_pid', tids.join(' '));
  }

  /** Follows those of the threads that are not followed yet. */
  followMissing(tids: readonly number[]): void {
    const followed = new Set(this.instance.read('set_event_pid').split('\n').map(Number));
    const missing = tids.filter((tid) => !followed.has(tid));
    if (missing.length > 0) this.follow(missing);
  }

  /** Switches the events on, for the followed threads only. */
  arm(): void {
    this.follow([...this.#helperTids]);
    this.instance.write('set_event', Object.keys(this.formats).join('\n'));
  }

  start(): void {
    this.instance.write('tracing_on', '1');
  }

  stop(): void {
    this.instance.write('tracing_on', '0');
  }

  /** Writes a text into the stream of events. */
  mark(text: string): void {
    this.instance.write('trace_marker', text);
  }

  /** Processes of the followed threads that run now, ascending. */
  followedPids(): number[] {
    const pids = new Set<number>();
    for (const word of this.instance.read('set_event_pid').split('\n')) {
      const tid = Number(word);
      if (!(tid > 0) || this.#helperTids.has(tid)) continue;
      const pid = this.#processOf(tid);
      if (pid > 0) pids.add(pid);
    }
    return [...pids].toSorted((left, right) => left - right);
  }

  #processOf(tid: number): number {
    const known = this.#processOfThread.get(tid);
    if (known !== undefined) return known;
    const text = readProcText(tid, 'status') ?? '';
    const pid = Number(/^Tgid:\s+(\d+)/m.exec(text)?.[1] ?? 0);
    if (pid > 0) this.#processOfThread.set(tid, pid);
    return pid;
  }
}

function chooseEvents(
  instance: TraceInstance,
  sets: readonly EventSetName[],
): { formats: Record<string, string>; missing: string[] } {
  const formats: Record<string, string> = {};
  const missing: string[] = [];
  for (const { name, filter } of eventsOf(sets)) {
    const format = instance.format(name);
    if (format === undefined) {
      missing.push(name);
      continue;
    }
    formats[name] = format;
    if (filter !== undefined) {
      instance.write(join('events', name.replace(':', '/'), 'filter'), filter);
    }
  }
  if (formats['exceptions:page_fault_user'] === undefined) {
    throw new RmapError(
      'environment',
      'this kernel has no event exceptions:page_fault_user: page faults cannot be recorded',
    );
  }
  return { formats, missing };
}
