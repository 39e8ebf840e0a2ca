import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inferSchema } from './infer-schema.ts';

test('columns of rows: the narrowest types that hold all of them', () => {
  assert.equal(
    inferSchema([
      { id: 1, n: 1, t: 'a', b: true, list: [1, null], empty: null, s: { x: 1 }, 'odd name': 'x' },
      { id: 2, n: 1.5, t: 3, list: [], s: { y: [{ z: 'q' }] } },
    ]),
    'id BIGINT, n DOUBLE, t STRING, b BOOLEAN, list ARRAY<BIGINT>, empty STRING, ' +
      's STRUCT<x: BIGINT, y: ARRAY<STRUCT<z: STRING>>>, `odd name` STRING',
  );
  assert.equal(inferSchema([]), '');
});
