import type { Operation } from '../kernel/operation.js';
import { MOST_EVENT_LINE_BYTES, readLines } from './input_file.js';
import { addLine } from './scenario.js';

/** Reads a scenario file, plain or with `.gz`, line by line. */
export async function readScenario(path: string): Promise<Operation[]> {
  const operations: Operation[] = [];
  let lineNumber = 0;
  for await (const line of readLines(path, MOST_EVENT_LINE_BYTES)) {
    lineNumber += 1;
    addLine(operations, line, path, lineNumber);
  }
  return operations;
}
