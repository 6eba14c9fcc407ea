import { accessSync, constants, existsSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { findUnifiedMount } from './cgroup.js';
import { KernelConfig, isInitialPidNamespace, readSetting } from './host.js';
import { FrameFile } from './page_frames.js';
import { readUnifiedCgroup } from './processes.js';
import { findProgram } from './start_stub.js';
import { EVENT_SETS } from './trace_events.js';
import { findTracefs } from './tracefs.js';

/** One thing that a machine allows or does not. */
export interface DoctorRung {
  readonly name: string;
  readonly state: 'yes' | 'no' | 'partly' | 'unknown';
  /** What was found. */
  readonly found: string;
  /** What it makes possible. */
  readonly unlocks: string;
  /** How to get it; `undefined` if it is there or cannot be had. */
  readonly todo: string | undefined;
}

/** Whether a command works here, and if not, what works instead. */
export interface DoctorCommand {
  readonly command: string;
  readonly state: 'yes' | 'no' | 'partly';
  readonly note: string;
}

export interface DoctorReport {
  readonly schemaVersion: 1;
  readonly kernel: string;
  readonly user: number;
  /** From what anybody may do up to what needs most. */
  readonly rungs: readonly DoctorRung[];
  readonly commands: readonly DoctorCommand[];
  /** Kernel options that change what is seen, with their values. */
  readonly options: Readonly<Record<string, string>>;
}

/** Bits of CapEff. */
const CAPABILITY = {
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;

const SHOWN_OPTIONS = [
  'PROC_PAGE_MONITOR',
  'MM_ID',
  'PAGE_MAPCOUNT',
  'NO_PAGE_MAPCOUNT',
  'TRANSPARENT_HUGEPAGE',
  'KSM',
  'MEMCG',
  'MEM_SOFT_DIRTY',
  'CHECKPOINT_RESTORE',
  'FTRACE_SYSCALLS',
  'KPROBES',
  'BPF_SYSCALL',
  'DEBUG_INFO_BTF',
] as const;

/** Whether a capability is in the effective set, from the text of /proc/self/status. */
export function hasCapability(name: keyof typeof CAPABILITY, status: string): boolean {
  const digits = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  return (BigInt(`0x${digits}`) & (1n << BigInt(CAPABILITY[name]))) !== 0n;
}

function hasProgram(name: string): boolean {
  try {
    findProgram(name);
    return true;
  } catch {
    return false;
  }
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function unprivilegedRung(): DoctorRung {
  const paranoid = Number(readSetting('/proc/sys/kernel/perf_event_paranoid'));
  const tools = ['perf', 'strace'].filter(hasProgram);
  const installed = tools.length > 0 ? tools.join(', ') : 'neither perf nor strace';
  const perf = paranoid <= 2 ? 'user page faults may be sampled' : 'perf is refused to users';
  const hasPagemap = isAccessible('/proc/self/pagemap', constants.R_OK);
  return {
    name: 'own processes',
    state: hasPagemap ? 'yes' : 'no',
    found: `pagemap ${hasPagemap ? 'readable' : 'missing'}; perf_event_paranoid ${paranoid}: ${perf}; installed: ${installed}`,
    unlocks:
      'live on own processes (RSS, PSS, pages mapped by nobody else); import of perf and strace text',
    todo: tools.length < 2 ? 'install perf and strace' : undefined,
  };
}

function ptraceRung(status: string): DoctorRung {
  const hasPtrace = hasCapability('CAP_SYS_PTRACE', status);
  const scope = readSetting('/proc/sys/kernel/yama/ptrace_scope');
  return {
    name: 'CAP_SYS_PTRACE',
    state: hasPtrace ? 'yes' : 'no',
    found: scope === '' ? 'no Yama' : `Yama ptrace_scope ${scope}`,
    unlocks: 'live and record on processes of other users',
    todo: hasPtrace ? undefined : 'run as root, or: setcap cap_sys_ptrace+ep on a copy of node',
  };
}

function canReadFrames(): boolean {
  try {
    new FrameFile('kpagecount').close();
    return true;
  } catch {
    return false;
  }
}

function framesRung(status: string, config: KernelConfig): DoctorRung {
  const isReadable = canReadFrames();
  const hasAdmin = hasCapability('CAP_SYS_ADMIN', status);
  const isAverage = config.option('NO_PAGE_MAPCOUNT') === 'y';
  return {
    name: 'page frames (CAP_SYS_ADMIN)',
    state: isReadable && hasAdmin ? (isAverage ? 'partly' : 'yes') : 'no',
    found: isReadable
      ? `/proc/kpagecount readable${isAverage ? ', but only averages for large folios' : ''}`
      : '/proc/kpagecount refused',
    unlocks: 'who; live with exact sharing by whom; snapshots that check a replay',
    todo: isReadable ? undefined : 'run as root in the initial user name space',
  };
}

function missingEvents(tracefs: string): string[] {
  const events = Object.values(EVENT_SETS).flat();
  return events
    .filter(({ name }) => !existsSync(join(tracefs, 'events', name.replace(':', '/'))))
    .map(({ name }) => name);
}

function tracefsRung(): DoctorRung {
  const unlocks = 'record: every fault, fork, exec, mapping and counter, exactly';
  const tracefs = findTracefs();
  const name = 'tracefs';
  if (!isInitialPidNamespace(readlinkSync('/proc/self/ns/pid'))) {
    const found = 'this is a PID name space of a container: events carry other process numbers';
    return { name, state: 'no', found, unlocks, todo: 'record from the host' };
  }
  if (tracefs === undefined) {
    const canMount = existsSync('/sys/kernel/tracing') && process.getuid?.() === 0;
    return {
      name,
      state: canMount ? 'yes' : 'no',
      found: canMount ? 'not mounted; record mounts it' : 'not mounted',
      unlocks,
      todo: canMount ? undefined : 'as root: mount -t tracefs nodev /sys/kernel/tracing',
    };
  }
  if (!isAccessible(join(tracefs, 'instances'), constants.W_OK)) {
    const found = `${tracefs} is closed to this user`;
    return {
      name,
      state: 'no',
      found,
      unlocks,
      todo: 'run record as root; explain needs no rights',
    };
  }
  const missing = missingEvents(tracefs);
  return {
    name,
    state: missing.length === 0 ? 'yes' : 'partly',
    found: missing.length === 0 ? `${tracefs}, all events` : `lacks ${missing.join(', ')}`,
    unlocks,
    todo: undefined,
  };
}

function freezerRung(): DoctorRung {
  const mount = findUnifiedMount();
  const own = readUnifiedCgroup('self');
  const isWritable =
    mount !== undefined &&
    own !== undefined &&
    isAccessible(join(mount, own, 'cgroup.procs'), constants.W_OK);
  return {
    name: 'cgroup freezer',
    state: isWritable ? 'yes' : 'no',
    found: mount === undefined ? 'cgroup version 2 is not mounted' : `version 2 at ${mount}`,
    unlocks: 'snapshots that the recorded program and its parent do not notice (else: SIGSTOP)',
    todo: isWritable ? undefined : 'run in a delegated cgroup: systemd-run --scope -p Delegate=yes',
  };
}

function bpfRung(status: string, config: KernelConfig): DoctorRung {
  const hasBtf = existsSync('/sys/kernel/btf/vmlinux');
  const isAllowed = hasCapability('CAP_BPF', status) || hasCapability('CAP_SYS_ADMIN', status);
  const isBuilt = config.option('BPF_SYSCALL') !== 'n';
  return {
    name: 'BPF with BTF',
    state: hasBtf && isAllowed && isBuilt ? 'yes' : 'no',
    found: `${hasBtf ? 'BTF present' : 'no BTF'}, ${isAllowed ? 'allowed' : 'not allowed'}`,
    unlocks:
      "verify --live and fuzz --live: the kernel's own anon_vma, folio and page-table structures; anon_vmas in live",
    todo: hasBtf && isBuilt && !isAllowed ? 'run as root' : undefined,
  };
}

function configRung(config: KernelConfig): DoctorRung {
  return {
    name: 'kernel configuration',
    state: config.isKnown ? 'yes' : 'unknown',
    found: config.isKnown ? 'known' : 'neither /proc/config.gz nor /boot/config-*',
    unlocks: 'reports that say which numbers this kernel only estimates',
    todo: config.isKnown ? undefined : 'install the kernel configuration file in /boot',
  };
}

function commandsOf(rungs: readonly DoctorRung[]): DoctorCommand[] {
  const stateOf = (name: string): DoctorRung['state'] =>
    rungs.find((rung) => rung.name.startsWith(name))?.state ?? 'no';
  const frames = stateOf('page frames');
  const tracefs = stateOf('tracefs');
  const hasFrames = frames === 'yes' || frames === 'partly';
  const canRecord = (tracefs === 'yes' || tracefs === 'partly') && hasFrames;
  return [
    {
      command: 'record',
      state: canRecord ? 'yes' : 'partly',
      note: canRecord
        ? 'exact'
        : '--flags-only records sharing over time; or import the text of perf script or strace',
    },
    {
      command: 'live',
      state: hasFrames ? 'yes' : 'partly',
      note: hasFrames ? 'exact' : 'own processes, without by whom',
    },
    { command: 'who', state: hasFrames ? 'yes' : 'no', note: hasFrames ? 'exact' : 'needs frames' },
    {
      command: 'verify --live',
      state: stateOf('BPF') === 'yes' ? 'yes' : 'no',
      note: stateOf('BPF') === 'yes' ? "reads the kernel's structures" : 'needs BPF with BTF',
    },
    { command: 'explain, replay, run, check', state: 'yes', note: 'need no rights' },
  ];
}

/** Finds out what this machine lets this user do. Changes nothing. */
export function examineHost(): DoctorReport {
  const status = readFileSync('/proc/self/status', 'utf8');
  const config = new KernelConfig();
  const rungs = [
    unprivilegedRung(),
    ptraceRung(status),
    framesRung(status, config),
    freezerRung(),
    tracefsRung(),
    bpfRung(status, config),
    configRung(config),
  ];
  const options: Record<string, string> = {};
  for (const option of SHOWN_OPTIONS) {
    const value = config.option(option);
    if (value !== undefined) options[option] = value;
  }
  return {
    schemaVersion: 1,
    kernel: readSetting('/proc/version'),
    user: process.getuid?.() ?? -1,
    rungs,
    commands: commandsOf(rungs),
    options,
  };
}
