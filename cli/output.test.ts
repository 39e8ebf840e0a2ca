/** Tables as people see them; what a terminal changes about them runs on a stand-in for one: no real one is needed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTable } from './output.ts';
import { textWidth } from './text-width.ts';

const heads = ['NAME', 'STATE', 'REASON'];
const rows = [
  ['orders', 'running', ''],
  ['陽菜', 'failed', 'no column amount'],
];

/** Runs with `process.stdout` as a terminal. */
function onTerminal<T>(run: () => T): T {
  const before = process.stdout.isTTY;
  process.stdout.isTTY = true;
  try {
    return run();
  } finally {
    process.stdout.isTTY = before;
  }
}

test('columns stand one below the other, whatever the letters take', () => {
  assert.deepEqual(formatTable(heads, rows, 80).split('\n'), [
    'NAME    STATE    REASON',
    'orders  running',
    '陽菜    failed   no column amount',
  ]);
});

test('a line is cut to the width, and says so', () => {
  for (const width of [10, 16, 17, 20, 33, 34]) {
    const lines = formatTable(heads, rows, width).split('\n');
    for (const line of lines) assert.ok(textWidth(line) <= width, `${width}: ${line}`);
    assert.equal(lines[2]?.endsWith('…'), width < 33, `${width}: ${lines[2]}`);
  }
});

test('on a terminal states have colours, and the letters between them are the same', () => {
  const { NO_COLOR: no, TERM: terminal } = process.env;
  delete process.env['NO_COLOR'];
  process.env['TERM'] = 'xterm';
  try {
    const table = onTerminal(() => formatTable(heads, rows, 80));
    assert.match(table, /\u001b\[32mrunning\u001b\[0m/);
    assert.match(table, /\u001b\[31mfailed\u001b\[0m {3}no column/);
    assert.equal(table.replaceAll(/\u001b\[\d+m/g, ''), formatTable(heads, rows, 80));
    process.env['NO_COLOR'] = '1';
    assert.equal(
      onTerminal(() => formatTable(heads, rows, 80)),
      formatTable(heads, rows, 80),
      'NO_COLOR',
    );
  } finally {
    if (no === undefined) delete process.env['NO_COLOR'];
    else process.env['NO_COLOR'] = no;
    if (terminal === undefined) delete process.env['TERM'];
    else process.env['TERM'] = terminal;
  }
});

test('data cannot bring escapes of its own', () => {
  assert.doesNotMatch(formatTable(['STATE'], [['\u001b[31mrunning']], 80), /\u001b/);
});
