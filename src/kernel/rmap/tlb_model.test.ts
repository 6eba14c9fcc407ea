import { describe, expect, it } from 'vitest';
import { RmapFixture } from '../../../test/support/rmap_fixture.js';
import { PTE_PROTNONE, PTE_WRITE } from '../pgtable/pte.js';
import { flushTlbRange, TlbModel } from './tlb_model.js';

// @covers flush_tlb_range

/** Pages 16 … 19, written and read by a CPU whose translations are watched. */
function watched(): { f: RmapFixture; tlb: TlbModel } {
  const f = new RmapFixture();
  const tlb = new TlbModel();
  f.kernel.tlb = tlb;
  f.map(16, 4);
  f.write(16, 2, 7);
  f.read(18, 2);
  return { f, tlb };
}

describe('translations', () => {
  it('come from accesses; a writable one stays so when it is read through', () => {
    const { f, tlb } = watched();
    f.read(16);
    expect(tlb.find(f.mm(), f.vpn(16))).toEqual({ pfn: f.pfn(16), isWritable: true });
    expect(tlb.find(f.mm(), f.vpn(18))).toEqual({
      pfn: f.kernel.memory.zeroPfn,
      isWritable: false,
    });
    expect([tlb.holds(f.mm()), tlb.findStale(f.kernel)]).toEqual([true, []]);
  });

  it('go with a flush of their range, or of the mm', () => {
    const { f, tlb } = watched();
    flushTlbRange(f.kernel, f.mm(), f.vpn(17), f.vpn(18));
    expect([16, 17, 18].map((at) => tlb.find(f.mm(), f.vpn(at)) !== undefined)).toEqual([
      true,
      false,
      true,
    ]);
    tlb.flushMm(f.mm());
    expect(tlb.holds(f.mm())).toBe(false);
    f.kernel.tlb = undefined;
    flushTlbRange(f.kernel, f.mm(), 0, Infinity);
  });

  it('cover pages of huge entries one by one', () => {
    const f = new RmapFixture();
    f.useHugePages();
    const tlb = new TlbModel();
    f.kernel.tlb = tlb;
    f.map(512, 512);
    f.write(700, 1, 7);
    expect(tlb.find(f.mm(), f.vpn(700))?.pfn).toBe(f.folio(512) + 188);
    expect(tlb.findStale(f.kernel)).toEqual([]);
  });
});

describe('stale translations', () => {
  it.each<[string, (f: RmapFixture) => void, string]>([
    [
      'of a page that is free',
      (f) => {
        const pfn = f.pfn(16);
        f.kernel.pageTables.flags[f.entry(16)] = 0;
        f.kernel.memory.freePage(pfn);
      },
      'page is free',
    ],
    [
      'of a page that is elsewhere now',
      (f) => void (f.kernel.pageTables.payload[f.entry(16)] = f.pfn(17)),
      'page is not mapped there any more',
    ],
    [
      'of an entry without access',
      (f) => void (f.kernel.pageTables.flags[f.entry(16)] |= PTE_PROTNONE),
      'page is not mapped there any more',
    ],
    [
      'of an entry that forbids writes',
      (f) => void (f.kernel.pageTables.flags[f.entry(16)] &= ~PTE_WRITE),
      'page is not writable any more',
    ],
  ])('are found: %s', (_what, damage, problem) => {
    const { f, tlb } = watched();
    damage(f);
    expect(tlb.findStale(f.kernel)).toMatchObject([{ mm: f.mm(), vpn: f.vpn(16), problem }]);
  });

  it('do no harm where only reading is allowed and done', () => {
    const { f, tlb } = watched();
    f.kernel.pageTables.flags[f.entry(18)] &= ~PTE_WRITE;
    expect(tlb.findStale(f.kernel)).toEqual([]);
  });
});
