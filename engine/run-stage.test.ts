import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expr } from '../core/ast.ts';
import { deadLetterReasons, isWeirError } from '../core/errors.ts';
import { readBatchHeaders } from '../core/record-batch.ts';
import { readValue, ROW_OP_DELETE, rowsOf, rowTimestamp } from '../core/row-block.ts';
import type { RowBlock } from '../core/row-block.ts';
import type { DataType } from '../core/types.ts';
import {
  batchesOf,
  makeUsers,
  taskOf,
  userColumns,
  userPlan,
  userRecord,
  userTableSink,
} from './created-users.fixture.ts';
import { deadLetterShape } from './dead-letters.ts';
import type { SinkPlan, StagePlan } from './plan/stage-plan.ts';
import { compileStage } from './run-stage.ts';
import type { StageResult } from './stage.ts';

const decoder = new TextDecoder();
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

interface DecodedRow {
  readonly op: number;
  readonly timestamp: number;
  readonly values: (Uint8Array | null | undefined)[];
}

function decodeRows(block: RowBlock, columnCount: number, keyCount = columnCount): DecodedRow[] {
  return [...rowsOf(block)].map((row) => {
    const values: (Uint8Array | null | undefined)[] = [];
    let at = row.bodyStart;
    for (let column = 0; column < (row.op === ROW_OP_DELETE ? keyCount : columnCount); column++) {
      const { value, next } = readValue(block.bytes, at);
      values.push(value);
      at = next;
    }
    assert.equal(at + 12, row.bodyEnd);
    return { op: row.op, timestamp: rowTimestamp(block.bytes, row), values };
  });
}

function tableRows(result: StageResult, sink = 0, columnCount = userColumns.length, keyCount = 1): DecodedRow[] {
  const output = result.sinks[sink];
  assert.ok(output?.kind === 'table');
  return decodeRows(output, columnCount, keyCount);
}

function deadLetters(
  result: StageResult,
): Map<number, { code: string; place: string; value: string | null; timestamp: number }> {
  const rows = decodeRows(result.deadLetters, deadLetterShape.columns.length);
  return new Map(
    rows.map(({ values, timestamp }) => {
      const at = (name: string): Uint8Array | null =>
        values[deadLetterShape.columns.findIndex((column) => column.name === name)] ?? null;
      const offset = Number(new DataView(at('offset')!.slice().buffer).getBigInt64(0));
      const value = at('value');
      return [
        offset,
        {
          code: decoder.decode(at('code') ?? undefined),
          place: decoder.decode(at('place') ?? undefined),
          value: value === null ? null : decoder.decode(value),
          timestamp,
        },
      ];
    }),
  );
}

/** Spelled out by JSON.parse and plain objects: what the row of a user must hold. */
function expectedValues(user: Record<string, unknown>): (string | null)[] {
  return userColumns.map(({ name, type }) => {
    const value = user[name];
    if (value === null || value === undefined) return null;
    if (type.kind === 'timestamp') {
      const bytes = new DataView(new ArrayBuffer(8));
      bytes.setBigInt64(0, BigInt(Date.parse(String(value))));
      return Buffer.from(bytes.buffer).toString('hex');
    }
    if (type.kind === 'int') {
      const bytes = new DataView(new ArrayBuffer(4));
      bytes.setInt32(0, Number(value));
      return Buffer.from(bytes.buffer).toString('hex');
    }
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return Buffer.from(name === 'last_name' ? text.toUpperCase() : text).toString('hex');
  });
}

const hexValues = (row: DecodedRow): (string | null)[] =>
  row.values.map((value) => (value === null || value === undefined ? null : Buffer.from(value).toString('hex')));

test('created-users: rows, write times, counters and dead letters are those of a naive reading', () => {
  const next = makeUsers(7);
  const bad: readonly [text: string, code: string, place: string][] = [
    ['{"id":"x","post_code":"12"}', 'FIELD_WRONG_TYPE', 'post_code'],
    ['{"id":"x","post_code":3000000000}', 'FIELD_OUT_OF_RANGE', 'post_code'],
    ['{"id":"x"', 'RECORD_NOT_JSON', ''],
    ['[1]', 'RECORD_NOT_JSON', ''],
    [`{"id":"x","deep":${'['.repeat(70)}${']'.repeat(70)}}`, 'RECORD_TOO_DEEP', ''],
    ['{"post_code":1}', 'KEY_NULL', 'id'],
    ['{"id":"","post_code":1}', 'KEY_NULL', 'id'],
    [`{"id":"${'x'.repeat(65_536)}","post_code":1}`, 'KEY_TOO_LARGE', 'id'],
    ['{"id":"x","post_code":1,"dob":"yesterday"}', 'FIELD_WRONG_TYPE', 'dob'],
  ];
  const texts = Array.from({ length: 3000 }, (_, index): string | null => {
    if (index % 500 === 3) return null;
    if (index % 100 === 50) return bad[(index / 50) % bad.length]?.[0] ?? '';
    const user = next();
    if (index % 7 === 0) user['post_code'] = null;
    if (index % 11 === 0) delete user['post_code'];
    if (index % 13 === 0) user['first_name'] = `quote " backslash \\ tab \t ${index} \u{1f600}`;
    if (index % 17 === 0) user['address'] = { street: 'nested', numbers: [1, 2.5] };
    if (index % 19 === 0) user['__proto__x'] = { a: [null] };
    if (index % 23 === 0) return JSON.stringify(user).replaceAll('é', '\\u00e9').replace('"gender"', '"gen\\u0064er"');
    return JSON.stringify(user);
  });
  const task = taskOf(
    batchesOf(
      texts.map((text, index) => userRecord(text, 1_700_000_000_000 + index)),
      250,
    ),
    {},
    1000,
  );
  const result = compileStage(userPlan([userTableSink, { kind: 'blackhole', name: 'none' }])).run(task);

  const rows = tableRows(result);
  const letters = deadLetters(result);
  const expected = { passed: 0, filtered: 0, skipped: 0, dead: 0 };
  let row = 0;
  texts.forEach((text, index) => {
    const offset = 1000 + index;
    const timestamp = 1_700_000_000_000_000 + offset * 16;
    const badCase = bad.find(([badText]) => badText === text);
    if (text === null) {
      expected.skipped++;
    } else if (badCase !== undefined) {
      expected.dead++;
      assert.deepEqual(letters.get(offset), { code: badCase[1], place: badCase[2], value: text, timestamp });
    } else {
      const user = JSON.parse(text) as Record<string, unknown>;
      if (user['post_code'] === null || user['post_code'] === undefined) {
        expected.filtered++;
        return;
      }
      expected.passed++;
      const actual = rows[row++];
      assert.ok(actual);
      assert.deepEqual([actual.timestamp, hexValues(actual)], [timestamp, expectedValues(user)]);
    }
  });
  assert.equal(row, rows.length);
  assert.equal(letters.size, expected.dead);
  assert.deepEqual(result.counters, { read: 3000, ...expected, rowsOut: expected.passed });
  assert.deepEqual(
    result.deadByReason.map((count, index) => [deadLetterReasons[index], count]).filter(([, count]) => count !== 0),
    [...Map.groupBy([...letters.values()], ({ code }) => code)]
      .map(([code, group]) => [code, group.length])
      .sort((a, b) => deadLetterReasons.indexOf(a[0] as never) - deadLetterReasons.indexOf(b[0] as never)),
  );
  assert.equal(result.timestampMsMin, 1_700_000_000_000);
  assert.equal(result.timestampMsMax, 1_700_000_002_999);
  const blackhole = result.sinks[1];
  assert.ok(blackhole?.kind === 'blackhole' && blackhole.rowCount === rows.length && blackhole.hash !== 0);
});

test('batching and repetition do not change the rows', () => {
  const next = makeUsers(8);
  const records = Array.from({ length: 900 }, (_, index) =>
    userRecord(index % 31 === 0 ? '{"id":1' : { ...next(), username: `a\nb${index}` }, 1_700_000_000_000),
  );
  const stage = compileStage(userPlan([userTableSink, { kind: 'blackhole', name: 'none' }]));
  const results = [900, 100, 1].map((size) => stage.run(taskOf(batchesOf(records, size))));
  results.push(stage.run(taskOf(batchesOf(records, 900))));
  const [first, ...others] = results;
  assert.ok(first);
  for (const other of others) assert.deepEqual(other, first);
});

test('records outside of the task’s offsets do not count', () => {
  const next = makeUsers(9);
  const records = Array.from({ length: 20 }, () => userRecord(next(), 1_700_000_000_000));
  const result = compileStage(userPlan([userTableSink])).run(
    taskOf(batchesOf(records, 10), { fromOffset: 5, toOffset: 12 }),
  );
  assert.equal(result.counters.read, 7);
  assert.deepEqual(
    tableRows(result).map((row) => (row.timestamp - 1_700_000_000_000_000) / 16),
    [5, 6, 7, 8, 9, 10, 11],
  );
});

test('policies for bad records', () => {
  const good = makeUsers(1);
  const records = [
    userRecord(good(), 1),
    userRecord('oops', 2),
    userRecord({ post_code: 1 }, 3),
    userRecord(good(), 4),
  ];
  const skip = compileStage(userPlan([userTableSink], { onBadRecord: 'skip' })).run(taskOf(batchesOf(records, 4)));
  assert.deepEqual(skip.counters, { read: 4, passed: 2, filtered: 0, skipped: 2, dead: 0, rowsOut: 2 });
  assert.equal(skip.deadLetters.rowCount, 0);
  const fail = compileStage(userPlan([userTableSink], { onBadRecord: 'fail' })).run(taskOf(batchesOf(records, 4)));
  assert.deepEqual(fail.failure, { offset: 1, code: 'RECORD_NOT_JSON', place: '' });
  assert.equal(tableRows(fail).length, 0);
});

test('records without a value', () => {
  const good = makeUsers(1);
  const records = [
    userRecord(good(), 1),
    userRecord(null, 2, 'gone'),
    userRecord(good(), 3),
    userRecord(null, 4, null),
  ];
  const counters = (
    onNullValue: StagePlan['onNullValue'],
    result = compileStage(userPlan([userTableSink], { onNullValue })).run(taskOf(batchesOf(records, 4))),
  ) => result;
  assert.deepEqual(counters('skip').counters, { read: 4, passed: 2, filtered: 0, skipped: 2, dead: 0, rowsOut: 2 });
  const dead = counters('deadLetter');
  assert.equal(dead.counters.dead, 2);
  assert.deepEqual(deadLetters(dead).get(1), {
    code: 'RECORD_NULL_VALUE',
    place: '',
    value: null,
    timestamp: 1_700_000_000_000_016,
  });
});

test('a null value deletes the row of its key, in order with the others', () => {
  const STRING: DataType = { kind: 'string' };
  const key: Expr = { kind: 'column', type: STRING, nullable: true, index: 0, name: 'key' };
  const name: Expr = { kind: 'column', type: STRING, nullable: true, index: 1, name: 'name' };
  const sinks: readonly SinkPlan[] = [
    {
      kind: 'table',
      name: 't',
      shape: {
        keyspace: 'k',
        table: 't',
        columns: [
          { name: 'id', type: { kind: 'text' } },
          { name: 'name', type: { kind: 'text' } },
        ],
        partitionKeyCount: 1,
        primaryKeyCount: 1,
      },
      bindings: [
        { input: 0, from: STRING, to: { kind: 'text' } },
        { input: 1, from: STRING, to: { kind: 'text' } },
      ],
      ignoreNulls: false,
    },
    { kind: 'log', name: 'l', topic: 'l', compression: 'none', key: 0, value: 'json', headers: true },
  ];
  const plan = userPlan(sinks, {
    columns: [
      { kind: 'record', name: 'key', column: 'key', type: STRING },
      { kind: 'field', name: 'name', path: 'name', type: STRING, required: true },
    ],
    operators: [
      {
        kind: 'filter',
        predicate: { kind: 'call', name: 'isnotnull', type: { kind: 'boolean' }, nullable: false, args: [name] },
      },
      {
        kind: 'project',
        columns: [
          { name: 'id', type: STRING, nullable: true, expr: key },
          { name: 'name', type: STRING, nullable: true, expr: name },
        ],
      },
    ],
    output: [
      { name: 'id', type: STRING, nullable: true },
      { name: 'name', type: STRING, nullable: true },
    ],
    onNullValue: 'delete',
  });
  const records = [
    userRecord({ name: 'a' }, 1, 'k1'),
    userRecord(null, 2, 'k1'),
    userRecord({ name: 'b' }, 3, 'k1'),
    userRecord(null, 4, null),
  ];
  const result = compileStage(plan).run(taskOf(batchesOf(records, 4), { logPartitions: [1] }));
  assert.deepEqual(result.counters, { read: 4, passed: 3, filtered: 0, skipped: 0, dead: 1, rowsOut: 3 });
  assert.deepEqual(
    tableRows(result, 0, 2).map(({ op, values }) => [
      op,
      ...values.map((value) => (value ? decoder.decode(value) : null)),
    ]),
    [
      [0, 'k1', 'a'],
      [1, 'k1'],
      [0, 'k1', 'b'],
    ],
  );
  assert.equal(deadLetters(result).get(3)?.code, 'KEY_NULL');
  const log = result.sinks[1];
  assert.ok(log?.kind === 'log' && log.rowCount === 3);
  const text = decoder.decode(log.appends[0]?.batch);
  assert.match(text, /\{"id":"k1","name":"a"\}.*\/1\/0.*\{"id":"k1","name":"b"\}/s);
});

test('a row that the message of one sink cannot hold is a bad record for all of them; a delete has no message', () => {
  const STRING: DataType = { kind: 'string' };
  const key: Expr = { kind: 'column', type: STRING, nullable: true, index: 0, name: 'key' };
  const size: Expr = { kind: 'column', type: STRING, nullable: true, index: 1, name: 'size' };
  const schema =
    'syntax = "proto3"; enum Size { SMALL = 0; LARGE = 5; } message Item { optional Size size = 2; string id = 1; }';
  const log = { kind: 'log', topic: 'l', compression: 'none', key: 0, headers: false } as const;
  const message = { kind: 'protobuf', schema, message: 'Item', registration: null } as const;
  const columns = [
    { name: 'id', type: STRING, nullable: true, expr: key },
    { name: 'size', type: STRING, nullable: true, expr: size },
  ];
  const plan = userPlan(
    [
      { ...log, name: 'json', value: 'json' },
      { ...log, name: 'protobuf', value: message },
    ],
    {
      columns: [
        { kind: 'record', name: 'key', column: 'key', type: STRING },
        { kind: 'field', name: 'size', path: 'size', type: STRING, required: false },
      ],
      operators: [{ kind: 'project', columns }],
      output: columns.map(({ name, type, nullable }) => ({ name, type, nullable })),
      onNullValue: 'delete',
    },
  );
  const sizes = ['SMALL', 'LARGE', 'huge', null, undefined];
  // Few rows are written one by one, many by a kernel; null = a record without a value.
  for (const rounds of [1, 10]) {
    const records = Array.from({ length: rounds }, () => sizes)
      .flat()
      .toSorted((a, b) => Number(a === undefined) - Number(b === undefined))
      .map((each, index) => userRecord(each === undefined ? null : { size: each }, index, `k${index}`));
    const result = compileStage(plan).run(taskOf(batchesOf(records, 100), { logPartitions: [1, 1] }));
    assert.equal(result.counters.dead, rounds);
    assert.deepEqual(
      result.sinks.map((sink) => sink.kind === 'log' && sink.rowCount),
      [4 * rounds, 4 * rounds],
    );
    const letter = deadLetters(result).get(2);
    assert.deepEqual([letter?.code, letter?.place, letter?.value], ['FIELD_OUT_OF_RANGE', 'size', '{"size":"huge"}']);
    const output = result.sinks[1];
    assert.ok(output?.kind === 'log');
    const bytes = Buffer.concat(output.appends.map(({ batch }) => batch));
    assert.ok(bytes.includes(Buffer.of(0x0a, 2, 0x6b, 0x31, 0x10, 5)), 'LARGE, of k1');
  }
});

test('rows of one record: the last of a key stays, and one bad row takes all of them, in every sink', () => {
  const item: DataType = {
    kind: 'struct',
    fields: [
      { name: 'k', type: { kind: 'string' }, nullable: true },
      { name: 'v', type: { kind: 'int' }, nullable: true },
    ],
  };
  const list: DataType = { kind: 'array', element: item, containsNull: true };
  const plan = userPlan(
    [
      { kind: 'blackhole', name: 'b' },
      {
        kind: 'table',
        name: 't',
        shape: {
          keyspace: 'k',
          table: 't',
          columns: [
            { name: 'k', type: { kind: 'text' } },
            { name: 'v', type: { kind: 'int' } },
          ],
          partitionKeyCount: 1,
          primaryKeyCount: 1,
        },
        bindings: [
          { input: 1, from: { kind: 'string' }, to: { kind: 'text' } },
          { input: 2, from: { kind: 'int' }, to: { kind: 'int' } },
        ],
        ignoreNulls: true,
      },
      { kind: 'log', name: 'l', topic: 'l', compression: 'none', key: -1, value: 'json', headers: false },
    ],
    {
      columns: [{ kind: 'field', name: 'items', path: 'items', type: list, required: false }],
      operators: [
        {
          kind: 'generate',
          generator: 'inline',
          outer: false,
          input: { kind: 'column', type: list, nullable: true, index: 0, name: 'items' },
          output: item.fields,
        },
      ],
      output: [{ name: 'items', type: list, nullable: true }, ...item.fields],
    },
  );
  const many = Array.from({ length: 40 }, (_, index) => ({ k: `k${index % 5}`, v: index }));
  const records = [
    userRecord(
      {
        items: [
          { k: 'a', v: 1 },
          { k: 'b', v: 2 },
          { k: 'a', v: null },
        ],
      },
      1,
    ),
    userRecord(
      {
        items: [
          { k: 'c', v: 3 },
          { k: null, v: 4 },
        ],
      },
      2,
    ),
    userRecord({ items: [] }, 3),
    userRecord({ items: many }, 4),
  ];
  const result = compileStage(plan).run(taskOf(batchesOf(records, 4), { logPartitions: [2] }));
  assert.deepEqual(result.counters, { read: 4, passed: 2, filtered: 1, skipped: 0, dead: 1, rowsOut: 43 });
  const rows = tableRows(result, 1, 2).map(({ values }) => {
    const [k, v] = values;
    return [
      decoder.decode(k ?? undefined),
      v === undefined ? 'unset' : v === null ? null : new DataView(v.slice().buffer).getInt32(0),
    ];
  });
  assert.deepEqual(rows, [
    ['a', 'unset'],
    ['b', 2],
    ['k4', 39],
    ['k3', 38],
    ['k2', 37],
    ['k1', 36],
    ['k0', 35],
  ]);
  assert.deepEqual(
    [...deadLetters(result)].map(([offset, { code, place }]) => [offset, code, place]),
    [[1, 'KEY_NULL', 'k']],
  );
  assert.deepEqual(
    result.sinks.map((sink) => sink.rowCount),
    [43, 7, 43],
  );
});

test('raw records and record columns', () => {
  const columns: StagePlan['columns'] = [
    { kind: 'record', name: 'key', column: 'key', type: { kind: 'binary' } },
    { kind: 'record', name: 'value', column: 'value', type: { kind: 'string' } },
    { kind: 'record', name: 'topic', column: 'topic', type: { kind: 'string' } },
    { kind: 'record', name: 'partition', column: 'partition', type: { kind: 'int' } },
    { kind: 'record', name: 'offset', column: 'offset', type: { kind: 'bigint' } },
    { kind: 'record', name: 'timestamp', column: 'timestamp', type: { kind: 'timestamp' } },
    { kind: 'record', name: 'timestampType', column: 'timestampType', type: { kind: 'int' } },
    {
      kind: 'record',
      name: 'headers',
      column: 'headers',
      type: {
        kind: 'array',
        containsNull: false,
        element: {
          kind: 'struct',
          fields: [
            { name: 'key', type: { kind: 'string' }, nullable: false },
            { name: 'value', type: { kind: 'binary' }, nullable: true },
          ],
        },
      },
    },
  ];
  const plan = userPlan([{ kind: 'console', name: 'c' }], {
    format: 'raw',
    columns,
    operators: [],
    output: columns.map(({ name, type }) => ({ name, type, nullable: true })),
  });
  const records = [
    {
      key: bytesOf('k'),
      value: bytesOf('not json é'),
      timestampMs: 1_700_000_000_123,
      headers: [['h', bytesOf('v')]] as const,
    },
    { key: null, value: Uint8Array.of(0xff), timestampMs: 1 },
    { key: null, value: bytesOf(''), timestampMs: -1 },
  ];
  const result = compileStage(plan).run(taskOf(batchesOf(records, 1), {}, 2 ** 33));
  const [output] = result.sinks;
  assert.ok(output?.kind === 'console');
  assert.deepEqual(
    output.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      {
        key: 'aw==',
        value: 'not json é',
        topic: 'users_created',
        partition: 3,
        offset: 2 ** 33,
        timestamp: '2023-11-14T22:13:20.123Z',
        timestampType: 0,
        headers: [{ key: 'h', value: 'dg==' }],
      },
      { value: '', topic: 'users_created', partition: 3, offset: 2 ** 33 + 2, timestampType: 0 },
    ],
  );
  assert.deepEqual(deadLetters(result).get(2 ** 33 + 1)?.code, 'RECORD_INVALID_UTF8');
});

test('records that are too large are dead, their bytes cut in the dead letter', () => {
  const value = `{"id":"${'x'.repeat(1_100_000)}","post_code":1}`;
  const result = compileStage(userPlan([userTableSink])).run(taskOf(batchesOf([userRecord(value, 1)], 1)));
  const letter = deadLetters(result).get(0);
  assert.equal(letter?.code, 'RECORD_TOO_LARGE');
  assert.equal(letter?.value?.length, 1024 * 1024);
});

test('a damaged batch is named by topic, partition and offset', () => {
  const next = makeUsers(3);
  const task = taskOf(batchesOf([userRecord(next(), 1), userRecord(next(), 2)], 1), {}, 70);
  const second = readBatchHeaders(task.bytes)[1];
  assert.ok(second);
  task.bytes[second.start + 90] = (task.bytes[second.start + 90] ?? 0) ^ 1;
  const stage = compileStage(userPlan([userTableSink]));
  assert.throws(
    () => stage.run(task),
    (error: unknown) =>
      isWeirError(error, 'BATCH_CORRUPT') &&
      /users_created, partition 3: .* offset 71 .* checksum/.test(error.message) &&
      error.facts['offset'] === 71,
  );
  // The stage goes on with the next task.
  assert.equal(stage.run(taskOf(batchesOf([userRecord(next(), 1)], 1))).counters.passed, 1);
});
