/** What a large machine takes in memory, by the budgets of bytes. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(import.meta.resolve('./memory_child.js'));

/** A machine to be built: pages of physical memory, processes, pages that each of them maps. */
interface MachineSize {
  readonly pages: number;
  readonly processes: number;
  readonly pagesEach: number;
}

/** 64 GiB; a service of 1000 workers that share 256 MiB. */
const FULL: MachineSize = { pages: 2 ** 24, processes: 1000, pagesEach: 65_536 };
const SMOKE: MachineSize = { pages: 2 ** 16, processes: 10, pagesEach: 1024 };

const MOST_BYTES_PER_PAGE = 40;
const MOST_BYTES_PER_ENTRY = 8;
const MOST_BYTES = 2 ** 31;

export interface MemoryReport extends MachineSize {
  readonly name: string;
  readonly bytesPerPage: number;
  readonly bytesPerEntry: number;
  /** Heap and buffers together. */
  readonly allBytes: number;
  readonly rssBytes: number;
  readonly problems: readonly string[];
}

/** Builds the machine in a process of its own and judges it. */
export function measureMemory(smoke: boolean): MemoryReport {
  const name = 'memory of a 64 GiB machine with 1000 processes';
  const size = smoke ? SMOKE : FULL;
  const { pages, processes, pagesEach } = size;
  const args = ['--expose-gc', CHILD, String(pages), String(processes), String(pagesEach)];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(`memory_child: ${child.stderr}`);
  const { machineBytes, allBytes, rssBytes } = JSON.parse(child.stdout) as {
    readonly machineBytes: number;
    readonly allBytes: number;
    readonly rssBytes: number;
  };
  const bytesPerPage = machineBytes / pages;
  const bytesPerEntry = (allBytes - machineBytes) / (processes * pagesEach);
  const problems: string[] = [];
  const limit = (what: string, value: number, most: number): void => {
    if (!smoke && value > most)
      problems.push(`${name}: ${value.toFixed(1)} ${what}, budget ${most}`);
  };
  limit('bytes per page', bytesPerPage, MOST_BYTES_PER_PAGE);
  limit('bytes per page-table entry', bytesPerEntry, MOST_BYTES_PER_ENTRY);
  limit('bytes', allBytes, MOST_BYTES);
  return { name, ...size, bytesPerPage, bytesPerEntry, allBytes, rssBytes, problems };
}

/** For the terminal. */
export function formatMemory(report: MemoryReport): string {
  const { name, allBytes, bytesPerEntry, bytesPerPage, problems, rssBytes } = report;
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  return [
    name,
    `  ${bytesPerPage.toFixed(1)} B per page, ${bytesPerEntry.toFixed(1)} B per page-table entry, ` +
      `${mebibytes(allBytes)} of heap and buffers, ${mebibytes(rssBytes)} resident`,
    ...problems.map((problem) => `  FAILED ${problem}`),
  ].join('\n');
}
