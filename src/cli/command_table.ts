import type { CommandEntry } from './command.js';

/** Every command, in the order of the help page. A command is loaded when it is run. */
export const commandTable: readonly CommandEntry[] = [];
