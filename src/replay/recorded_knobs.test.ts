import { describe, expect, it } from 'vitest';
import { EMPTY_INFO } from '../../test/support/made_recording.js';
import { Machine } from '../kernel/machine.js';
import { recordedKnobs } from './recorded_knobs.js';

describe('recordedKnobs', () => {
  it('gives a machine the sizes of folios and the limits of ksmd', () => {
    const settings = {
      thp: {
        enabled: 'always [madvise] never',
        'hugepages-64kB/enabled': '[always] inherit madvise never',
        'hugepages-2048kB/shmem_enabled': 'always [inherit] within_size advise never',
        shmem_enabled: 'always [within_size] advise never deny force',
        use_zero_page: '0',
      },
      ksm: { max_page_sharing: '256', use_zero_pages: '1', run: '1' },
    };
    const machine = new Machine();
    for (const [key, value] of recordedKnobs({ ...EMPTY_INFO, settings })) {
      machine.apply({ op: 'config', key, value });
    }
    const { knobs } = machine.kernel;
    expect(knobs).toMatchObject({ thp: 'madvise', shmemThp: 'within_size', hugeZeroPage: false });
    expect([knobs.anonOrders[4], knobs.shmemOrders[9]]).toEqual(['always', 'inherit']);
    expect([knobs.ksmMaxSharing, knobs.ksmZeroPages]).toEqual([256, true]);
  });

  it('knows the mode of recordings without settings', () => {
    expect([...recordedKnobs({ ...EMPTY_INFO, thp: '[always] madvise never' })]).toEqual([
      ['thp', 'always'],
    ]);
  });

  it.each([
    {
      thp: { enabled: '[sometimes]', 'hugepages-3kB/enabled': '[always]', shmem_enabled: '[deny]' },
    },
    { ksm: { max_page_sharing: '-1', use_zero_pages: 'yes' } },
    { thp: 'text', ksm: 7 },
    { thp: { enabled: 1, use_zero_page: { a: 1 } } },
  ])('leaves out what it does not know: %j', (settings) => {
    expect([...recordedKnobs({ ...EMPTY_INFO, thp: '?', settings })]).toEqual([]);
  });
});
