import * as v from 'valibot';
import { inputError } from './input_error.js';

/** Checks parsed JSON against a schema; an input error names the first field that does not fit. */
export function checkShape<const S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  where: string,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  const path = v.getDotPath(issue);
  throw inputError(`${where}: ${path === null ? '' : `${path}: `}${issue.message}`);
}

/** A whole number from 0 to `most`. */
export function wholeNumber(most: number = Number.MAX_SAFE_INTEGER) {
  return v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(most));
}

/** A text that ends up in messages and tables: bounded in length. */
export function boundedText(most = 65_536) {
  return v.pipe(v.string(), v.maxLength(most));
}
