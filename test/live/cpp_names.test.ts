/** Functions of a real C++ program are named as its source has them, everywhere. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ExplainReport } from '../../src/query/explain/report.js';
import { startCli, temporaryDirectory } from './recorder_support.js';

/** Both sides of a fork write to inherited memory, in a method of a template and in a lambda. */
const PROGRAM = `
#include <cstddef>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>
namespace {
struct Arena { std::vector<char> bytes = std::vector<char>(8 << 20, 'a'); };
}
template <typename Key, typename Value> struct Table {
  Arena arena;
  __attribute__((noinline)) void overwrite(const std::pair<Key, Value> &with) {
    for (std::size_t at = 0; at < arena.bytes.size(); at += 4096) arena.bytes[at] = with.first;
  }
};
int main() {
  Table<char, std::string> table;
  if (fork() == 0) {
    table.overwrite({'b', "text"});
    _exit(0);
  }
  wait(nullptr);
  usleep(400000);
}
`;

let directory = '';

beforeEach(() => {
  directory = temporaryDirectory();
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function output(...args: string[]): Promise<string> {
  const cli = startCli(args);
  expect((await cli.ended).code).toBe(0);
  return cli.stdout;
}

it('shows readable names in the terminal, the page and JSON, which has the linker name too', async () => {
  const program = join(directory, 'names');
  writeFileSync(`${program}.cc`, PROGRAM);
  expect(spawnSync('g++', ['-O1', '-o', program, `${program}.cc`]).status).toBe(0);
  const path = join(directory, 'x.rec');
  await output('record', '-o', path, '--', program);
  const page = join(directory, 'page.html');
  expect(await output('explain', path, '--html', page)).toMatch(
    /8\.0 MiB +2,0\d\d +Table<…>::overwrite \(names\) /,
  );
  const whole =
    'Table<char, std::basic_string<char, std::char_traits<char>, std::allocator<char> > >';
  const report: ExplainReport = JSON.parse(await output('explain', path, '--json'));
  const writer = report.causes[0]?.writer;
  expect(writer?.linkerSymbol).toMatch(/^_ZN5TableIc/);
  const inner = writer?.symbol?.replace('std::__cxx11::', 'std::') ?? '';
  expect(inner.startsWith(`${whole}::overwrite(std::pair<char, std::`)).toBe(true);
  const html = readFileSync(page, 'utf8');
  expect(html).toContain('Table&lt;…&gt;::overwrite (names)');
  expect(html).toContain(` · ${writer?.linkerSymbol}`);
});
