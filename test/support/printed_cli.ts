import picocolors from 'picocolors';
import type { Cli } from '../../src/cli/command.js';

/** A `Cli` that keeps what is printed, without colours. */
export interface PrintedCli extends Cli {
  readonly lines: string[];
  readonly notes: string[];
}

export function printedCli(exactBytes = false): PrintedCli {
  const lines: string[] = [];
  const notes: string[] = [];
  return {
    lines,
    notes,
    json: false,
    exactBytes,
    colors: picocolors.createColors(false),
    print: (line) => void lines.push(line),
    printJson: (report) => void lines.push(JSON.stringify(report)),
    note: (line) => void notes.push(line),
    next: (command) => void lines.push(`next: ${command}`),
    progress: () => Promise.resolve({ update() {}, stop() {} }),
    setReplay() {},
  };
}
