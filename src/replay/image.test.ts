import { describe, expect, it } from 'vitest';
import type { SnapshotArea, SnapshotLayout } from '../trace/snapshot.js';
import { imageName } from './image.js';

const PID = 7;

function area(startPage: number, name: string): SnapshotArea {
  return {
    pid: PID,
    startPage,
    endPage: startPage + 1,
    perms: 'r--p',
    offsetBytes: 0,
    device: '08:01',
    inode: 1,
    name,
    rssKib: 0,
    pssKib: 0,
    anonKib: 0,
    anonHugeKib: 0,
    ksmKib: 0,
    flags: 'rd mr mw me',
  };
}

function layout(comm: string, vmas: readonly SnapshotArea[]): SnapshotLayout {
  const process = {
    pid: PID,
    ppid: 1,
    comm,
    tids: [PID],
    argStart: 0,
    envEnd: 0,
    stackStart: 0,
    brkStart: 100 * 4096,
    rssAnonKib: 0,
    rssFileKib: 0,
    rssShmemKib: 0,
    swapKib: 0,
    minorFaults: 0,
    majorFaults: 0,
  };
  return { name: 's', procs: [process], vmas };
}

describe('the name of a program in a snapshot', () => {
  const vmas = [area(10, '/data/x'), area(90, '/usr/bin/real'), area(100, '[heap]')];

  it('is that of the executable if there is such a mapping', () => {
    const all = [area(50, '/usr/bin/tool'), ...vmas];
    expect(imageName(layout('tool', all), PID, '/usr/bin/tool')).toBe('/usr/bin/tool');
  });

  it('is that of the last file below the heap behind a link', () => {
    const found = imageName(layout('tool', [...vmas, area(900, '/lib/l.so')]), PID, '/bin/tool');
    expect(found).toBe('/usr/bin/real');
  });

  it('compares the short name as the kernel cuts it', () => {
    const long = '/opt/a-name-of-twenty-two';
    expect(imageName(layout('a-name-of-twent', vmas), PID, long)).toBe('/usr/bin/real');
  });

  it('is not looked for in a snapshot of another program', () => {
    expect(imageName(layout('next', vmas), PID, '/bin/tool')).toBe('/bin/tool');
    expect(imageName(layout('tool', vmas), PID + 1, '/bin/tool')).toBe('/bin/tool');
  });
});
