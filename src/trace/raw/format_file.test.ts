import { describe, expect, it } from 'vitest';
import { parseEventFormat, subBufferBytes } from './format_file.js';

const TEXT = `name: sched_process_exec
ID: 365
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;
\tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;
\tfield:char comm[16];\toffset:16;\tsize:16;\tsigned:0;
\tfield:const char *const * argv;\toffset:32;\tsize:8;\tsigned:0;

print fmt: "filename=%s pid=%d old_pid=%d", __get_str(filename), REC->pid, REC->old_pid
`;

describe('format files', () => {
  it('give the fields behind the common ones', () => {
    expect(parseEventFormat('sched:sched_process_exec', TEXT)).toEqual({
      fullName: 'sched:sched_process_exec',
      name: 'sched_process_exec',
      id: 365,
      fields: [
        { name: 'filename', offset: 8, sizeBytes: 4, isSigned: false, layout: 'reference' },
        { name: 'pid', offset: 12, sizeBytes: 4, isSigned: true, layout: 'number' },
        { name: 'comm', offset: 16, sizeBytes: 16, isSigned: false, layout: 'characters' },
        { name: 'argv', offset: 32, sizeBytes: 8, isSigned: false, layout: 'number' },
      ],
    });
  });

  it('are refused without ID and with fields out of bounds', () => {
    expect(() => parseEventFormat('a:b', 'format:\n')).toThrow(/format of a:b: no ID/);
    expect(() => parseEventFormat('a:b', TEXT.replace('ID: 365', 'ID: 70000'))).toThrow(/no ID/);
    const far = TEXT.replace('offset:12', 'offset:99999999');
    expect(() => parseEventFormat('a:b', far)).toThrow(/field pid is out of bounds/);
  });

  it('give the size of a page', () => {
    const text = '\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n';
    expect(subBufferBytes(text)).toBe(4096);
    expect(subBufferBytes(text.replace('4080', '65520'))).toBe(65536);
    for (const bad of ['', text.replace('4080', '4000'), text.replace('4080', '999999999984')]) {
      expect(() => subBufferBytes(bad)).toThrow(/header_page/);
    }
  });
});
