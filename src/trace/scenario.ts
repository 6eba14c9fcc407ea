/** Scenario format `*.ops.jsonl`: one flat JSON object per line, one operation each. */
import { RmapError } from '../base/errors.js';
import { TASK_SIZE_PAGES } from '../base/units.js';
import type { Operation } from '../kernel/operation.js';
import { inputError } from './input_error.js';
import type { FieldRule } from './scenario_rules.js';
import { OPERATION_RULES } from './scenario_rules.js';

/** Page number from which the addresses of a scenario count: address 0x10_0000_0000. */
export const REGION_START_PAGE = 0x1000000;

/** First relative page number behind the user's address space. */
const REGION_END = TASK_SIZE_PAGES - REGION_START_PAGE;

type Fields = Record<string, unknown>;

/** Fields that a line may have and that mean nothing for its operation. */
const IGNORED_FIELDS: Readonly<Record<string, readonly string[]>> = {
  munlock: ['onfault'],
  read: ['v'],
  unpin: ['at', 'n'],
};

/**
 * Parses one line. The result has exactly the fields of its operation: addresses stay relative to
 * `REGION_START_PAGE`, numbers that were written as texts are numbers.
 */
export function parseOperation(line: string): Operation {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw inputError(`malformed JSON: ${JSON.stringify(line.slice(0, 40))}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw inputError('expected an object like {"op":"fork","p":0,"c":1}');
  }
  const fields: Fields = { ...parsed };
  const name = String(fields['op']);
  const rules = Object.hasOwn(OPERATION_RULES, name) ? OPERATION_RULES[name] : undefined;
  if (rules === undefined) {
    const known = Object.keys(OPERATION_RULES).join(' ');
    throw inputError(`unknown operation ${JSON.stringify(fields['op'])}, expected one of ${known}`);
  }
  const operation: Fields = { op: name };
  for (const [field, { rule, isOptional }] of Object.entries(rules)) {
    const value = fields[field];
    if (value !== undefined) operation[field] = checkField(name, field, rule, value);
    else if (!isOptional) throw inputError(`${name}: field ${field} is missing`);
  }
  for (const field of Object.keys(fields)) {
    if (field === 'op' || Object.hasOwn(rules, field)) continue;
    if (IGNORED_FIELDS[name]?.includes(field) === true) continue;
    throw inputError(`${name}: unknown field ${field}, it has ${Object.keys(rules).join(' ')}`);
  }
  checkRanges(name, operation);
  return operation as unknown as Operation;
}

/**
 * Parses a scenario. Empty lines are skipped; operation i of the result is entry `i` of the state
 * file's results.
 */
export function parseScenario(text: string, name: string): Operation[] {
  return parseScenarioLines(text.split('\n'), name);
}

/** Parses a scenario line by line; `name` is the file for messages. */
export function parseScenarioLines(lines: Iterable<string>, name: string): Operation[] {
  const builder = new ScenarioBuilder(name);
  for (const line of lines) builder.addLine(line);
  return builder.operations;
}

/** Takes the lines of a scenario, and refuses operations by processes that nothing has created. */
export class ScenarioBuilder {
  readonly operations: Operation[] = [];
  readonly #name: string;
  readonly #created = new Set([0]);
  #lineNumber = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** Parses one line onto the end of `operations`, unless it is empty. */
  addLine(line: string): void {
    this.#lineNumber += 1;
    if (line.trim() === '') return;
    try {
      const operation = parseOperation(line);
      this.#checkProcesses(operation);
      this.operations.push(operation);
    } catch (error) {
      if (!(error instanceof RmapError)) throw error;
      throw inputError(`${this.#name}:${this.#lineNumber}: ${error.message}`);
    }
  }

  #checkProcesses(operation: Operation): void {
    const { op, p, q, c } = operation as { op: string; p?: number; q?: number; c?: number };
    for (const process of [p, q]) {
      if (process === undefined || this.#created.has(process)) continue;
      throw inputError(`${op}: process ${process} was never created`);
    }
    if (c !== undefined) this.#created.add(c);
  }
}

/** The scenario as text, one line per operation. */
export function formatScenario(operations: readonly Operation[]): string {
  return operations.map((operation) => `${JSON.stringify(operation)}\n`).join('');
}

function checkField(operation: string, field: string, rule: FieldRule, value: unknown): unknown {
  const checked = rule.check(value);
  if (checked !== undefined) return checked;
  throw inputError(`${operation}: ${field} is ${JSON.stringify(value)}, expected ${rule.expected}`);
}

/** Ranges must end inside the address space, wherever they are used. */
function checkRanges(name: string, fields: Fields): void {
  if (fields['file'] !== undefined && name !== 'mmap') return;
  const { at, n, to } = fields;
  const length = fields['new'] ?? n;
  checkEnd(name, at, n);
  checkEnd(name, at, fields['new']);
  checkEnd(name, to, length);
}

function checkEnd(name: string, start: unknown, length: unknown): void {
  if (typeof start !== 'number') return;
  const pages = typeof length === 'number' ? length : 0;
  if (start + pages > REGION_END) {
    throw inputError(`${name}: pages ${start} to ${start + pages} end behind the address space`);
  }
}
