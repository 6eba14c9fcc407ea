#!/usr/bin/env node
import { commandTable } from './command_table.js';
import { runCli } from './run_cli.js';

// A reader that has seen enough (`rmap … | head`) is not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

process.exitCode = await runCli(process.argv.slice(2), commandTable, process);
