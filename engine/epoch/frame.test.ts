import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DataType, Schema } from '../../core/types.ts';
import type { BoxedMap, BoxedValue } from '../sql/runtime/boxed.ts';
import type { ColumnBatch } from '../column-batch.ts';
import { batchOf, rowsOfBatch } from '../operators/test-batch.ts';
import { KEY_GROUPS } from '../plan/epoch-plan.ts';
import { NO_DESTINATION } from './contract.ts';
import type { Routing } from './contract.ts';
import { concatBatches, copyOf, decodeFrame, encodeFrame, framesOf, splitFrame } from './frame.ts';
import type { FrameHeader, RowsToSend } from './frame.ts';

const header: FrameHeader = { stage: 3, port: 1, fromStage: 2, fromPartition: 7, sequence: 2 ** 40 + 1, fromBranch: 2 };

const scalars: readonly DataType[] = [
  { kind: 'boolean' },
  { kind: 'int' },
  { kind: 'bigint' },
  { kind: 'double' },
  { kind: 'timestamp' },
  { kind: 'string' },
  { kind: 'binary' },
  { kind: 'decimal', precision: 10, scale: 2 },
  { kind: 'decimal', precision: 38, scale: 4 },
];

const types: fc.Arbitrary<DataType> = fc.letrec<{ type: DataType; struct: DataType }>((tie) => ({
  type: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(...scalars),
    tie('type').map((element): DataType => ({ kind: 'array', element, containsNull: true })),
    fc
      .tuple(fc.constantFrom(...scalars), tie('type'))
      .map(([key, value]): DataType => ({ kind: 'map', key, value, valueContainsNull: true })),
    tie('struct'),
  ),
  struct: fc.array(tie('type'), { minLength: 1, maxLength: 3 }).map((fields): DataType => ({
    kind: 'struct',
    fields: fields.map((type, index) => ({ name: `f${index}`, type, nullable: true })),
  })),
})).type;

function valueOf(type: DataType, nullable = true): fc.Arbitrary<BoxedValue> {
  const some = (): fc.Arbitrary<BoxedValue> => {
    switch (type.kind) {
      case 'boolean':
        return fc.boolean();
      case 'int':
        return fc.integer();
      case 'bigint':
        return fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);
      case 'double':
        return fc.double();
      case 'timestamp':
        return fc.integer({ min: -1e15, max: 1e15 });
      case 'binary':
        return fc.uint8Array({ maxLength: 40 });
      case 'decimal':
        return type.precision > 18
          ? fc.bigInt(-(10n ** 38n) + 1n, 10n ** 38n - 1n)
          : fc.bigInt(-(10n ** 10n), 10n ** 10n);
      case 'array':
        return fc.array(valueOf(type.element), { maxLength: 3 });
      case 'map':
        return fc
          .array(fc.tuple(valueOf(type.key, false), valueOf(type.value)), { maxLength: 3 })
          .map((entries) => ({ keys: entries.map(([key]) => key), values: entries.map(([, value]) => value) }));
      case 'struct':
        return fc.tuple(...type.fields.map((field) => valueOf(field.type)));
      default:
        return fc.string({ unit: 'binary', maxLength: 50 });
    }
  };
  return nullable ? fc.option(some(), { nil: null }) : some();
}

const tables = fc.array(types, { minLength: 1, maxLength: 4 }).chain((columns) => {
  const schema: Schema = columns.map((type, index) => ({ name: `c${index}`, type, nullable: true }));
  return fc.record({
    schema: fc.constant(schema),
    rows: fc.array(fc.tuple(...columns.map((type) => valueOf(type))), { maxLength: 30 }),
    seed: fc.integer({ min: 0, max: 255 }),
    state: fc.boolean(),
  });
});

/** Rows as values; bytes of whatever class as plain ones. */
function rowsIn(schema: Schema, batch: ColumnBatch): BoxedValue[] {
  const plain = (value: BoxedValue): BoxedValue => {
    if (value instanceof Uint8Array) return new Uint8Array(value);
    if (Array.isArray(value)) return value.map(plain);
    if (value === null || typeof value !== 'object' || !('keys' in value)) return value;
    const { keys, values } = value as BoxedMap;
    return { keys: keys.map(plain), values: values.map(plain) };
  };
  return rowsOfBatch(schema, batch).map(plain);
}

function toSend(schema: Schema, rows: readonly (readonly unknown[])[], seed: number, state: boolean): RowsToSend {
  const groups = Uint8Array.from(rows, (_, row) => (seed * (row + 3) * 7) % KEY_GROUPS);
  const fromGroups = state ? Uint8Array.from(rows, (_, row) => (seed + row) % KEY_GROUPS) : null;
  return { batch: batchOf(schema, rows), groups, fromGroups };
}

function routing(destinations: number, nowhere: (group: number) => boolean = () => false): Routing {
  return {
    destinationOf: Uint8Array.from({ length: KEY_GROUPS }, (_, group) =>
      nowhere(group) ? NO_DESTINATION : group % destinations,
    ),
    destinationCount: destinations,
  };
}

test('a frame brings back the rows that were chosen, with their groups, wherever it lies in memory', () => {
  fc.assert(
    fc.property(tables, fc.integer({ min: 0, max: 9 }), ({ schema, rows, seed, state }, shift) => {
      const sent = toSend(schema, rows, seed, state);
      const index = Int32Array.from(rows.keys()).filter((row) => (row + seed) % 3 !== 0);
      const bytes = encodeFrame(header, sent, index);
      const memory = new Uint8Array(bytes.byteLength + 16);
      memory.set(bytes, shift);
      const { batch, groups, fromGroups, ...rest } = decodeFrame(memory.subarray(shift, shift + bytes.byteLength));
      assert.deepEqual(rest, header);
      assert.deepEqual(
        [...groups],
        [...index].map((row) => sent.groups[row]),
      );
      assert.deepEqual(
        fromGroups === null ? null : [...fromGroups],
        sent.fromGroups === null ? null : [...index].map((row) => sent.fromGroups?.[row]),
      );
      const expected = rowsIn(schema, sent.batch);
      assert.deepEqual(
        rowsIn(schema, batch),
        [...index].map((row) => expected[row]),
      );
    }),
    { numRuns: 300 },
  );
});

test('values of an aligned frame are views of its bytes', () => {
  const schema: Schema = [
    { name: 'text', type: { kind: 'string' }, nullable: true },
    { name: 'number', type: { kind: 'bigint' }, nullable: true },
  ];
  const bytes = encodeFrame(
    header,
    toSend(
      schema,
      [
        ['a', 1n],
        [null, null],
        ['müller', 3n],
      ],
      1,
      false,
    ),
    Int32Array.of(0, 1, 2),
  );
  const { columns } = decodeFrame(bytes).batch;
  const [text, number] = columns;
  assert.ok(text?.kind === 'bytes' && number?.kind === 'i64');
  for (const view of [text.data, text.length, text.nonAscii, number.values, number.words, number.valid])
    assert.equal(view.buffer, bytes.buffer);
});

test('each row goes to the destination of its group, in order, and nowhere when that has none', () => {
  fc.assert(
    fc.property(tables, fc.integer({ min: 1, max: 5 }), ({ schema, rows, seed, state }, destinations) => {
      const sent = toSend(schema, rows, seed, state);
      const expected = rowsIn(schema, sent.batch);
      const to = routing(destinations, (group) => group % 4 === 3);
      const frames = framesOf(header, sent, to);
      const seen = new Set<number>();
      for (const { destination, bytes, rowCount, stage, port } of frames) {
        assert.deepEqual([stage, port, seen.has(destination)], [3, 1, false]);
        seen.add(destination);
        const kept = [...rows.keys()].filter((row) => to.destinationOf[sent.groups[row] ?? 0] === destination);
        assert.equal(rowCount, kept.length);
        assert.deepEqual(
          rowsIn(schema, decodeFrame(bytes).batch),
          kept.map((row) => expected[row]),
        );
      }
      const reached = new Set([...rows.keys()].map((row) => to.destinationOf[sent.groups[row] ?? 0]));
      reached.delete(NO_DESTINATION);
      assert.deepEqual([...seen].toSorted(), [...reached].toSorted());
    }),
    { numRuns: 100 },
  );
});

test('a kept frame under another routing is what would have been sent under it', () => {
  fc.assert(
    fc.property(tables, fc.integer({ min: 1, max: 4 }), ({ schema, rows, seed, state }, destinations) => {
      const sent = toSend(schema, rows, seed, state);
      const [whole] = framesOf(header, sent, routing(1));
      const next = routing(destinations, (group) => group % 5 === 4);
      const expected = framesOf(header, sent, next);
      assert.deepEqual(whole === undefined ? [] : splitFrame(whole.bytes, next), expected);
    }),
    { numRuns: 100 },
  );
});

test('a frame that stays whole keeps its bytes', () => {
  const [frame] = framesOf(
    header,
    toSend([{ name: 'a', type: { kind: 'int' }, nullable: true }], [[1], [2]], 0, false),
    routing(1),
  );
  assert.ok(frame);
  const split = splitFrame(frame.bytes, {
    ...routing(1),
    destinationOf: new Uint8Array(KEY_GROUPS).fill(2),
    destinationCount: 3,
  });
  assert.deepEqual(split, [{ ...frame, destination: 2 }]);
  assert.equal(split[0]?.bytes, frame.bytes);
});

test('batches put together are their rows one behind the other', () => {
  fc.assert(
    fc.property(tables, fc.integer({ min: 0, max: 30 }), ({ schema, rows }, cut) => {
      const parts = [rows.slice(0, cut), rows.slice(cut), rows].map((part) => batchOf(schema, part));
      assert.deepEqual(
        rowsIn(schema, concatBatches(parts)),
        parts.flatMap((part) => rowsIn(schema, part)),
      );
      assert.deepEqual(rowsIn(schema, copyOf(parts[2] ?? batchOf(schema, []))), rowsIn(schema, batchOf(schema, rows)));
    }),
    { numRuns: 100 },
  );
});

test('bytes that are no frame, or part of one, are refused', () => {
  const [frame] = framesOf(
    header,
    toSend([{ name: 'a', type: { kind: 'int' }, nullable: true }], [[1], [2]], 0, false),
    routing(1),
  );
  assert.ok(frame);
  assert.throws(() => decodeFrame(frame.bytes.slice(0, -8)), /not a frame/);
  assert.throws(() => decodeFrame(new Uint8Array(100)), /not a frame/);
});
