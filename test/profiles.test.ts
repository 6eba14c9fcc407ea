/**
 * Goal: the other builds of the kernel behave as spec 20 and 50 §14 say. Method: each stated change
 * is looked at in the profile and in the default one, side by side, with every invariant checked
 * after each operation.
 */
import { describe, expect, test } from 'vitest';
import { checkInvariants } from '../src/kernel/invariants/index.js';
import type { Operation } from '../src/kernel/operation.js';
import { largeRow } from '../src/kernel/phys/large_folio.js';
import type { Profile } from '../src/kernel/profile.js';
import { MachineScript } from './support/machine_script.js';

const MTHP: Operation = { op: 'config', key: 'mthp.64kB', value: 'always' };
const SHMEM_MTHP: Operation = { op: 'config', key: 'shmem_mthp.64kB', value: 'always' };

/** A script that checks every invariant after each operation. */
class Checked extends MachineScript {
  override run(...operations: Operation[]): ReturnType<MachineScript['run']> {
    let result: ReturnType<MachineScript['run']> = { ret: 0 };
    for (const operation of operations) {
      result = super.run(operation);
      checkInvariants(this.kernel);
    }
    return result;
  }

  override answer(operation: Operation): number | string {
    const { ret, err } = this.run(operation);
    return err ?? ret;
  }

  /** Sixteen pages at 0 in one folio. */
  largeFolio(): this {
    this.run(MTHP);
    this.map(0, 16);
    this.write(0, 16, 7);
    return this;
  }

  /** 512 pages at 0 in one folio, mapped by one entry. */
  hugeFolio(): this {
    this.run({ op: 'config', key: 'thp', value: 'always' });
    this.map(0, 512);
    this.write(0, 512, 7);
    return this;
  }

  /** A file of sixteen pages in one folio, mapped by process 0 and read. */
  largeFile(): this {
    this.run(
      SHMEM_MTHP,
      { op: 'file', id: 'f', n: 16, kind: 'memfd' },
      { op: 'mmap', p: 0, at: 0, n: 16, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
    );
    this.write(0, 16, 7);
    return this;
  }

  unmap(at: number, n: number, p = 0): void {
    this.run({ op: 'munmap', p, at, n });
  }

  smaps(at: number, p = 0): Readonly<Record<string, number>> {
    return (
      this.state().procs[p].vmas.find((vma) => at >= vma.at && at < vma.at + vma.n)?.smaps ?? {}
    );
  }

  /** kpagecount of the pages, and bit 56 of their pagemap entries. */
  counts(at: number, n: number, p = 0): { kpagecount: unknown[]; exclusive: unknown[] } {
    const pages = Array.from({ length: n }, (_, i) => this.page(at + i, p));
    const present = pages.map((page) => (page?.k === 'page' ? page : undefined));
    return {
      kpagecount: present.map((page) => page?.kc),
      exclusive: present.map((page) => page?.x),
    };
  }

  /** `id:mappings` of the slots of the folio behind a page, by process. */
  slots(at: number, p = 0): string {
    const { large } = this.kernel;
    const row = largeRow(this.kernel, this.kernel.memory.folioOf(this.pfn(at, p)));
    const processOf = (id: number): string => {
      const owner = [...this.kernel.processes.values()].find(({ mm }) => mm.mmId === id);
      return owner === undefined ? '-' : `p${owner.id}`;
    };
    const shown = [
      `${processOf(large.mmId0[row])}:${large.mmIdMapcount0[row]}`,
      `${processOf(large.mmId1[row])}:${large.mmIdMapcount1[row]}`,
    ];
    return `${shown.join(' ')}${large.shared[row] === 0 ? '' : ' shared'}`;
  }
}

/** The same script in the default build and in another one. */
function both<Answer>(
  profile: Partial<Profile>,
  ask: (script: Checked) => Answer,
): { readonly byDefault: Answer; readonly here: Answer } {
  return { byDefault: ask(new Checked()), here: ask(new Checked(profile)) };
}

describe('without mapcounts of pages (CONFIG_NO_PAGE_MAPCOUNT)', () => {
  const profile = { pageMapcount: false };

  test('pages of a large folio have no mapcount of their own, the folio keeps its total', () => {
    const seen = both(profile, (script) => {
      script.largeFolio().fork(0, 1);
      const { memory, large } = script.kernel;
      const pfn = script.pfn(3);
      const row = largeRow(script.kernel, memory.folioOf(pfn));
      const page = script.page(3);
      const pmc = page?.k === 'page' ? page.pmc : undefined;
      const folio = page?.k === 'page' ? page.folioState : undefined;
      return {
        own: memory.mapcount[pfn],
        total: large.largeMapcount[row],
        pmc,
        pagesMapped: folio?.nr_pages_mapped,
      };
    });
    expect(seen.byDefault).toEqual({ own: 2, total: 32, pmc: 2, pagesMapped: 16 });
    expect(seen.here).toEqual({ own: 0, total: 32, pmc: undefined, pagesMapped: undefined });
  });

  test('small folios count as ever', () => {
    const script = new Checked(profile);
    script.map(0, 1);
    script.write(0, 1, 7);
    script.fork(0, 1);
    expect(script.kernel.memory.mapcount[script.pfn(0)]).toBe(2);
    expect(script.counts(0, 1)).toEqual({ kpagecount: [2], exclusive: [0] });
  });

  test('kpagecount shows the mean of the folio, pagemap whether it may be shared', () => {
    const seen = both(profile, (script) => {
      script.largeFolio().fork(0, 1);
      script.unmap(0, 8, 1);
      return script.counts(7, 2);
    });
    // 24 mappings of 16 pages: the first eight pages are mapped once, the others twice.
    expect(seen.byDefault).toEqual({ kpagecount: [1, 2], exclusive: [1, 0] });
    expect(seen.here).toEqual({ kpagecount: [2, 2], exclusive: [0, 0] });
  });

  test('the mean counts whole mappings in full: 514 entries of which two are huge are 3', () => {
    const script = new Checked(profile);
    script.hugeFolio().fork(0, 1);
    script.fork(0, 2);
    // A write splits the huge entry of process 2 and copies one page: 511 entries are left.
    script.write(0, 1, 8, 2);
    expect(script.page(1)).toMatchObject({ folioState: { mapcount: 513, entire: 2 } });
    expect(script.counts(1, 1).kpagecount).toEqual([3]);
    script.unmap(256, 255, 2);
    expect(script.counts(1, 1).kpagecount).toEqual([3]);
    // Less than half of the pages on average: rounded down.
    script.unmap(1, 1, 2);
    expect(script.counts(1, 1).kpagecount).toEqual([2]);
    script.run({ op: 'exit', p: 2 });
    expect(script.counts(1, 1).kpagecount).toEqual([2]);
  });

  test('smaps divides by the mean, and calls private what is not marked shared', () => {
    const seen = both(profile, (script) => {
      script.largeFolio().fork(0, 1);
      script.unmap(0, 8, 1);
      const { Pss, Private_Dirty: privateKb, Shared_Dirty: sharedKb } = script.smaps(0);
      return { Pss, privateKb, sharedKb };
    });
    expect(seen.byDefault).toEqual({ Pss: 32 + 16, privateKb: 32, sharedKb: 32 });
    expect(seen.here).toEqual({ Pss: 32, privateKb: undefined, sharedKb: 64 });
  });

  test('a folio that stays marked shared shows its only user as sharing', () => {
    const seen = both(profile, (script) => {
      // Spec 20 §4.6 g: the third mm got no slot, and the two that had them are gone.
      script.largeFolio().run({ op: 'fork', p: 0, c: 1 }, { op: 'fork', p: 0, c: 2 });
      script.run({ op: 'exit', p: 0 }, { op: 'exit', p: 1 });
      return { slots: script.slots(0, 2), ...script.counts(0, 1, 2), smaps: script.smaps(0, 2) };
    });
    expect(seen.byDefault).toMatchObject({ slots: '-:0 -:0 shared', exclusive: [1] });
    expect(seen.byDefault.smaps).toMatchObject({ Private_Dirty: 64 });
    expect(seen.here).toMatchObject({ slots: '-:0 -:0 shared', exclusive: [0] });
    expect(seen.here.smaps).toMatchObject({ Shared_Dirty: 64, Pss: 64 });
  });

  test('statistics count a folio whole from its first mapping to its last', () => {
    const seen = both(profile, (script) => {
      script.largeFolio();
      script.unmap(0, 15);
      const before = script.kernel.stats.anonMapped;
      script.unmap(15, 1);
      return [before, script.kernel.stats.anonMapped];
    });
    expect(seen).toEqual({ byDefault: [1, 0], here: [16, 0] });

    const file = both(profile, (script) => {
      script.largeFile().unmap(0, 16);
      script.run({ op: 'mmap', p: 0, at: 3, n: 1, prot: 'rw', flags: 'shared', file: 'f', off: 3 });
      script.read(3);
      return script.kernel.stats.fileMapped;
    });
    expect(file).toEqual({ byDefault: 1, here: 16 });
  });

  test('huge mappings count in pages in both, and a split one goes on counting whole', () => {
    const seen = both(profile, (script) => {
      script.hugeFolio().fork(0, 1);
      const { stats } = script.kernel;
      const whole = [stats.anonMapped, stats.anonThps];
      script.run({ op: 'exit', p: 1 });
      script.unmap(0, 2);
      return [whole, [stats.anonMapped, stats.anonThps]];
    });
    expect(seen.byDefault).toEqual([
      [512, 512],
      [510, 0],
    ]);
    expect(seen.here).toEqual([
      [512, 512],
      [512, 0],
    ]);
  });

  test('a page that nobody maps is noticed only when fewer mappings than pages are left', () => {
    const seen = both(profile, (script) => {
      script.largeFolio().fork(0, 1);
      script.unmap(0, 1, 0);
      script.unmap(0, 1, 1);
      const early = script.kernel.deferredSplit.length;
      script.run({ op: 'exit', p: 1 });
      return [early, script.kernel.deferredSplit.length];
    });
    expect(seen).toEqual({ byDefault: [1, 1], here: [0, 1] });
  });
});

describe('without mm ids (no CONFIG_MM_ID)', () => {
  const profile: Partial<Profile> = { mmIds: 'none' };

  test('no slots are kept, and every large folio may be shared', () => {
    const seen = both(profile, (script) => {
      script.largeFolio();
      const page = script.page(0);
      const folio = page?.k === 'page' ? page.folioState : undefined;
      return { ids: folio?.mm?.map((slot) => slot?.p), shared: folio?.maybe_shared };
    });
    expect(seen.byDefault).toEqual({ ids: [0, undefined], shared: 0 });
    expect(seen.here).toEqual({ ids: undefined, shared: undefined });
  });

  test('a large folio is never reused once it was shared, a small one is', () => {
    const seen = both(profile, (script) => {
      script.largeFolio().fork(0, 1);
      script.run({ op: 'exit', p: 1 });
      const before = script.pfn(0);
      script.write(0, 1, 8);
      return script.pfn(0) === before ? 'reused' : 'copied';
    });
    expect(seen).toEqual({ byDefault: 'reused', here: 'copied' });

    const script = new Checked(profile);
    script.map(0, 1);
    script.write(0, 1, 7);
    script.fork(0, 1);
    script.run({ op: 'exit', p: 1 });
    const before = script.pfn(0);
    script.write(0, 1, 8);
    expect(script.pfn(0)).toBe(before);
  });

  test('a page that was never shared is written in place, and a huge one is reused', () => {
    const script = new Checked(profile);
    script.largeFolio();
    const before = script.pfn(0);
    script.run({ op: 'mprotect', p: 0, at: 0, n: 16, prot: 'r' });
    script.run({ op: 'mprotect', p: 0, at: 0, n: 16, prot: 'rw' });
    script.write(0, 1, 8);
    expect(script.pfn(0)).toBe(before);

    const huge = new Checked(profile);
    huge.hugeFolio().fork(0, 1);
    huge.run({ op: 'exit', p: 1 });
    const head = huge.pfn(0);
    huge.write(0, 1, 8);
    expect(huge.pfn(0)).toBe(head);
  });

  test('advices and moves that spare shared folios spare every large one', () => {
    const seen = both(profile, (script) => {
      script.run({ op: 'swapon', kind: 'zram' });
      script.largeFolio();
      // Half of a large folio: only what is not shared is split for it.
      script.run({ op: 'madvise', p: 0, at: 0, n: 8, advice: 'pageout' });
      return script.smaps(0)['Swap'] ?? 0;
    });
    expect(seen).toEqual({ byDefault: 32, here: 0 });

    const moves = both({ ...profile, nodePages: [4096] }, (script) => {
      if (script.kernel.profile.nodePages.length === 0) return [-13];
      script.largeFolio();
      const { vals } = script.run({ op: 'move_pages', p: 0, at: 0, n: 1, node: 1 });
      return (vals ?? []).map(([value]) => value);
    });
    expect(moves.here).toEqual([-13]);
    const withIds = new Checked({ nodePages: [4096] });
    withIds.largeFolio();
    expect(withIds.run({ op: 'move_pages', p: 0, at: 0, n: 1, node: 1 }).vals).toEqual([[1, 1]]);
  });

  test('precise counts are shown as ever', () => {
    const script = new Checked(profile);
    script.largeFolio().fork(0, 1);
    script.unmap(0, 8, 1);
    expect(script.counts(7, 2)).toEqual({ kpagecount: [1, 2], exclusive: [1, 0] });
  });
});

describe('mm ids of 15 bits (32-bit builds)', () => {
  const profile: Partial<Profile> = { mmIds: '32-bit' };
  /** Ids that are handed out to nobody, so that few are left. */
  function useUpIds(script: Checked, left: number): number[] {
    const { mmIds } = script.kernel;
    const taken: number[] = [];
    while (mmIds.count + left <= 0x7fff) taken.push(mmIds.alloc());
    return taken;
  }

  test('a fork without a free id fails, and succeeds when an id came back', () => {
    const script = new Checked(profile);
    useUpIds(script, 1);
    expect(script.answer({ op: 'fork', p: 0, c: 1 })).toBe(0);
    expect(script.kernel.processes.get(1)?.mm.mmId).toBe(0x7fff);
    expect(script.answer({ op: 'fork', p: 0, c: 2 })).toBe('ENOMEM');
    expect(script.answer({ op: 'exec', p: 1 })).toBe('ENOMEM');
    // A thread needs no id.
    expect(script.answer({ op: 'clone_vm', p: 0, c: 3 })).toBe(0);
    script.run({ op: 'exit', p: 1 });
    expect(script.answer({ op: 'fork', p: 0, c: 2 })).toBe(0);
    const wide = new Checked();
    useUpIds(wide, 0);
    expect(wide.answer({ op: 'fork', p: 0, c: 1 })).toBe(0);
  });

  test('the largest id is tracked like any other', () => {
    const script = new Checked(profile);
    useUpIds(script, 1);
    script.largeFolio().fork(0, 1);
    expect(script.slots(0)).toBe('p0:16 p1:16 shared');
    script.run({ op: 'exit', p: 0 });
    expect(script.slots(0, 1)).toBe('-:0 p1:16');
  });

  test('an id that is used again finds no trace of its last owner', () => {
    const script = new Checked(profile);
    script.largeFolio().fork(0, 1);
    const id = script.kernel.processes.get(1)?.mm.mmId;
    script.run({ op: 'exit', p: 1 }, { op: 'fork', p: 0, c: 2 });
    expect(script.kernel.processes.get(2)?.mm.mmId).toBe(id);
    expect(script.slots(0)).toBe('p0:16 p2:16 shared');
  });

  test('more than 32768 mappings by one mm give its slot up and mark the folio shared', () => {
    // 65 mappings of a file folio of 512 pages, none aligned: every page by an entry of its own.
    const seen = both(profile, (script) => {
      script.run(
        { op: 'config', key: 'shmem_thp', value: 'always' },
        { op: 'file', id: 'f', n: 512, kind: 'memfd' },
        { op: 'filewrite', file: 'f', at: 0, n: 512, v: 7 },
      );
      const { machine } = script;
      const map = (i: number): void => {
        const at = 1 + i * 513;
        machine.apply({
          op: 'mmap',
          p: 0,
          at,
          n: 512,
          prot: 'rw',
          flags: 'shared',
          file: 'f',
          off: 0,
        });
        machine.apply({ op: 'madvise', p: 0, at, n: 512, advice: 'populate_write' });
      };
      for (let i = 0; i < 64; i += 1) map(i);
      const before = script.slots(1);
      map(64);
      checkInvariants(script.kernel);
      const over = script.slots(1);
      map(65);
      const again = script.slots(1);
      for (let i = 0; i < 66; i += 1) {
        if (i !== 3) machine.apply({ op: 'munmap', p: 0, at: 1 + i * 513, n: 512 });
      }
      checkInvariants(script.kernel);
      return [before, over, again, script.slots(1 + 3 * 513)];
    });
    expect(seen.byDefault).toEqual(['p0:32768 -:0', 'p0:33280 -:0', 'p0:33792 -:0', 'p0:512 -:0']);
    // The entry after the 32768th freed the slot; the others of that mapping took it anew.
    expect(seen.here).toEqual([
      'p0:32768 -:0',
      'p0:511 -:0 shared',
      'p0:1023 -:0 shared',
      '-:0 -:0 shared',
    ]);
  });

  test('a slot that counts less than its mm maps is freed, not negative', () => {
    const seen = both(profile, (script) => {
      script.largeFile().run({ op: 'fork', p: 0, c: 1 }, { op: 'fork', p: 0, c: 2 });
      script.read(0, 16, 1);
      script.read(0, 16, 2);
      script.run({ op: 'madvise', p: 2, at: 0, n: 1, advice: 'dontneed' });
      script.run({ op: 'exit', p: 0 });
      script.read(0, 1, 2);
      const under = script.slots(0, 2);
      script.unmap(0, 2, 2);
      return [under, script.slots(2, 2)];
    });
    expect(seen.here).toEqual(seen.byDefault);
    expect(seen.here).toEqual(['p2:1 p1:16 shared', '-:0 p1:16 shared']);
  });
});

describe('without transparent huge pages', () => {
  const profile = { transparentHugepage: false };

  test('faults, files and swap-in allocate small folios whatever the knobs say', () => {
    const script = new Checked(profile);
    script.run(
      { op: 'config', key: 'thp', value: 'always' },
      { op: 'config', key: 'shmem_thp', value: 'always' },
      MTHP,
      SHMEM_MTHP,
    );
    script.map(0, 1024);
    script.write(0, 1024, 7);
    script.mapShared(1024, 512);
    script.write(1024, 512, 7);
    script.run({ op: 'khugepaged', p: 0 });
    const orders = Object.values(script.state().folios).map(({ order }) => order);
    expect([...new Set(orders)]).toEqual([0]);
    expect(orders).toHaveLength(1536);
    expect(script.smaps(0)).not.toHaveProperty('AnonHugePages');
    expect(script.kernel.stats.anonThps).toBe(0);
    // The zero page is small too.
    script.map(2048, 512);
    script.read(2048);
    expect(script.page(2048)).toMatchObject({ level: 'pte' });
  });

  test('the advices are unknown', () => {
    const seen = both(profile, (script) => {
      script.map(0, 512);
      script.write(0, 512, 7);
      return (['hugepage', 'nohugepage', 'collapse'] as const).map((advice) =>
        script.answer({ op: 'madvise', p: 0, at: 0, n: 512, advice }),
      );
    });
    expect(seen.here).toEqual(['EINVAL', 'EINVAL', 'EINVAL']);
    expect(seen.byDefault.slice(0, 2)).toEqual([0, 0]);
  });
});

describe('without swap', () => {
  const profile = { swap: false };

  test('swapon and swapoff are no system calls', () => {
    const script = new Checked(profile);
    expect(script.answer({ op: 'swapon', kind: 'zram' })).toBe('ENOSYS');
    expect(script.answer({ op: 'swapoff' })).toBe('ENOSYS');
    expect(new Checked().answer({ op: 'swapoff' })).toBe('EINVAL');
  });

  test('anonymous and shmem pages stay, lazyfree pages and clean file pages go', () => {
    const seen = both(profile, (script) => {
      script.run({ op: 'swapon', kind: 'zram' }, { op: 'memcg', p: 0, on: 1 });
      script.map(0, 8);
      script.write(0, 8, 7);
      script.mapShared(8, 4);
      script.write(8, 4, 6);
      script.run({ op: 'madvise', p: 0, at: 4, n: 4, advice: 'free' });
      script.run({ op: 'madvise', p: 0, at: 0, n: 8, advice: 'pageout' }, { op: 'reclaim' });
      return {
        rss: script.smaps(0)['Rss'],
        swap: script.smaps(0)['Swap'],
        values: script.read(0, 12),
      };
    });
    const values = [7, 7, 7, 7, 0, 0, 0, 0, 6, 6, 6, 6];
    expect(seen.byDefault).toEqual({ rss: undefined, swap: 16, values });
    expect(seen.here).toEqual({ rss: 16, swap: undefined, values });
  });
});

describe('without KSM', () => {
  const profile = { ksm: false };

  test('nothing can be marked mergeable and nothing merges', () => {
    const seen = both(profile, (script) => {
      script.map(0, 4);
      script.write(0, 4, 7);
      const answers = [
        script.answer({ op: 'madvise', p: 0, at: 0, n: 4, advice: 'mergeable' }),
        script.answer({ op: 'prctl_merge', p: 0, on: 1 }),
      ];
      script.run({ op: 'ksm', scans: 3 });
      return {
        answers,
        ksm: script.smaps(0)['KSM'],
        kinds: script.kind(0),
        flags: script.flags(0),
      };
    });
    expect(seen.byDefault).toMatchObject({ answers: [0, 0], ksm: 16, kinds: 'ksm' });
    expect(seen.byDefault.flags).toContain('mg');
    expect(seen.here).toMatchObject({
      answers: ['EINVAL', 'EINVAL'],
      ksm: undefined,
      kinds: 'anon',
    });
    expect(seen.here.flags).not.toContain('mg');
  });
});
