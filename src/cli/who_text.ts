import type { HeldObject, WhoObjectReport } from '../query/who_object.js';
import type { PageHolder, WhoPageReport } from '../query/who_page.js';
import type { WhoProcessReport } from '../query/who_process.js';
import type { Cli } from './command.js';
import { counted } from './counted.js';
import { formatBytes, formatCount, formatDuration } from './format.js';
import { printable } from './sanitize.js';
import { printTable } from './table.js';

const STATE_TEXT: Readonly<Record<WhoPageReport['state'], string>> = {
  present: 'present',
  'swapped out': 'the page is swapped out',
  'not present': 'no page there yet: the address was never touched, or its page was reclaimed',
  'no mapping here': 'the address is in no mapping',
  'not mapped': 'nobody maps this page of the file (it may be in the page cache)',
};

function holderText(holder: PageHolder): string {
  switch (holder.kind) {
    case 'mappings': {
      const processes = counted(holder.processCount, 'process');
      return `${counted(holder.count, 'mapping')} (${processes} found)`;
    }
    case 'page cache':
      return `the page cache${holder.file === '' ? '' : ` of ${printable(holder.file)}`}`;
    case 'swap cache':
      return 'the swap cache';
    case 'ksm':
      return 'KSM, as long as anybody maps it';
    case 'mlock':
      return 'mlock (it cannot be reclaimed)';
    case 'writeback':
      return 'writeback to disk';
    case 'possibly pinned':
      return `perhaps a pin: ${holder.pids.join(' ')} pinned memory, which pages is not visible`;
    case 'kernel':
      return 'the kernel, for ever';
    case 'nothing visible':
      return 'nothing visible: it is free, or the kernel uses it for itself';
  }
}

function releaseText(cli: Cli, report: WhoPageReport): string | undefined {
  const freed = report.releases.find((release) => release.freedBytes > 0);
  if (freed !== undefined) {
    const bytes = formatBytes(freed.freedBytes, cli.exactBytes);
    return `process ${freed.pid} is the last one: ${bytes} are freed when it goes`;
  }
  if (report.releases.length === 0) return undefined;
  return 'no single process frees it by going';
}

export function printWhoPage(cli: Cli, report: WhoPageReport): void {
  const { page } = report;
  if (page === undefined) {
    cli.print(STATE_TEXT[report.state]);
    return;
  }
  const flags = page.flags.length > 0 ? ` (${page.flags.join(', ')})` : '';
  cli.print(
    `pfn 0x${page.pfn.toString(16)}: ${report.type} page, mapcount ${page.mapcount}${flags}`,
  );
  if (page.chargedTo !== '') cli.print(`charged to cgroup ${printable(page.chargedTo)}`);
  cli.print(`alive because of: ${report.holders.map(holderText).join('; ')}`);
  const release = releaseText(cli, report);
  if (release !== undefined) cli.print(release);
  cli.print('');
  printTable(
    cli,
    {
      title: `mapped by ${formatCount(report.mappings.length)}`,
      precision: report.precision,
      empty: 'nobody',
      columns: [
        { header: 'PID', value: (row) => String(row.pid) },
        { header: 'name', value: (row) => row.comm },
        { header: 'address', value: (row) => row.address },
        { header: 'mapping', value: (row) => `${row.vmaStart}-${row.vmaEnd}` },
        { header: 'rights', value: (row) => row.vmaPermissions },
        { header: 'level', value: (row) => (row.level === 'unknown' ? 'pmd or pte' : row.level) },
        { header: 'exclusive', value: (row) => (row.isExclusive ? 'yes' : 'no') },
        { header: 'of', value: (row) => (row.vmaName === '' ? 'anonymous' : row.vmaName) },
      ],
    },
    report.mappings,
  );
  if (report.missingMappings > 0) {
    cli.note(
      `the kernel counts ${counted(report.missingMappings, 'mapping')} more than were found: ` +
        'a process moved them meanwhile or may not be read',
    );
  }
}

function keptText(object: HeldObject): string {
  switch (object.keptBy) {
    case 'name':
      return 'it has a name: it stays when all processes go';
    case 'segment id':
      return 'it stays until it is removed (ipcrm) and all processes have gone';
    case 'processes':
      return 'no name leads to it: it goes with the last holder';
    case 'nothing visible':
      return 'nothing visible holds it';
  }
}

function printObject(cli: Cli, object: HeldObject): void {
  const bytes = (value: number): string => formatBytes(value, cli.exactBytes);
  const memory =
    object.memoryBytes === undefined
      ? ''
      : `, ${bytes(object.memoryBytes)} of it in memory or swap`;
  const deleted = object.isDeleted ? ', deleted' : '';
  cli.print(
    `${object.type} ${printable(object.name)} (inode ${object.inode} on ${object.device}${deleted}): ` +
      `${bytes(object.sizeBytes)}${memory}`,
  );
  cli.print(keptText(object));
  const last = object.holders.find((holder) => holder.freedBytes > 0);
  if (last !== undefined) {
    cli.print(
      `releasing process ${last.pid} (${printable(last.comm)}), which maps ` +
        `${bytes(last.mappedBytes)}, frees ${bytes(last.freedBytes)}`,
    );
  }
  cli.print('');
  const touched = new Map<number, number>();
  for (const { pid, touchedBytes } of object.mappings) {
    touched.set(pid, (touched.get(pid) ?? 0) + touchedBytes);
  }
  printTable(
    cli,
    {
      title: `held by ${counted(object.holders.length, 'process')}`,
      precision: 'exact',
      empty: 'nobody',
      columns: [
        { header: 'PID', value: (row) => String(row.pid) },
        { header: 'name', value: (row) => row.comm },
        { header: 'mappings', value: (row) => row.mappingCount, unit: 'count' },
        { header: 'mapped', value: (row) => row.mappedBytes, unit: 'bytes' },
        { header: 'touched', value: (row) => touched.get(row.pid) ?? 0, unit: 'bytes' },
        { header: 'open files', value: (row) => row.descriptorCount, unit: 'count' },
        { header: 'frees alone', value: (row) => row.freedBytes, unit: 'bytes' },
      ],
    },
    object.holders,
  );
}

export function printWhoObject(cli: Cli, report: WhoObjectReport): void {
  for (const [index, object] of report.objects.entries()) {
    if (index > 0) cli.print('');
    printObject(cli, object);
  }
}

export function printWhoProcess(cli: Cli, report: WhoProcessReport): void {
  const { process } = report;
  const bytes = (value: number): string => formatBytes(value, cli.exactBytes);
  cli.print(
    `${process.pid} (${printable(process.comm)}): RSS ${bytes(process.rssBytes)}, ` +
      `PSS ${bytes(process.pssBytes)}, USS ${bytes(process.ussBytes)}, ` +
      `swap ${bytes(process.swapBytes)}`,
  );
  cli.print(`killing it frees ${bytes(process.freedIfKilledBytes)}`);
  cli.print('');
  printTable(
    cli,
    {
      title: 'where its own memory is',
      precision: report.precision,
      limit: 12,
      columns: [
        { header: 'region', value: (row) => row.name },
        { header: 'mappings', value: (row) => row.mappingCount, unit: 'count' },
        { header: 'RSS', value: (row) => row.rssBytes, unit: 'bytes' },
        { header: 'USS', value: (row) => row.ussBytes, unit: 'bytes' },
      ],
    },
    report.regions,
  );
  cli.print('');
  printTable(
    cli,
    {
      title: 'parent, children and siblings that share with it',
      precision: report.precision,
      limit: 12,
      columns: [
        { header: 'PID', value: (row) => String(row.pid) },
        { header: 'name', value: (row) => row.comm },
        { header: 'shared', value: (row) => row.sharedBytes, unit: 'bytes' },
      ],
    },
    report.partners,
  );
  if (report.unreadRelatives > 0) {
    cli.print(`  ${counted(report.unreadRelatives, 'relative')} more not read`);
  }
}

/** How long it took, and what could not be seen. */
export function printWhoFooter(cli: Cli, elapsedMs: number, deniedPids: readonly number[]): void {
  const denied = deniedPids.length > 0 ? `; no right to read ${deniedPids.join(' ')}` : '';
  cli.print('');
  cli.print(cli.colors.dim(`answered in ${formatDuration(elapsedMs)}${denied}`));
}
