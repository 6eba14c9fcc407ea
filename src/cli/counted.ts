import { formatCount } from './format.js';

/** A number with its noun: `1 process`, `1,234 mappings`. */
export function counted(count: number, noun: string): string {
  const plural = noun.endsWith('s') ? `${noun}es` : `${noun}s`;
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}
