import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../test/support/trace_events.js';
import { readAll, readLineBlocks, readLines } from './input_file.js';

async function linesOf(path: string, mostLineBytes = 1000): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(path, mostLineBytes)) lines.push(line);
  return lines;
}

function write(name: string, content: string | Buffer): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, content);
  return path;
}

describe('line reader', () => {
  it('reads lines across chunks, with and without gzip and a last newline', async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i} ${'x'.repeat(i % 97)}`);
    const text = lines.join('\n');
    expect(await linesOf(write('a.txt', text))).toEqual(lines);
    expect(await linesOf(write('a.txt', `${text}\n`))).toEqual(lines);
    expect(await linesOf(write('a.txt.gz', gzipSync(text)))).toEqual(lines);
    expect(await linesOf(write('empty', ''))).toEqual([]);
  });

  it('reads a file of several gzip members, as a recorder appends them', async () => {
    const members = Buffer.concat([gzipSync('a\nb'), gzipSync(''), gzipSync('c\n')]);
    expect(await linesOf(write('a.gz', members))).toEqual(['a', 'bc']);
  });

  it('hands out blocks that end with a newline', async () => {
    const path = write('a.txt', `${'0123456789\n'.repeat(60_000)}end`);
    for await (const block of readLineBlocks(path, 100)) expect(block.at(-1)).toBe(10);
  });

  it('refuses a long line before it is in memory', async () => {
    // 64 MiB of one line, 64 kB on disk.
    const path = write('a.gz', gzipSync(Buffer.alloc(1 << 26, 'x')));
    const before = process.memoryUsage().rss;
    await expect(linesOf(path)).rejects.toThrow(/text offset 0: line is longer than 1000 bytes/);
    expect(process.memoryUsage().rss - before).toBeLessThan(1 << 25);
  });

  it('names the offset of truncated and broken gzip data', async () => {
    const whole = gzipSync('some text\n'.repeat(1000));
    const cut = write('a.gz', whole.subarray(0, whole.length - 10));
    await expect(linesOf(cut)).rejects.toThrow(/a\.gz offset \d+: bad gzip data/);
    await expect(linesOf(write('b.gz', 'no gzip'))).rejects.toThrow(/offset \d+: bad gzip data/);
  });

  it('refuses directories and missing files with an input error', async () => {
    const directory = temporaryDirectory();
    await expect(linesOf(directory)).rejects.toMatchObject({ code: 'input' });
    await expect(linesOf(join(directory, 'none'))).rejects.toThrow(/none: no such file/);
  });

  it('bounds whole files', async () => {
    const path = write('a.gz', gzipSync(Buffer.alloc(1 << 24)));
    await expect(readAll(path, 1 << 20)).rejects.toThrow(/more than 1048576 bytes/);
  });
});
