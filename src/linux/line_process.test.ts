import { describe, expect, it } from 'vitest';
import { LineProcess } from './line_process.js';

/** A program of one line of JavaScript, with `line` as what was read. */
function program(onLine: string): LineProcess {
  const script = `
    const lines = require('node:readline').createInterface({ input: process.stdin });
    lines.on('line', (line) => { ${onLine} });
  `;
  return new LineProcess('echo', process.execPath, ['-e', script]);
}

describe('LineProcess', () => {
  it('answers lines in their order', async () => {
    const echo = program('console.log(JSON.stringify({ line }))');
    echo.send('one\ntwo\n');
    expect(await echo.next()).toEqual({ line: 'one' });
    expect(await echo.next()).toEqual({ line: 'two' });
    expect(await echo.ask('three')).toEqual({ line: 'three' });
    await echo.close();
  });

  it('keeps answers that nobody has asked for yet', async () => {
    const echo = program('console.log(`{"a":1}\\n{"a":2}`)');
    expect(await echo.ask('go')).toEqual({ a: 1 });
    expect(await echo.next()).toEqual({ a: 2 });
    await echo.close();
  });

  it('throws what the program reports as an error', async () => {
    const echo = program(`console.log('{"error":"no root"}')`);
    await expect(echo.ask('go')).rejects.toMatchObject({
      code: 'environment',
      message: 'echo: no root',
    });
    await echo.close();
  });

  it('says how the program ended, with its last line of stderr', async () => {
    const echo = program(`process.stderr.write('first\\nout of luck\\n', () => process.exit(7))`);
    await expect(echo.ask('go')).rejects.toMatchObject({
      code: 'environment',
      message: 'echo ended (exit code 7) out of luck',
    });
    await expect(echo.next()).rejects.toThrow('exit code 7');
    await echo.close();
  });

  it('reports a program that cannot be started', async () => {
    const missing = new LineProcess('missing', '/nonexistent/program', []);
    await expect(missing.ask('go')).rejects.toMatchObject({
      code: 'environment',
      message: expect.stringContaining('missing cannot be started'),
    });
    await missing.close();
  });
});
