import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Every file that git tracks or would add, with `/` between the parts, in a stable order. */
export function repositoryFiles(): string[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  const paths = listed.split('\0').filter((path) => path !== '' && existsSync(path));
  return [...new Set(paths)].toSorted();
}

/** Line number, from 1, of an offset. */
export function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) {
    line++;
  }
  return line;
}
