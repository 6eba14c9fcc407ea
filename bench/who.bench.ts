import { answerWho } from '#rmap/linux/who.js';
import { parseWhoTarget } from '#rmap/query/who_target.js';
import { type ForkedFamily, SHARED_ADDRESS, startForkedFamily } from './forked_family.js';
import type { Benchmark } from './harness.js';

const PROCESSES = 500;
/** 200 ms an answer. */
const MAX_NS = 200e6;

let family: ForkedFamily | undefined;

function theFamily(): ForkedFamily {
  if (family === undefined) {
    family = startForkedFamily(PROCESSES);
    process.once('exit', () => family?.end());
  }
  return family;
}

/** How many processes an answer names. */
function found(answer: ReturnType<typeof answerWho>): number {
  if ('mappings' in answer) return answer.mappings.length;
  if ('objects' in answer) return answer.objects[0]?.holders.length ?? 0;
  return answer.partners.length;
}

function benchmark(name: string, targetOf: (family: ForkedFamily) => string): Benchmark {
  return {
    name: `who ${name}, ${PROCESSES} processes`,
    item: 'answer',
    sizes: [1],
    smokeSize: 1,
    variants: [
      {
        name: 'rmap',
        setup() {
          const target = targetOf(theFamily());
          return { run: () => found(answerWho(target, parseWhoTarget(target))) };
        },
      },
    ],
    budget: { maxNsPerItem: MAX_NS },
  };
}

const ALL: readonly Benchmark[] = [
  benchmark('PID@0xADDR', ({ pid }) => `${pid}@0x${SHARED_ADDRESS.toString(16)}`),
  benchmark('file:PATH', ({ program }) => `file:${program}`),
  benchmark('memfd:NAME', () => 'memfd:forked family'),
  benchmark('shm:ID', ({ segment }) => `shm:${segment}`),
  benchmark('pid:N', ({ pid }) => `pid:${pid}`),
];

/** Why `who` is not measured here; undefined if it is. */
export const whoReason =
  process.platform === 'linux' && process.getuid?.() === 0
    ? undefined
    : 'this is not root on Linux';

/** Answers about running processes, on a host with many that one has forked. */
export const whoBenchmarks: readonly Benchmark[] = whoReason === undefined ? ALL : [];
