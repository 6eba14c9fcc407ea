import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { commandTable } from '../command_table.js';
import type { Streams } from '../output.js';
import { runCli } from '../run_cli.js';
import type { ExplainReport } from '../../query/explain/report.js';
import { printedCli } from '../../../test/support/printed_cli.js';
import { fanOutWords, printExplain } from './explain_text.js';

const REDIS = fileURLToPath(new URL('../../../examples/redis', import.meta.url));
vi.setConfig({ testTimeout: 120_000 });
const directory = mkdtempSync(join(tmpdir(), 'rmap-explain-'));
afterAll(() => rmSync(directory, { recursive: true }));

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const stdout = new Sink();
  const stderr = new Sink();
  const streams = { stdout, stderr, env: {} } as unknown as Streams;
  const code = await runCli(['explain', ...args], commandTable, streams);
  return { code, out: stdout.text, err: stderr.text };
}

describe('rmap explain', () => {
  it('prints the proof first, then one sentence, in 100 columns', async () => {
    const { code, out } = await run(REDIS);
    expect(code).toBe(0);
    const lines = out.split('\n');
    expect(lines[0]).toBe('proof: 202,788 of 202,788 pages agree over 4 snapshots of the kernel');
    expect(lines[2]).toMatch(/^Of 126\.2 MiB shared at 1 fork/);
    expect(lines.filter((line) => line.length > 100)).toEqual([]);
    expect(out).toContain('What unshared memory (exact)');
    expect(out).toContain('(inferred, each by itself)');
    expect(lines.at(-2)).toMatch(/^next: rmap explain .* --html report\.html$/);
  });

  it('keeps to 100 columns with huge numbers and names in every column', async () => {
    const report = JSON.parse((await run(REDIS, '--json')).out);
    const [process, fork, cause] = [report.processes[1], report.forks[0], report.causes[0]];
    const tebibytes = 1022.9 * 2 ** 40;
    const name = 'std::vector<std::pair<int, std::basic_string<char>>>::_M_realloc_insert'.repeat(
      3,
    );
    const many = Array.from({ length: 12_345 }, (_, index) => index);
    const all = (own: object): object =>
      Object.fromEntries(Object.entries(own).map(([key, value]) => [key, enlarged(key, value)]));
    const enlarged = (key: string, value: unknown): unknown => {
      if (key.endsWith('Bytes') || key === 'bytes') return tebibytes;
      if (key === 'ends')
        return Object.fromEntries(Object.keys(fork.ends).map((k) => [k, tebibytes]));
      if (key === 'endNs' || key === 'timeNs') return 5999e10;
      if (['faults', 'copiedEntries', 'distinctPages'].includes(key)) return 123_456_789;
      return value;
    };
    const huge = {
      ...report,
      processes: many.map((pid) => ({
        ...all({ ...process, end: 'exit' }),
        pid: 4_182_000 + pid,
        comm: 'sixteen_letters_',
      })),
      forks: many.slice(1).map((child) => ({ ...all(fork), child })),
      causes: many.slice(0, 20).map(() => ({
        ...all({ ...cause, parentBytes: 0 }),
        writer: { ...cause.writer, symbol: name },
        processes: many,
        fanOutOf: 12_345,
        meanFanOut: 12_000,
        density: 1,
        parentBytes: 0,
      })),
      regions: report.regions.map((region: object) => ({ ...region, label: name })),
      advice: report.advice.map((advice: object) => ({ ...advice, detail: name, title: name })),
    };
    const cli = printedCli();
    printExplain(cli, huge as ExplainReport, { path: 'x.rec', html: undefined });
    expect(cli.lines.length).toBeGreaterThan(50);
    expect(cli.lines.filter((line) => line.length > 100)).toEqual([]);
    expect(cli.lines.join('\n')).toContain('12345 children');
  });

  it('keeps the numbers of many children short', () => {
    const cause = { fanOutOf: 2070, parentBytes: 0, bytes: 4096 };
    expect(fanOutWords({ ...cause, meanFanOut: 3.5 })).toBe('3.5/2070');
    expect(fanOutWords({ ...cause, meanFanOut: 1880.5 })).toBe('1881/2070');
    expect(fanOutWords({ ...cause, meanFanOut: 1, parentBytes: 4096 })).toBe('–');
  });

  it('writes the page once, for its owner, and again only by force', async () => {
    const file = join(directory, 'report.html');
    const first = await run(REDIS, '--html', file, '--bytes');
    expect(first.code).toBe(0);
    expect(first.out).toContain(`report: ${file}`);
    expect(first.out).toMatch(/next: rmap replay/);
    expect(first.out).toContain('96,124,928 B');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toMatch(/^<!doctype html>/);
    const second = await run(REDIS, '--html', file);
    expect(second.code).toBe(2);
    expect(second.err).toMatch(/exists; overwrite it with -f/);
    expect((await run(REDIS, '--html', file, '-f')).code).toBe(0);
  });

  it('prints JSON of version 1 for a window', async () => {
    const { code, out } = await run(REDIS, '--json', '--from', '2s', '--to', '3s');
    expect(code).toBe(0);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ schemaVersion: 1, window: { fromNs: 2e9, toNs: 3e9 } });
    for (const { firstNs, lastNs } of report.causes) {
      expect(firstNs).toBeGreaterThanOrEqual(2e9);
      expect(lastNs).toBeLessThanOrEqual(3e9);
    }
  });

  it('fails a budget with 1 and refuses a malformed one with 2', async () => {
    const failed = await run(REDIS, '--fail-if', 'shared_after(60s) < 70%');
    expect(failed.code).toBe(1);
    expect(failed.out).toMatch(/FAILED: shared_after\(60s\) < 70%: measured 5\.55 %/);
    const held = await run(REDIS, '--fail-if', 'unshared_bytes > 1GiB');
    expect(held.code).toBe(0);
    expect(held.out).toMatch(/ok: unshared_bytes/);
    expect((await run(REDIS, '--fail-if', 'nonsense')).code).toBe(2);
    expect((await run(REDIS, '--from', 'yesterday')).code).toBe(2);
    expect((await run(REDIS, '--from', '3s', '--to', '2s')).code).toBe(2);
    expect((await run(join(directory, 'missing'))).code).toBe(2);
  });

  it('says that nothing forked', async () => {
    const { code, out } = await run(REDIS, '--to', '1s');
    expect(code).toBe(0);
    expect(out).toContain('Nothing forked, so no memory was shared at a fork.');
  });

  it('ends with 4 when events were lost', async () => {
    const copy = join(directory, 'lossy');
    cpSync(REDIS, copy, { recursive: true });
    const manifest = join(copy, 'manifest.json');
    const text = readFileSync(manifest, 'utf8');
    writeFileSync(manifest, text.replace('"lostEvents": 0', '"lostEvents": 12'));
    const { code, out } = await run(copy);
    expect(code).toBe(4);
    expect(out).toContain('12 events were lost while recording');
  });
});
