import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSchema } from '../sql/ddl.ts';
import { rowsOfJson } from './json-rows.ts';

const columns = parseSchema(
  `b BIGINT, d DECIMAL(30,2), i INT, x DOUBLE, s STRING, t TIMESTAMP, day DATE, y BINARY, a ARRAY<BIGINT>,
   m MAP<STRING, DECIMAL(5,1)>, o STRUCT<n: BIGINT, s: STRING>, ok BOOLEAN`,
  'test',
  [],
);

test('values look as they do in all user code', () => {
  assert.ok(columns !== undefined);
  const lines =
    '{"b":9007199254740993,"d":1234567890123456789.50,"i":-7,"x":"NaN","s":"12","t":"2024-05-01T00:00:00.123456Z",' +
    '"day":"2024-05-01","y":"AQI=","a":[1,null],"m":{"k":2.0},"o":{"n":9007199254740993},"ok":false}\n{}\n';
  const [first, second, ...others] = rowsOfJson(columns, lines);
  assert.deepEqual(others, []);
  assert.deepEqual(first, {
    b: 9007199254740993n,
    d: '1234567890123456789.50',
    i: -7,
    x: Number.NaN,
    s: '12',
    t: 1714521600123.456,
    day: '2024-05-01',
    y: Uint8Array.of(1, 2),
    a: [1n, null],
    m: new Map([['k', '2.0']]),
    o: { n: 9007199254740993n, s: null },
    ok: false,
  });
  assert.deepEqual(
    Object.keys(second ?? {}),
    columns.map(({ name }) => name),
  );
  assert.ok(Object.values(second ?? {}).every((value) => value === null));
});
