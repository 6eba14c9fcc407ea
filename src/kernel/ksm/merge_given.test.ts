import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

/** Pages 0 … n−1 of process 0, all with their own value. */
function differentPages(n: number): MachineScript {
  const script = new MachineScript();
  script.map(0, n);
  for (let at = 0; at < n; at += 1) script.write(at, 1, 100 + at);
  return script;
}

function mergeable(script: MachineScript, n: number): void {
  script.run({ op: 'madvise', p: 0, at: 0, n, advice: 'mergeable' });
}

describe('ksm_merge', () => {
  it('makes the target a merged page and replaces the other', () => {
    const script = differentPages(3);
    mergeable(script, 3);
    const target = script.pfn(2);
    expect(script.run({ op: 'ksm_merge', p: 0, at: 0, q: 0, to: 2 })).toEqual({ ret: 0 });
    expect([script.kind(0), script.kind(1), script.kind(2)]).toEqual(['ksm', 'anon', 'ksm']);
    expect([script.pfn(0), script.pfn(2)]).toEqual([target, target]);
    expect(script.run({ op: 'ksm_merge', p: 0, at: 1, q: 0, to: 0 })).toEqual({ ret: 0 });
    expect([script.pfn(1), script.items(2)]).toEqual([target, '0:1 0:2 0:0']);
  });

  it('takes one mapping of a page that a fork shares', () => {
    const script = differentPages(2);
    mergeable(script, 2);
    script.run({ op: 'fork', p: 0, c: 1 });
    const shared = script.pfn(0);
    expect(script.run({ op: 'ksm_merge', p: 1, at: 0, q: 0, to: 1 })).toEqual({ ret: 0 });
    expect([script.pfn(0), script.pfn(0, 1), script.pfn(1)]).toEqual([
      shared,
      script.pfn(1),
      script.pfn(1),
    ]);
  });

  it('leaves a fork with the merged page that its parent has written to', () => {
    const script = differentPages(3);
    mergeable(script, 3);
    script.run({ op: 'ksm_merge', p: 0, at: 0, q: 0, to: 1 });
    script.fork(0, 1);
    script.write(0, 2, 7);
    script.run({ op: 'ksm_merge', p: 0, at: 2, q: 0, to: 0 });
    expect([script.kind(0), script.kind(0, 1)]).toEqual(['ksm', 'ksm']);
    expect(script.pfn(0)).not.toBe(script.pfn(0, 1));
    checkInvariants(script.kernel);
  });

  it('refuses what ksmd could not have found', () => {
    const script = differentPages(2);
    const refused = { ret: -1, err: 'EINVAL' };
    expect(script.run({ op: 'ksm_merge', p: 0, at: 0, q: 0, to: 1 })).toEqual(refused);
    mergeable(script, 2);
    expect(script.run({ op: 'ksm_merge', p: 0, at: 0, q: 0, to: 9 })).toEqual(refused);
    expect(script.run({ op: 'ksm_merge', p: 0, at: 0, q: 0, to: 0 })).toEqual(refused);
  });

  it('lets a pinned page be', () => {
    const script = differentPages(2);
    mergeable(script, 2);
    script.run({ op: 'pin', p: 0, at: 0, n: 1, id: 1 });
    expect(script.run({ op: 'ksm_merge', p: 0, at: 0, q: 0, to: 1 })).toMatchObject({ ret: -1 });
    expect(script.kind(0)).toBe('anon');
  });
});
