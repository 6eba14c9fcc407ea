import { expect, test } from 'vitest';
import { findUnifiedMount } from './cgroup.js';
import { hasCapability } from './doctor.js';
import { deviceName, parseSegments } from './find_objects.js';
import { KernelConfig, isHugeEverywhere, isInitialPidNamespace } from './host.js';
import { cgroupName } from './process_groups.js';

const MOUNTS = [
  'cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0',
  'cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0',
].join('\n');

test('kernel options: set, off, unknown', () => {
  const config = new KernelConfig('CONFIG_KSM=y\n# CONFIG_KPROBES is not set\nCONFIG_HZ=250\n');
  expect(config.option('KSM')).toBe('y');
  expect(config.option('HZ')).toBe('250');
  expect(config.option('KPROBES')).toBe('n');
  expect(config.option('SM')).toBe('n');
  expect(config.isKnown).toBe(true);
});

test('capabilities come from the effective set', () => {
  const status = 'CapPrm:\t000001ffffffffff\nCapEff:\t0000000000080000\n';
  expect(hasCapability('CAP_SYS_PTRACE', status)).toBe(true);
  expect(hasCapability('CAP_SYS_ADMIN', status)).toBe(false);
  expect(hasCapability('CAP_BPF', 'CapEff:\t0000008000000000\n')).toBe(true);
});

test('cgroups may be named by path or by name', () => {
  expect(findUnifiedMount(MOUNTS)).toBe('/sys/fs/cgroup/unified');
  expect(findUnifiedMount('proc /proc proc rw 0 0')).toBeUndefined();
  expect(cgroupName('/sys/fs/cgroup/memory/app/web/', MOUNTS)).toBe('/app/web');
  expect(cgroupName('/app', MOUNTS)).toBe('/app');
  expect(cgroupName('app', MOUNTS)).toBe('/app');
  expect(cgroupName('/sys/fs/cgroup/unified', MOUNTS)).toBe('/');
  expect(cgroupName('/', MOUNTS)).toBe('/');
});

test('device numbers print as in maps', () => {
  expect(deviceName(0xfe00)).toBe('fe:00');
  expect(deviceName(1)).toBe('00:01');
  expect(deviceName(0x10_3_02)).toBe('103:02');
  expect(deviceName(0x123_0_0045)).toBe('00:12345');
});

test('System V segments are read by the names of their columns', () => {
  const text = [
    '       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime        rss       swap',
    '1392655425          5  1600               1048576  100   200      2    0     0     0     0 1 2 3      40960          0',
    '',
  ].join('\n');
  expect(parseSegments(text)).toEqual([
    { key: 1_392_655_425, id: 5, mode: 0o1600, sizeBytes: 1 << 20, rssBytes: 40_960, swapBytes: 0 },
  ]);
});

test('huge pages everywhere: one size is enough', () => {
  const settings = (thp: Record<string, string>): Parameters<typeof isHugeEverywhere>[0] => ({
    kernel: '',
    thp,
    khugepaged: {},
    ksm: {},
    vm: {},
    swaps: '',
    memTotalKib: 0,
  });
  expect(isHugeEverywhere(settings({ enabled: 'always [madvise] never' }))).toBe(false);
  const mixed = { enabled: '[never]', 'hugepages-64kB/enabled': '[always] inherit' };
  expect(isHugeEverywhere(settings(mixed))).toBe(true);
});

test('the initial PID name space is known by its number', () => {
  expect(isInitialPidNamespace('pid:[4026531836]')).toBe(true);
  expect(isInitialPidNamespace('pid:[4026532000]')).toBe(false);
});
