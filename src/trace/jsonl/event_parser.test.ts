import { describe, expect, it } from 'vitest';
import { describeBatch } from '../../../test/support/trace_events.js';
import { EventBatchBuilder } from '../batch_builder.js';
import { FieldRegistry } from '../field_registry.js';
import { StringTable, WordTable } from '../tables.js';
import { JsonlEventParser } from './event_parser.js';

function parse(...lines: string[]): string[] {
  const [strings, words, fields] = [new StringTable(), new WordTable(), new FieldRegistry()];
  const parser = new JsonlEventParser(strings, words, fields);
  const builder = new EventBatchBuilder(100);
  parser.start(Buffer.from(lines.map((line) => `${line}\n`).join('')));
  expect(parser.parseInto(builder)).toBe(false);
  return describeBatch(builder.take(), { strings, words });
}

describe('lines of trace.jsonl', () => {
  it.each([
    ['["pfu",1,0,4,"0x7ffc1000",6,"0x55d000"]', 'faultUser 1 0 4 - 2147225600 6 5623808'],
    [
      '["pfk",2,1,4,"0x7f00",7,"0xffffffff81a3f0b8"]',
      'faultKernel 2 1 4 - 32512 7 0xffffffff81a3f0b8',
    ],
    ['["se",3,0,4,"munmap","0x1000","0x2000"]', 'callEnter 3 0 4 "munmap" 4096 8192'],
    [
      '["se",3,0,4,"mmap",0,"0x2000",3,34,"0xffffffffffffffff",0]',
      'callEnter 3 0 4 "mmap" 0 8192 3 34 -1',
    ],
    ['["sx",4,0,4,"brk","0x5000"]', 'callExit 4 0 4 "brk" 20480'],
    ['["sx",4,0,4,"execve",-2]', 'callExit 4 0 4 "execve" -2'],
    ['["new",5,0,4,9,"0x1200000","sh"]', 'newTask 5 0 4 "sh" 9 18874368'],
    ['["pex",6,0,4,"/bin/sh"]', 'prepareExec 6 0 4 "/bin/sh"'],
    ['["exec",7,0,4,4,5,"/bin/sh"]', 'exec 7 0 4 "/bin/sh" 4 5'],
    ['["exit",8,0,4,4,1,"sh"]', 'exit 8 0 4 "sh" 4 1'],
    ['["xmm",9,0,4,"0xffff88810006ea40"]', 'exitMm 9 0 4 - 0xffff88810006ea40'],
    ['["ren",10,0,4,4,"a \\"b\\" \\u00e9"]', 'rename 10 0 4 "a \\"b\\" é" 4'],
    ['["rss",11,0,4,"0x9f9cdb13",0,1,27]', 'rss 11 0 4 - 2677857043 0 1 27'],
    ['["al",12,0,4,"0x163668",9,"0x140dca"]', 'pageAlloc 12 0 4 - 1455720 9 1314250'],
    ['["fr",13,0,4,"0x163668",0]', 'pageFree 13 0 4 - 1455720'],
    ['["lk",14,0,4,"0x10"]', 'lock 14 0 4 - 16'],
    ['["ul",15,0,4,"0x10"]', 'unlock 15 0 4 - 16'],
    ['["mark",16,0,4,"SNAP end"]', 'mark 16 0 4 "SNAP end"'],
    ['["lost",17,1,0,-1]', 'lost 17 1 0 - -1'],
    ['["ev",18,0,4,"ksm",{"pfn":7,"mm":"0x10","err":-1}]', 'other 18 0 4 "ksm" 7 16 -1'],
  ])('%s', (line, expected) => {
    expect(parse(line)).toEqual([expected]);
  });

  it('puts the fields of an event into the same cells whatever their order', () => {
    const lines = parse(
      '["ev",1,0,4,"x",{"a":1,"b":2}]',
      '["ev",2,0,4,"x",{"b":4,"a":3}]',
      '["ev",3,0,4,"x",{"c":5}]',
    );
    expect(lines).toEqual(['other 1 0 4 "x" 1 2', 'other 2 0 4 "x" 3 4', 'other 3 0 4 "x" 0 0 5']);
  });

  it.each([
    ['', /expected "\[" but the line ends/],
    ['null', /expected "\[" but found "null"/],
    ['["nope",1,0,4]', /unknown event kind/],
    ['["markx",1,0,4,"a"]', /unknown event kind/],
    ['["",1,0,4]', /unknown event kind/],
    ['["pfu"', /expected "," and a time but the line ends/],
    ['["pfu",-1,0,4,0,0,0]', /expected a time from 0 .* but found "-1,0,4,0,0,0\]"/],
    ['["pfu",1.5,0,4,0,0,0]', /expected "," and a cpu but found "\.5,0,4/],
    ['["pfu",99999999999999999,0,4,0,0,0]', /expected a time/],
    ['["pfu",1,70000,4,0,0,0]', /expected a cpu from 0 to 65535/],
    ['["pfu",1,0,4294967296,0,0,0]', /expected a tid/],
    ['["pfu",1,0,4,"0xg",0,0]', /hexadecimal digits after 0x but found "\\"0xg/],
    ['["pfu",1,0,4,"0x",0,0]', /1 to 16 hexadecimal digits/],
    ['["pfu",1,0,4,"0x12345678901234567",0,0]', /1 to 16 hexadecimal digits/],
    ['["pfu",1,0,4,"0x1"]', /expected "," and a number but found "\]"/],
    ['["pfu",1,0,4,"0x1",0,0,7]', /expected "\]" but found ",7\]"/],
    ['["pfu",1,0,4,"0x1",0,0] x', /expected the end of the line/],
    ['["pfu",1,0,4,null,0,0]', /expected a number/],
    ['["se",1,0,4,"x",1,2,3,4,5,6,7]', /6 arguments at most/],
    ['["mark",1,0,4,"abc', /text without end/],
    ['["mark",1,0,4,"abc\\', /text without end/],
    ['["mark",1,0,4,"\\x"]', /malformed JSON/],
    ['["ev",1,0,4,"x",[1]]', /expected an object of fields/],
    ['["ev",1,0,4,"x",{"a":{}}]', /field a: expected an integer or a text/],
    ['["ev",1,0,4,"x",{"a":1.5}]', /field a: expected an integer/],
    ['["ev",1,0,4,"x",{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1}]', /more than 6 fields/],
  ])('refuses %s', (line, message) => {
    expect(() => parse(line)).toThrow(message);
  });

  it('refuses time that goes backwards', () => {
    expect(() => parse('["lk",5,0,4,1]', '["lk",4,0,4,1]')).toThrow(
      /time 4 is before 5 of the event above/,
    );
  });

  it('refuses a field that is a number here and a text there', () => {
    const lines = ['["ev",1,0,4,"x",{"a":1}]', '["ev",2,0,4,"x",{"a":"b"}]'];
    expect(() => parse(...lines)).toThrow(/field a of x is a text here/);
  });
});
