import { expect, it } from 'vitest';
import { RmapFixture } from '../../../test/support/rmap_fixture.js';
import { runToEnd } from '../op/prims.js';
import * as mmu from './folio_referenced.js';
import * as clean from './mkclean.js';
import { anonVmaInit, anonVmaPrepare, folioMkclean, folioReferenced, tryToUnmap } from './nommu.js';
import * as unmap from './try_to_unmap.js';
import { TTU_SYNC } from './ttu_flags.js';

// @covers nommu.anon_vma_init, nommu.anon_vma_prepare, nommu.folio_referenced
// @covers nommu.try_to_unmap, nommu.folio_mkclean

it('needs no anon_vmas', () => {
  expect(anonVmaInit()).toBeUndefined();
  expect(anonVmaPrepare()).toBe(0);
});

it('answers as the real reverse map does for a folio that nothing maps', () => {
  const f = new RmapFixture();
  f.run(
    { op: 'file', id: 'f', n: 1, kind: 'memfd' },
    { op: 'filewrite', file: 'f', at: 0, n: 1, v: 7 },
  );
  const head = f.machine.file('f').pages.get(0) ?? -1;
  const before = f.machine.fingerprint();
  expect(folioReferenced()).toEqual(runToEnd(mmu.folioReferenced(f.kernel, head, false, 0)));
  expect(folioReferenced()).toEqual({ referenced: 0, vmFlags: 0 });
  expect(tryToUnmap()).toBe(runToEnd(unmap.tryToUnmap(f.kernel, head, TTU_SYNC)));
  expect(folioMkclean()).toBe(runToEnd(clean.folioMkclean(f.kernel, head)));
  expect(folioMkclean()).toBe(0);
  expect(f.machine.fingerprint()).toBe(before);
});
