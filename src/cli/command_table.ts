import type { CommandEntry } from './command.js';

/** Every command, in the order of the help page. A command is loaded when it is run. */
export const commandTable: readonly CommandEntry[] = [
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
];
