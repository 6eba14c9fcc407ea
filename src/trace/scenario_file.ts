import { readFile } from 'node:fs/promises';
import { RmapError } from '../base/errors.js';
import type { Operation } from '../kernel/operation.js';
import { MOST_EVENT_LINE_BYTES, readLines } from './input_file.js';
import { ScenarioBuilder } from './scenario.js';
import { parseStateFile, type StateFile } from './state.js';

/** Reads a scenario file, plain or with `.gz`, line by line. */
export async function readScenario(path: string): Promise<Operation[]> {
  const builder = new ScenarioBuilder(path);
  for await (const line of readLines(path, MOST_EVENT_LINE_BYTES)) builder.addLine(line);
  return builder.operations;
}

/** Reads and checks a state file. */
export async function readStateFile(path: string): Promise<StateFile> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new RmapError('input', `${path}: cannot read the expected state`, { cause: error });
  }
  return parseStateFile(text, path);
}
