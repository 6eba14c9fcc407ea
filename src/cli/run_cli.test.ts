import { createRequire } from 'node:module';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { RmapError } from '../base/errors.js';
import { type CommandEntry, defineCommand } from './command.js';
import type { Streams } from './output.js';
import { runCli } from './run_cli.js';
import { printTable } from './table.js';

interface Row {
  readonly name: string;
  readonly sizeBytes: number;
}

const echo: CommandEntry = {
  name: 'echo',
  summary: 'print what it got',
  example: 'rmap echo hello --times 2',
  load: () =>
    Promise.resolve({
      command: defineCommand<[word: string], { times?: string }>({
        configure: (command) => {
          command.argument('<word>', 'what to print').option('--times <n>', 'how often');
        },
        run: (cli, [word], { times }) => {
          if (word === 'input') throw new RmapError('input', 'a.jsonl:3: found x,\nexpected y');
          if (word === 'environment') throw new RmapError('environment', 'no tracefs');
          if (word === 'bug') throw new TypeError('x is undefined');
          if (word === 'invariant') {
            cli.setReplay('rmap run --seed 7');
            throw new RmapError('bug', 'mapcount is -1');
          }
          if (word === 'missing') {
            throw Object.assign(new Error('ENOENT: open'), { code: 'ENOENT', path: '/no/such' });
          }
          if (cli.json) {
            cli.printJson({ schemaVersion: 1 });
          } else {
            const rows: Row[] = [
              { name: `${word}\u001b[31m`, sizeBytes: 1536 },
              { name: 'second', sizeBytes: 20 * 1024 ** 3 },
            ];
            printTable(
              cli,
              {
                title: `Words ×${times ?? '1'}`,
                precision: 'exact',
                columns: [
                  { header: 'name', value: (row) => row.name },
                  { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes' },
                ],
              },
              rows,
            );
          }
          cli.next('rmap echo again');
          return Promise.resolve(1);
        },
      }),
    }),
};

const unloadable: CommandEntry = {
  ...echo,
  name: 'other',
  load: () => Promise.reject(new Error('must not be loaded')),
};

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  const collect = (add: (text: string) => void): NodeJS.WriteStream =>
    new Writable({
      write(chunk: unknown, _encoding, done) {
        add(String(chunk));
        done();
      },
    }) as unknown as NodeJS.WriteStream;
  const streams: Streams = {
    stdout: collect((text) => (stdout += text)),
    stderr: collect((text) => (stderr += text)),
    env: {},
  };
  const code = await runCli(args, [echo, unloadable], streams);
  return { code, stdout, stderr };
}

describe('runCli', () => {
  it('lists every command with its example and loads none', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/echo .*print what it got\n\s+\$ rmap echo hello --times 2/);
    expect(stdout).toContain('70 a bug in rmap');
  });

  it('lists every command also where one is named behind --help', async () => {
    expect((await run('--help', 'echo')).stdout).toContain('other');
  });

  it('prints the version of the package', async () => {
    const { version } = createRequire(import.meta.url)('rmap/package.json') as { version: string };
    expect(await run('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect((await run('-V')).stdout).toBe(`${version}\n`);
  });

  it('prints help on stderr and fails when nothing is asked', async () => {
    const { code, stdout, stderr } = await run();
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('Usage: rmap');
  });

  it('prints the help of one command, by option and by the help command', async () => {
    const byOption = await run('echo', '--help');
    expect(byOption.code).toBe(0);
    expect(byOption.stdout).toContain('--times <n>');
    expect(byOption.stdout).toContain('Example:\n  $ rmap echo hello --times 2');
    expect((await run('help', 'echo')).stdout).toBe(byOption.stdout);
  });

  it('returns the status of the command and prints its table', async () => {
    const { code, stdout, stderr } = await run('echo', 'first', '--times', '3');
    expect(code).toBe(1);
    expect(stderr).toBe('');
    expect(stdout).toBe(
      'Words ×3 (exact)\n' +
        '  name        size\n' +
        '  first    1.5 KiB\n' +
        '  second  20.0 GiB\n' +
        'next: rmap echo again\n',
    );
  });

  it('prints exact bytes on demand', async () => {
    const { stdout } = await run('echo', 'first', '--bytes');
    expect(stdout).toContain('21,474,836,480 B');
  });

  it('prints nothing but JSON under --json', async () => {
    const { stdout } = await run('echo', 'first', '--json');
    expect(JSON.parse(stdout)).toEqual({ schemaVersion: 1 });
  });

  it.each([
    [['echo'], /^rmap: missing required argument 'word'\n$/],
    [['echo', 'a', 'b'], /^rmap: too many arguments/],
    [['echo', 'a', '--tims', '3'], /^rmap: unknown option '--tims' \(Did you mean --times\?\)\n$/],
    [['ech'], /^rmap: unknown command 'ech' \(Did you mean echo\?\)\n$/],
  ])('answers wrong usage %j with one line and status 2', async (args, line) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(line);
  });

  it.each([
    ['input', 2, 'rmap: a.jsonl:3: found x,; expected y\n'],
    ['environment', 3, 'rmap: no tracefs\n'],
    ['missing', 2, 'rmap: /no/such: no such file or directory\n'],
    [
      'bug',
      70,
      "rmap: bug: TypeError: x is undefined; replay with: RMAP_DEBUG=1 rmap echo bug --times '2 3'\n",
    ],
    ['invariant', 70, 'rmap: bug: mapcount is -1; replay with: RMAP_DEBUG=1 rmap run --seed 7\n'],
  ])('turns the failure %s into status %i and one line', async (word, status, line) => {
    const { code, stderr } = await run('echo', word, '--times', '2 3');
    expect(code).toBe(status);
    expect(stderr).toBe(line);
  });
});
