import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';

// @covers stable_tree_search, stable_tree_insert, stable_node_dup, is_page_sharing_candidate

describe('the limit of sharing', () => {
  it('lets further pages pair up to another page of the chain', () => {
    const script = new MachineScript();
    script.map(0, 5);
    script.run(
      { op: 'config', key: 'ksm_max_sharing', value: 2 },
      { op: 'madvise', p: 0, at: 0, n: 5, advice: 'mergeable' },
    );
    script.write(0, 5, 7);
    script.run({ op: 'ksm', scans: 2 });
    expect([script.items(0), script.items(2)]).toEqual(['0:1 0:0', '0:3 0:2']);
    expect(script.kind(4)).toBe('anon');
  });
});

describe('searches', () => {
  /** Two full pages: 0–2 map the first, 3–5 the second, which is in front. Then 1 and 2 go. */
  function chainOfTwo(): MachineScript {
    const script = new MachineScript();
    script.map(0, 8);
    script.run(
      { op: 'config', key: 'ksm_max_sharing', value: 3 },
      { op: 'madvise', p: 0, at: 0, n: 8, advice: 'mergeable' },
    );
    script.write(0, 6, 7);
    script.run({ op: 'ksm', scans: 2 }, { op: 'madvise', p: 0, at: 1, n: 2, advice: 'dontneed' });
    return script;
  }

  /** Makes room in the second page and lets another one with that content join. */
  function joinAnother(script: MachineScript): void {
    script.run({ op: 'madvise', p: 0, at: 5, n: 1, advice: 'dontneed' });
    script.write(7, 1, 7);
    script.run({ op: 'ksm', scans: 2 });
  }

  it('take the first page with room', () => {
    const script = chainOfTwo();
    script.run({ op: 'ksm', scans: 2 });
    joinAnother(script);
    expect([script.items(0), script.items(3)]).toEqual(['0:0', '0:7 0:4 0:3']);
  });

  it('for other content move what has room for two to the front on their way', () => {
    const script = chainOfTwo();
    script.write(6, 1, 8);
    script.run({ op: 'ksm', scans: 2 });
    joinAnother(script);
    expect([script.items(0), script.items(3)]).toEqual(['0:7 0:0', '0:4 0:3']);
  });

  it('drop what is gone on their way, and an empty chain', () => {
    const script = chainOfTwo();
    const { stableTree } = script.kernel.ksm;
    script.run({ op: 'madvise', p: 0, at: 0, n: 6, advice: 'dontneed' }, { op: 'ksm', scans: 1 });
    expect(stableTree.root?.isChain).toBe(true);
    script.write(6, 1, 8);
    script.run({ op: 'ksm', scans: 2 });
    expect(stableTree.root).toBeUndefined();
  });
});
