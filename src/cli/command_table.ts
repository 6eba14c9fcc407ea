import type { CommandEntry } from './command.js';

/** Every command, in the order of the help page. A command is loaded when it is run. */
export const commandTable: readonly CommandEntry[] = [
  {
    name: 'explain',
    summary: 'say which shared memory was lost, to which writer, and what would have kept it',
    example: 'rmap explain examples/redis --html report.html',
    load: () => import('./commands/explain.js'),
  },
  {
    name: 'replay',
    summary: 'replay a recording and prove it against its snapshots',
    example: 'rmap replay examples/redis',
    load: () => import('./commands/replay.js'),
  },
  {
    name: 'record',
    summary: 'record the memory activity of a program and what it forks',
    example: 'rmap record -o redis.rec --for 60s -- redis-server --port 7777',
    load: () => import('./commands/record.js'),
  },
  {
    name: 'live',
    summary: 'what running processes share, exactly',
    example: 'rmap live $(pgrep -o postgres)',
    load: () => import('./commands/live.js'),
  },
  {
    name: 'who',
    summary: 'who maps a page or holds a file, and who would free it',
    example: 'rmap who memfd:cache',
    load: () => import('./commands/who.js'),
  },
  {
    name: 'doctor',
    summary: 'what this machine allows, what that unlocks, and what to do',
    example: 'rmap doctor --json',
    load: () => import('./commands/doctor.js'),
  },
  {
    name: 'import',
    summary: 'turn text of perf, ftrace or strace into a recording',
    example: 'rmap import trace.txt -o trace.rmap',
    load: () => import('./commands/import.js'),
  },
  {
    name: 'run',
    summary: 'run scenarios and write what the machine holds',
    example: 'rmap run test/cases/cow_basic.ops.jsonl --json',
    load: () => import('./commands/run.js'),
  },
  {
    name: 'verify',
    summary: 'run scenarios and compare with what Linux held',
    example: 'rmap verify test/cases/*.ops.jsonl',
    load: () => import('./commands/verify.js'),
  },
  {
    name: 'fuzz',
    summary: 'random scenarios: invariants, both builds, or the running kernel',
    example: 'rmap fuzz --live --for 10min --out divergences',
    load: () => import('./commands/fuzz.js'),
  },
];
