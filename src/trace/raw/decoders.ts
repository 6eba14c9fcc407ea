import type { EventBatchBuilder } from '../batch_builder.js';
import type { EventKind } from '../event.js';
import { EVENT } from '../event.js';
import type { FieldRegistry } from '../field_registry.js';
import { inputError } from '../input_error.js';
import type { EventFormat } from './format_file.js';
import type { Payload } from './payload.js';
import { fieldReader, findReader, needReader } from './payload.js';

/** Adds the event at the payload to the batch; false if the event means nothing to us. */
export type EventDecoder = (
  payload: Payload,
  builder: EventBatchBuilder,
  timeNs: number,
  cpu: number,
) => void;

/** An event's decoder and the bytes that its payload must have. */
export interface Decoder {
  readonly decode: EventDecoder;
  readonly leastBytes: number;
}

/** ID of `ftrace/print`, which `trace_marker` writes: u64 ip at 8, text at 16. */
export const MARKER_ID = 5;
const MARKER_TEXT_OFFSET = 16;
const MOST_ARGUMENTS = 6;
const PAGE_BYTES = 4096;
const MOST_TEXT_BYTES = 4096;

const MARKER: Decoder = {
  leastBytes: MARKER_TEXT_OFFSET,
  decode(payload, builder, timeNs, cpu) {
    const row = payload.text(MARKER_TEXT_OFFSET, MOST_TEXT_BYTES);
    const text = payload.strings.intern(payload.strings.text(row).trimEnd());
    builder.push(EVENT.mark, timeNs, cpu, payload.tid, text);
  },
};

/** Decoders by ID, made from the recording's own format files. */
export function makeDecoders(
  formats: readonly EventFormat[],
  fields: FieldRegistry,
): ReadonlyMap<number, Decoder> {
  const decoders = new Map<number, Decoder>([[MARKER_ID, MARKER]]);
  for (const format of formats) {
    if (decoders.has(format.id)) {
      throw inputError(`format of ${format.fullName}: ID ${format.id} is used twice`);
    }
    const ends = format.fields.map((field) => field.offset + field.sizeBytes);
    // 8 bytes of common fields come first.
    decoders.set(format.id, {
      decode: makeDecoder(format, fields),
      leastBytes: Math.max(8, ...ends),
    });
  }
  return decoders;
}

function makeDecoder(format: EventFormat, fields: FieldRegistry): EventDecoder {
  if (format.fullName.startsWith('syscalls:sys_enter_')) return callEnterDecoder(format);
  if (format.fullName.startsWith('syscalls:sys_exit_')) return callExitDecoder(format);
  return KNOWN_EVENTS[format.fullName]?.(format) ?? otherDecoder(format, fields);
}

const KNOWN_EVENTS: Readonly<Record<string, ((format: EventFormat) => EventDecoder) | undefined>> =
  {
    'exceptions:page_fault_user': (format) => faultDecoder(format, EVENT.faultUser),
    'exceptions:page_fault_kernel': (format) => faultDecoder(format, EVENT.faultKernel),
    'mmap:exit_mmap': (format) => mmDecoder(format, EVENT.exitMm),
    'mmap_lock:mmap_lock_acquire_returned': (format) => mmDecoder(format, EVENT.lock),
    'mmap_lock:mmap_lock_released': (format) => mmDecoder(format, EVENT.unlock),
    'kmem:rss_stat': (format) => {
      const [mm, current] = [needReader(format, 'mm_id'), needReader(format, 'curr')];
      const [member, size] = [needReader(format, 'member'), needReader(format, 'size')];
      return (payload, builder, timeNs, cpu) => {
        const pages = size(payload) / PAGE_BYTES;
        const [a, b, c] = [mm(payload), current(payload), member(payload)];
        builder.push(EVENT.rss, timeNs, cpu, payload.tid, -1, a, b, c, pages);
      };
    },
    'kmem:mm_page_alloc': (format) => {
      const pfn = needReader(format, 'pfn');
      const order = needReader(format, 'order');
      const gfp = needReader(format, 'gfp_flags');
      return (payload, builder, timeNs, cpu) => {
        const [a, b, c] = [pfn(payload), order(payload), gfp(payload)];
        builder.push(EVENT.pageAlloc, timeNs, cpu, payload.tid, -1, a, b, c);
      };
    },
    'kmem:mm_page_free': (format) => {
      const pfn = needReader(format, 'pfn');
      const order = needReader(format, 'order');
      return (payload, builder, timeNs, cpu) => {
        builder.push(EVENT.pageFree, timeNs, cpu, payload.tid, -1, pfn(payload), order(payload));
      };
    },
    'task:task_newtask': (format) => {
      const [child, flags] = [needReader(format, 'pid'), needReader(format, 'clone_flags')];
      const comm = needReader(format, 'comm');
      return (payload, builder, timeNs, cpu) => {
        const [a, b] = [child(payload), flags(payload)];
        builder.push(EVENT.newTask, timeNs, cpu, payload.tid, comm(payload), a, b);
      };
    },
    'task:task_rename': (format) => {
      // Later kernels leave the pid out: a task renames itself.
      const subject = findReader(format, 'pid') ?? ((payload: Payload) => payload.tid);
      const comm = needReader(format, 'newcomm');
      return (payload, builder, timeNs, cpu) => {
        builder.push(EVENT.rename, timeNs, cpu, payload.tid, comm(payload), subject(payload));
      };
    },
    'sched:sched_prepare_exec': (format) => {
      const file = needReader(format, 'filename');
      return (payload, builder, timeNs, cpu) => {
        builder.push(EVENT.prepareExec, timeNs, cpu, payload.tid, file(payload));
      };
    },
    'sched:sched_process_exec': (format) => {
      const [subject, before] = [needReader(format, 'pid'), needReader(format, 'old_pid')];
      const file = needReader(format, 'filename');
      return (payload, builder, timeNs, cpu) => {
        const [a, b] = [subject(payload), before(payload)];
        builder.push(EVENT.exec, timeNs, cpu, payload.tid, file(payload), a, b);
      };
    },
    'sched:sched_process_exit': (format) => {
      const subject = needReader(format, 'pid');
      const comm = needReader(format, 'comm');
      // Older kernels do not say whether it was the last thread.
      const isLast = findReader(format, 'group_dead') ?? (() => -1);
      return (payload, builder, timeNs, cpu) => {
        const [a, b] = [subject(payload), isLast(payload)];
        builder.push(EVENT.exit, timeNs, cpu, payload.tid, comm(payload), a, b);
      };
    },
  };

function faultDecoder(format: EventFormat, kind: EventKind): EventDecoder {
  const address = needReader(format, 'address');
  const errorCode = needReader(format, 'error_code');
  const ip = needReader(format, 'ip');
  return (payload, builder, timeNs, cpu) => {
    const [a, b, c] = [address(payload), errorCode(payload), ip(payload)];
    builder.push(kind, timeNs, cpu, payload.tid, -1, a, b, c);
  };
}

/** Lock events count only if they are about the write lock. */
function mmDecoder(format: EventFormat, kind: EventKind): EventDecoder {
  const mm = needReader(format, 'mm');
  const isWrite = findReader(format, 'write') ?? (() => 1);
  return (payload, builder, timeNs, cpu) => {
    if (isWrite(payload) === 0) return;
    builder.push(kind, timeNs, cpu, payload.tid, -1, mm(payload));
  };
}

function callEnterDecoder(format: EventFormat): EventDecoder {
  const name = format.name.slice('sys_enter_'.length);
  const readers = format.fields
    .filter((field) => field.name !== '__syscall_nr' && field.layout === 'number')
    .slice(0, MOST_ARGUMENTS)
    .map((field) => fieldReader(format, field));
  return (payload, builder, timeNs, cpu) => {
    const [a, b, c, d, e, f] = readers.map((read) => read(payload));
    const text = payload.strings.intern(name);
    builder.push(EVENT.callEnter, timeNs, cpu, payload.tid, text, a, b, c, d, e, f);
  };
}

function callExitDecoder(format: EventFormat): EventDecoder {
  const name = format.name.slice('sys_exit_'.length);
  const result = needReader(format, 'ret');
  return (payload, builder, timeNs, cpu) => {
    const text = payload.strings.intern(name);
    builder.push(EVENT.callExit, timeNs, cpu, payload.tid, text, result(payload));
  };
}

function otherDecoder(format: EventFormat, registry: FieldRegistry): EventDecoder {
  const readers = format.fields.slice(0, MOST_ARGUMENTS).map((field) => fieldReader(format, field));
  let isRegistered = false;
  return (payload, builder, timeNs, cpu) => {
    if (!isRegistered) {
      for (const field of format.fields.slice(0, MOST_ARGUMENTS)) {
        registry.cell(format.name, field.name, field.layout === 'number' ? 'word' : 'text');
      }
      isRegistered = true;
    }
    const [a, b, c, d, e, f] = readers.map((read) => read(payload));
    const text = payload.strings.intern(format.name);
    builder.push(EVENT.other, timeNs, cpu, payload.tid, text, a, b, c, d, e, f);
  };
}
