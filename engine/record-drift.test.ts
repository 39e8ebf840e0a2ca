import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deadLetterReasons } from '../core/errors.ts';
import type { Schema } from '../core/types.ts';
import { batchesOf, taskOf, userRecord } from './created-users.fixture.ts';
import type { DriftPolicy, FieldDrift } from './formats/field-drift.ts';
import type { ValueFormat, WriterSchema } from './formats/value-format.ts';
import type { StagePlan } from './plan/stage-plan.ts';
import { compileStage } from './run-stage.ts';
import type { StageResult } from './stage.ts';

const fields: Schema = [
  { name: 'id', type: { kind: 'string' }, nullable: false },
  { name: 'age', type: { kind: 'int' }, nullable: true },
  { name: 'unused', type: { kind: 'double' }, nullable: true },
];

function planOf(policy: DriftPolicy, format: ValueFormat = 'json', changes: Partial<StagePlan> = {}): StagePlan {
  return {
    job: 'j',
    source: 's',
    topic: 't',
    format,
    // The query reads two of three fields.
    columns: [
      { kind: 'field', name: 'id', path: 'id', type: { kind: 'string' }, required: true },
      { kind: 'field', name: 'age', path: 'age', type: { kind: 'int' }, required: false },
    ],
    operators: [],
    output: fields.slice(0, 2),
    sinks: [{ kind: 'blackhole', name: 'b' }],
    onBadRecord: 'deadLetter',
    onNullValue: 'skip',
    timeZone: 'UTC',
    recordBytesMax: 1 << 20,
    recordDepthMax: 64,
    drift: { policy, fields },
    ...changes,
  };
}

/** One task per list of values: a stage looks at one record of each. */
function run(plan: StagePlan, ...tasks: readonly (readonly unknown[])[]): StageResult[] {
  const stage = compileStage(plan);
  let offset = 0;
  return tasks.map((values) => {
    const records = values.map((value) => userRecord(value, 1_700_000_000_000));
    const result = stage.run(taskOf(batchesOf(records, 1000), {}, offset));
    offset += values.length;
    return result;
  });
}

const drifts = (results: readonly StageResult[]): FieldDrift[] => results.flatMap(({ drift }) => drift ?? []);
const good = { id: 'a', age: 1, unused: 2 };
const many = (count: number, value: unknown): unknown[] => Array.from({ length: count }, () => value);

function dead({ deadByReason }: StageResult): Record<string, number> {
  return Object.fromEntries(
    deadByReason.flatMap((count, index) => (count === 0 ? [] : [[deadLetterReasons[index] ?? '', count]])),
  );
}

describe('records of JSON that differ from their schema', () => {
  test('new fields are told once, with the type of their value and a record that has them', () => {
    const more = { ...good, town: 'Ulm', tags: ['x'], score: 1.5, big: 2 ** 40, ok: true, later: null };
    const results = run(planOf('report'), many(10, good), [good, more], [more], [{ ...more, later: 1 }]);
    const at = { before: null, partition: 3 };
    assert.deepEqual(drifts(results), [
      { kind: 'new', column: 'town', after: 'STRING', offset: 11, ...at },
      { kind: 'new', column: 'tags', after: 'STRING', offset: 11, ...at },
      { kind: 'new', column: 'score', after: 'DOUBLE', offset: 11, ...at },
      { kind: 'new', column: 'big', after: 'BIGINT', offset: 11, ...at },
      { kind: 'new', column: 'ok', after: 'BOOLEAN', offset: 11, ...at },
      { kind: 'new', column: 'later', after: 'BIGINT', offset: 13, ...at },
    ]);
    assert.deepEqual(
      results.map(({ drift }) => drift === undefined),
      [true, false, true, false],
    );
    assert.ok(results.every(({ counters }) => counters.passed === counters.read));
  });

  test('fields of the schema that the query does not read are no news; nothing is looked for where nobody asked', () => {
    assert.deepEqual(drifts(run(planOf('report'), [good], many(20, good))), []);
    const { drift: _, ...silent } = planOf('report');
    assert.deepEqual(drifts(run(silent, [{ ...good, town: 'Ulm' }])), []);
  });

  test('retyped and missing fields are told by the records that cannot be read', () => {
    const results = run(planOf('evolve'), [{ id: 'a', age: 'old' }, { id: 'b', age: 'old' }, { age: 3 }, good]);
    assert.deepEqual(drifts(results), [
      { kind: 'retyped', column: 'age', before: 'INT', after: 'STRING', partition: 3, offset: 0 },
      { kind: 'missing', column: 'id', before: 'STRING', after: null, partition: 3, offset: 2 },
    ]);
    assert.deepEqual(dead(results[0]!), { FIELD_WRONG_TYPE: 2, FIELD_MISSING: 1 });
  });

  test('a field that may be NULL is missing once it stays away', () => {
    const results = run(planOf('report'), ...many(99, [{ id: 'a', unused: 1 }]).map((value) => value as unknown[]));
    assert.deepEqual(drifts(results), []);
    const stayed = run(planOf('report'), ...many(120, [{ id: 'a', unused: 1 }]).map((value) => value as unknown[]));
    assert.deepEqual(drifts(stayed), [
      { kind: 'missing', column: 'age', before: 'INT', after: null, partition: 3, offset: 99 },
    ]);
    const back = Array.from({ length: 150 }, (_, index) => [index % 90 === 0 ? good : { id: 'a', unused: 1 }]);
    assert.deepEqual(drifts(run(planOf('report'), ...back)), []);
  });

  test('deadLetter lets no record of another shape through, wherever it stands, and says which field', () => {
    for (const onBadRecord of ['deadLetter', 'skip', 'fail'] as const) {
      const values = [...many(20, good), { ...good, town: 'Ulm' }, ...many(20, good), { id: 'b', age: 'x' }, good];
      const [result] = run(planOf('deadLetter', 'json', { onBadRecord }), values);
      assert.deepEqual(dead(result!), { RECORD_SCHEMA_CHANGED: 1, FIELD_WRONG_TYPE: 1 });
      assert.deepEqual([result!.counters.read, result!.counters.passed, result!.failure], [43, 41, null]);
      assert.deepEqual(
        result!.drift?.map(({ kind, column, offset }) => [kind, column, offset]),
        [
          ['new', 'town', 20],
          ['retyped', 'age', 41],
        ],
      );
    }
  });

  test('fail stops at the first record of another shape; other bad records go where they went', () => {
    const [result] = run(planOf('fail'), ['no json', good, { ...good, town: 'Ulm' }, good]);
    assert.deepEqual(result!.failure, { offset: 2, code: 'RECORD_SCHEMA_CHANGED', place: 'town' });
    const [other] = run(planOf('fail'), ['no json', good]);
    assert.deepEqual([other!.failure, dead(other!)], [null, { RECORD_NOT_JSON: 1 }]);
  });

  test('a producer that makes names up fills no memory', () => {
    const values = Array.from({ length: 500 }, (_, index) => [{ ...good, [`k${index}${'x'.repeat(500)}`]: 1 }]);
    const found = drifts(run(planOf('report'), ...values));
    assert.equal(found.length, 64);
    assert.ok(found.every(({ column }) => column.length <= 129));
  });
});

describe('records of a registry that differ from their schema', () => {
  const avro: ValueFormat = { kind: 'avro', framing: 'confluent', registry: '', schema: null };
  const own = [
    { name: 'id', type: 'string' },
    { name: 'age', type: 'int' },
    { name: 'unused', type: 'double' },
  ];
  const schema = (id: number, ...members: readonly object[]): WriterSchema => ({
    id,
    type: 'AVRO',
    schema: JSON.stringify({ type: 'record', name: 'R', fields: members }),
    references: [],
  });
  const plain = [2, 0x61, 2, 0, 0, 0, 0, 0, 0, 0, 0];
  const values = new Map([
    [1, plain],
    [2, [...plain, 2, 0x62]],
    [3, plain.slice(0, 3)],
  ]);
  const schemas = [
    schema(1, ...own),
    schema(2, ...own, { name: 'town', type: 'string' }),
    schema(3, own[0]!, { name: 'age', type: 'long' }),
  ];

  function read(policy: DriftPolicy, ids: readonly number[]): StageResult {
    const records = ids.map((id) => ({
      key: null,
      value: Uint8Array.of(0, 0, 0, 0, id, ...(values.get(id) ?? [])),
      timestampMs: 1,
    }));
    return compileStage(planOf(policy, avro)).run(taskOf(batchesOf(records, 100), { schemas }));
  }

  test('the schemas are compared once, and told with the first record that has one', () => {
    const { drift, counters } = read('report', [1, 1, 2, 2, 3]);
    assert.deepEqual(
      drift?.map(({ kind, column, before, after, offset }) => [kind, column, before, after, offset]),
      [
        ['new', 'town', null, 'STRING', 2],
        ['retyped', 'age', 'INT', 'BIGINT', 4],
        ['missing', 'unused', 'DOUBLE', null, 4],
      ],
    );
    assert.equal(counters.read, 5);
    assert.equal(read('report', [1, 1]).drift, undefined);
  });

  test('deadLetter and fail go by the id of each record', () => {
    const kept = read('deadLetter', [1, 2, 1, 3, 1]);
    assert.deepEqual([dead(kept), kept.counters.passed], [{ RECORD_SCHEMA_CHANGED: 2 }, 3]);
    assert.deepEqual(read('fail', [1, 2, 1]).failure, { offset: 1, code: 'RECORD_SCHEMA_CHANGED', place: 'town' });
  });
});
