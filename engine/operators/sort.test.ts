import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WeirError } from '../../core/errors.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { BoxedValue } from '../sql/runtime/boxed.ts';
import { compareBoxed } from '../sql/runtime/compare.ts';
import { RowOrder } from './row-order.ts';
import { compareBytes, type SortColumn, SortKeys } from './sort-keys.ts';
import { Sort } from './sort.ts';
import { batchOf } from './test-batch.ts';
import { Epochs } from './test-state.ts';

const schema: Schema = [
  { name: 'k', type: { kind: 'string' }, nullable: true },
  { name: 'n', type: { kind: 'int' }, nullable: true },
];

const sort = (by: readonly SortColumn[], limit: number | null = null) =>
  new Epochs(() => new Sort({ kind: 'sort', by, limit }, [schema]), [{ schema, keys: [] }]);

const rows = [
  ['b', 1],
  ['a', 2],
  [null, 3],
  ['b', 0],
  ['a', null],
];

test('rows come out in order, equal ones as they arrived, the first of them with a limit', () => {
  const byName = [{ column: 0, descending: false, nullsFirst: true }];
  assert.deepEqual(sort(byName).run([rows], {}).rows, [
    [null, 3],
    ['a', 2],
    ['a', null],
    ['b', 1],
    ['b', 0],
  ]);
  const byBoth = [
    { column: 0, descending: true, nullsFirst: false },
    { column: 1, descending: false, nullsFirst: false },
  ];
  assert.deepEqual(sort(byBoth, 4).run([rows], {}).rows, [
    ['b', 0],
    ['b', 1],
    ['a', 2],
    ['a', null],
  ]);
});

test('the rows of several frames are one result, and each epoch’s result is its own', () => {
  const epochs = sort([{ column: 1, descending: false, nullsFirst: true }]);
  const frames = [
    { port: 0, rows: rows.slice(0, 2) },
    { port: 0, rows: rows.slice(2) },
  ];
  const expected = [
    ['a', null],
    ['b', 0],
    ['b', 1],
    ['a', 2],
    [null, 3],
  ];
  assert.deepEqual(epochs.runFrames(frames, {}).rows, expected);
  assert.deepEqual(epochs.runFrames([...frames].reverse(), {}).rows, expected);
  assert.deepEqual(epochs.run([], {}).rows, []);
});

test('a map has no order', () => {
  const type: DataType = { kind: 'map', key: { kind: 'int' }, value: { kind: 'int' }, valueContainsNull: false };
  assert.throws(
    () => new SortKeys([{ name: 'm', type, nullable: false }], [{ column: 0, descending: false, nullsFirst: true }]),
    (thrown) => thrown instanceof WeirError && thrown.code === 'UNSUPPORTED',
  );
});

const number = fc.oneof(
  fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity, 1.5, -1.5, Number.MIN_VALUE, -Number.MAX_VALUE),
  fc.double(),
);
const text = fc.oneof(
  fc.constantFrom('', '\0', '\0\0', 'a', 'a\0', 'a\0b', 'ab', 'ä', '\u{1f600}', '\uffff'),
  fc.string(),
);
const types: readonly (readonly [DataType, fc.Arbitrary<BoxedValue>])[] = [
  [{ kind: 'boolean' }, fc.boolean()],
  [{ kind: 'int' }, fc.integer()],
  [{ kind: 'double' }, number],
  [{ kind: 'bigint' }, fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n })],
  [{ kind: 'decimal', precision: 38, scale: 2 }, fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n })],
  [{ kind: 'string' }, text],
  [{ kind: 'binary' }, fc.uint8Array({ maxLength: 4 })],
  [{ kind: 'array', element: { kind: 'string' }, containsNull: true }, fc.array(fc.option(text), { maxLength: 3 })],
  [
    {
      kind: 'struct',
      fields: [
        { name: 'a', type: { kind: 'double' }, nullable: true },
        { name: 'b', type: { kind: 'string' }, nullable: true },
      ],
    },
    fc.tuple(fc.option(number), fc.option(text)) as fc.Arbitrary<BoxedValue>,
  ],
];

test('property: the bytes of sort keys, and rows in their place, compare as the values do', () => {
  const sample = fc
    .constantFrom(...types)
    .chain(([type, value]) =>
      fc.tuple(fc.constant(type), fc.option(value), fc.option(value), fc.boolean(), fc.boolean()),
    );
  fc.assert(
    fc.property(sample, ([type, a, b, descending, nullsFirst]) => {
      const one: Schema = [{ name: 'x', type, nullable: true }];
      const batch = batchOf(one, [[a], [b]]);
      const keys = new SortKeys(one, [{ column: 0, descending, nullsFirst }]).bind(batch.columns);
      const out = new ByteBuffer();
      const [first, second] = [keys.encode(0, out), keys.encode(1, out)];
      const actual = compareBytes(out.bytes, first, second - first, out.bytes, second, out.length - second);
      const expected =
        a === null || b === null
          ? a === b
            ? 0
            : (a === null) === nullsFirst
              ? -1
              : 1
          : compareBoxed(a, b, type) * (descending ? -1 : 1);
      assert.equal(Math.sign(actual) + 0, Math.sign(expected) + 0);
      if (type.kind === 'array' || type.kind === 'struct') return;
      const order = new RowOrder(one, [{ column: 0, descending, nullsFirst }]).bind(batch.columns);
      assert.equal(Math.sign(order.compare(0, 1)) + 0, Math.sign(expected) + 0);
    }),
    { numRuns: 2000 },
  );
});

test('rows are compared by one column after the other', () => {
  const batch = batchOf(schema, rows);
  const order = new RowOrder(schema, [
    { column: 0, descending: false, nullsFirst: true },
    { column: 1, descending: true, nullsFirst: false },
  ]).bind(batch.columns);
  assert.deepEqual(
    [0, 1, 2, 3, 4].toSorted((a, b) => order.compare(a, b)),
    [2, 1, 4, 0, 3],
  );
});
