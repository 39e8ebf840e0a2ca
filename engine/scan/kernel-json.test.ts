import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KernelArena } from '../kernels/kernel-arena.ts';
import { makeUsers, userColumns } from '../created-users.fixture.ts';
import { JsonScanner } from './json-scanner.ts';
import type { ScanField } from './json-scanner.ts';
import { KernelJson } from './kernel-json.ts';
import { timeZoneOf } from './time-zone.ts';

const encoder = new TextEncoder();

/** Which documents the kernel leaves to the scanner. */
function leftAlone(fields: readonly ScanField[], texts: readonly string[]): string[] {
  const timeZone = timeZoneOf('UTC');
  assert.ok(timeZone);
  const options = { depthMax: 8, timeZone };
  const arena = new KernelArena();
  assert.ok(arena.enter());
  try {
    const scanner = new JsonScanner(fields, options, arena);
    const kernel = new KernelJson(scanner, options);
    const at = arena.allocate(texts.length * 9);
    const { memory, base } = arena;
    assert.ok(memory !== null && at > 0 && base > 0);
    const lengths = at + texts.length * 4;
    const status = lengths + texts.length * 4;
    texts.forEach((text, row) => {
      const document = encoder.encode(text);
      memory.view.setInt32(at + 4 * row, arena.append(document), true);
      memory.view.setInt32(lengths + 4 * row, document.byteLength, true);
    });
    const hard = kernel.scan(arena, texts.length, at, lengths, status);
    const left = texts.filter((_, row) => memory.bytes[status + row] !== 0);
    assert.equal(left.length, hard);
    return left;
  } finally {
    arena.leave();
  }
}

const users = userColumns.map(({ name, type }) => ({ name, path: name, type, required: false }));

test('the kernel reads ordinary documents itself, in any layout', () => {
  const next = makeUsers(7);
  const shuffled = (user: Record<string, unknown>, by: number): Record<string, unknown> => {
    const entries = Object.entries(user);
    return Object.fromEntries([...entries.slice(by), ...entries.slice(0, by)]);
  };
  const ascii = (text: string): string =>
    text.replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const texts = Array.from({ length: 300 }, (_, index) => {
    const user: Record<string, unknown> = { ...shuffled(next(), index % 12), [`key${index}`]: { a: [1, 'x', null] } };
    if (index % 5 === 0) user['post_code'] = null;
    if (index % 3 === 0) return JSON.stringify(user);
    if (index % 3 === 1) return ascii(JSON.stringify(user));
    return JSON.stringify(user, null, index % 4).replaceAll('":"', '": "');
  });
  assert.deepEqual(leftAlone(users, texts), []);
});

test('values that need more than the kernel knows leave the rest of the record to it', () => {
  const fields: ScanField[] = [
    { name: 'd', path: 'd', type: { kind: 'double' }, required: false },
    { name: 't', path: 't', type: { kind: 'timestamp' }, required: false },
    { name: 'l', path: 'l', type: { kind: 'array', element: { kind: 'int' }, containsNull: true }, required: false },
  ];
  assert.deepEqual(
    leftAlone(fields, [
      '{"d":0.12345678901234567,"t":"2024-1-1 5:00:00 Europe/Paris","l":[1,2,3]}',
      '{"d":"NaN","t":"2024-01-01T05:00:00.123456789+01:00","l":[]}',
      '{"d":1e308,"t":1700000000,"l":null}',
    ]),
    [],
  );
  const wrong = ['{"d":"x"}', '{"t":"soon"}', '{"l":["a"]}', '{"d":1', '{"\\u0064":1}'];
  assert.deepEqual(leftAlone(fields, ['{"d":1}', ...wrong, '{"d":2}']), wrong);
});
