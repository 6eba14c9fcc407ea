/** What `who` says on a host with 500 processes that one has forked; `bench` says how long it takes. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ForkedFamily, SHARED_ADDRESS, startForkedFamily } from '../../bench/forked_family.js';
import { answerWho } from '../../src/linux/who.js';
import type { WhoObjectReport } from '../../src/query/who_object.js';
import type { WhoPageReport } from '../../src/query/who_page.js';
import type { WhoProcessReport } from '../../src/query/who_process.js';
import { parseWhoTarget } from '../../src/query/who_target.js';

const PROCESSES = 500;

let family: ForkedFamily;

beforeAll(() => {
  family = startForkedFamily(PROCESSES);
}, 30_000);

afterAll(() => family.end());

function ask(target: string): ReturnType<typeof answerWho> {
  return answerWho(target, parseWhoTarget(target));
}

function sharedPage(): string {
  return `${family.pid}@0x${SHARED_ADDRESS.toString(16)}`;
}

it('a page that nearly all of them map', () => {
  // One in a hundred has copied it.
  const answer = ask(sharedPage()) as WhoPageReport;
  expect(answer.mappings).toHaveLength(PROCESSES + 1 - PROCESSES / 100);
});

it('a page frame of anonymous memory', () => {
  const { page, mappings } = ask(sharedPage()) as WhoPageReport;
  const answer = ask(`pfn:${page?.pfn}`) as WhoPageReport;
  expect(answer.mappings).toEqual(mappings);
});

it('a page of a file that all of them map', () => {
  const answer = ask(`file:${family.program}@0x1000`) as WhoPageReport;
  expect(answer.mappings.length).toBeGreaterThan(0);
});

it('a file that all of them map', () => {
  const answer = ask(`file:${family.program}`) as WhoObjectReport;
  expect(answer.objects[0]?.holders).toHaveLength(PROCESSES + 1);
});

it('a memory file that all of them map and have open', () => {
  const answer = ask('memfd:forked family') as WhoObjectReport;
  expect(answer.objects[0]?.holders).toHaveLength(PROCESSES + 1);
  expect(answer.objects[0]?.descriptors).toHaveLength(PROCESSES + 1);
});

it('a shared memory segment that all of them map', () => {
  const answer = ask(`shm:${family.segment}`) as WhoObjectReport;
  expect(answer.objects[0]?.holders).toHaveLength(PROCESSES + 1);
  expect(answer.objects[0]?.type).toBe('shared memory segment');
});

it('a process with 500 children', () => {
  const answer = ask(`pid:${family.pid}`) as WhoProcessReport;
  expect(answer.partners.length).toBeGreaterThan(10);
  expect(answer.unreadRelatives).toBe(PROCESSES - answer.partners.length);
});
