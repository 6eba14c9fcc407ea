/**
 * Checks the rules of the repository that no linter knows: layers, purity, size, names, text.
 *
 *   node dist/tools/tidy.js
 */
import { readFileSync } from 'node:fs';
import { repositoryFiles } from './files.js';
import { collectOpNames, findUndrivenOps } from './op_rules.js';
import { checkFile, type SourceFile } from './tidy_rules.js';

const TEXT = /\.(?:ts|tsx|js|json|md|tsv|c|h|css|html|yml|sh|txt)$|^\.ci\/|^\.[a-z]+rc/;
const NOT_OURS = /^(?:package-lock\.json$|test\/data\/|examples\/)/;
const KERNEL = /^src\/kernel\/(?!op\/).*(?<!\.test)\.ts$/;
const POINTS = /^src\/kernel\/(?!op\/prims_fast).*(?<!\.test)\.ts$/;

const files: SourceFile[] = repositoryFiles()
  .filter((path) => TEXT.test(path) && !NOT_OURS.test(path))
  .map((path) => ({ path, text: readFileSync(path, 'utf8') }));

const findings = files.flatMap(checkFile);
const opNames = collectOpNames(files.filter(({ path }) => POINTS.test(path)));
for (const file of files.filter(({ path }) => KERNEL.test(path))) {
  findings.push(...findUndrivenOps(file, opNames));
}
for (const { path, line, message } of findings) {
  process.stdout.write(`${path}:${line}: ${message}\n`);
}
process.stdout.write(`tidy: ${files.length} files, ${findings.length} findings\n`);
process.exitCode = findings.length === 0 ? 0 : 1;
