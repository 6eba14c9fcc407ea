import { writeFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dataPath, temporaryDirectory } from '../../../test/support/trace_events.js';
import { commandTable } from '../command_table.js';
import { runCli } from '../run_cli.js';

interface Run {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

class Capture extends Writable {
  text = '';
  readonly isTTY = false;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function run(...args: string[]): Promise<Run> {
  const [stdout, stderr] = [new Capture(), new Capture()];
  const streams = { stdout, stderr, env: { NO_COLOR: '1' } };
  const exitCode = await runCli(['import', ...args], commandTable, streams as never);
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}

const STRACE = dataPath('imports/strace-small.txt.gz');

describe('rmap import', () => {
  it('writes a recording and says what the text could not tell', async () => {
    const target = join(temporaryDirectory(), 'out');
    const { exitCode, stdout } = await run(STRACE, '-o', target);
    expect(exitCode).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(
      /^293 events and 0 snapshots of strace in .*out \(6\.\d KiB, layout\)$/,
    );
    expect(lines[1]).toMatch(/^- No page fault is in the text/);
    expect(lines.at(-1)).toBe(`next: rmap explain ${target}`);
  });

  it('prints one report as JSON', async () => {
    const target = join(temporaryDirectory(), 'out');
    const { exitCode, stdout } = await run(STRACE, '-o', target, '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      schemaVersion: 1,
      source: STRACE,
      sourceFormat: 'strace',
      target,
      events: 293,
      precision: 'layout',
    });
  });

  it('does not overwrite without -f', async () => {
    const target = join(temporaryDirectory(), 'out');
    await run(STRACE, '-o', target);
    const { exitCode, stderr } = await run(STRACE, '-o', target);
    expect([exitCode, stderr]).toEqual([2, `rmap: ${target} exists; replace it with -f\n`]);
    expect((await run(STRACE, '-o', target, '-f')).exitCode).toBe(0);
  });

  it('ends with 4 when events were lost, and names their number', async () => {
    const directory = temporaryDirectory();
    const text = join(directory, 'trace');
    writeFileSync(
      text,
      'CPU:1 [LOST 7 EVENTS]\n' +
        'a-5 [000] ..... 1.000001: page_fault_user: address=0x1000 ip=0x2000 error_code=0x6\n',
    );
    const { exitCode, stdout } = await run(text, '-o', join(directory, 'out'));
    expect(exitCode).toBe(4);
    expect(stdout).toContain('7 events were lost while recording');
  });

  it('takes the format from the user, and refuses others', async () => {
    const target = join(temporaryDirectory(), 'out');
    const wrong = await run(STRACE, '-o', target, '--from', 'ftrace');
    expect([wrong.exitCode, wrong.stderr]).toEqual([2, `rmap: ${STRACE}: no event in 151 lines\n`]);
    const unknown = await run(STRACE, '-o', target, '--from', 'dtrace');
    expect(unknown.stderr).toMatch(/--from dtrace: expected one of perf-script, ftrace/);
    expect((await run(join(target, 'none'), '-o', target)).stderr).toMatch(/no such file/);
  });
});
