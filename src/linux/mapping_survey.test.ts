import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { MappingSurvey } from './mapping_survey.js';
import { parseSmaps } from './proc_text.js';
import type { SmapsEntry } from './proc_text.js';
import { ProcessNames } from './processes.js';

const KIB = 1024;

function ownMappings(): SmapsEntry[] {
  const smaps = parseSmaps(readFileSync('/proc/self/smaps', 'utf8'), '/proc/self/smaps');
  const program = smaps.find((vma) => vma.name === process.execPath);
  return smaps.filter((vma) => vma.inode === program?.inode && vma.device === program.device);
}

it('counts touched and copied pages as the kernel does', () => {
  const survey = new MappingSurvey(new ProcessNames());
  for (let tries = 0; ; tries++) {
    const before = ownMappings();
    const found = survey.mappingsOf(before.map((vma) => ({ pid: process.pid, vma })));
    // Pages may come while this runs: only an answer between two equal ones is one.
    if (JSON.stringify(ownMappings()) !== JSON.stringify(before) && tries < 20) continue;
    expect(before.length).toBeGreaterThan(1);
    expect(found.map((mapping) => (mapping.touchedBytes + mapping.copiedBytes) / KIB)).toEqual(
      before.map((vma) => vma.rssKib),
    );
    expect(found.map((mapping) => mapping.copiedBytes / KIB)).toEqual(
      before.map((vma) => vma.anonKib),
    );
    expect(found.map((mapping) => mapping.lengthBytes)).toEqual(
      before.map((vma) => (vma.endVpn - vma.startVpn) * 4 * KIB),
    );
    return;
  }
});

it('names the process of a mapping and says where it is', () => {
  const [vma] = ownMappings();
  expect(vma).toBeDefined();
  if (vma === undefined) return;
  const [found] = new MappingSurvey(new ProcessNames()).mappingsOf([{ pid: process.pid, vma }]);
  expect(found).toMatchObject({
    pid: process.pid,
    comm: readFileSync('/proc/self/comm', 'utf8').trim(),
    vmaStart: `0x${vma.startVpn.toString(16)}000`,
    vmaEnd: `0x${vma.endVpn.toString(16)}000`,
    vmaPermissions: vma.permissions,
  });
});

it('a process that is gone has touched nothing', () => {
  const [vma] = ownMappings();
  if (vma === undefined) throw new Error('this process has no program');
  const pid = 2 ** 22 + 1;
  const [found] = new MappingSurvey(new ProcessNames()).mappingsOf([{ pid, vma }]);
  expect(found).toMatchObject({ pid, comm: '', touchedBytes: 0, copiedBytes: 0 });
});
