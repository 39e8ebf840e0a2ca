import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isWeirError } from '../../core/errors.ts';
import { readBatchHeaders } from '../../core/record-batch.ts';
import { readValue, ROW_OP_DELETE, rowsOf, rowTimestamp } from '../../core/row-block.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { decodeBatch, RecordIndex, visitHeaders } from '../codecs/decode-records.ts';
import type { SinkOutput } from '../stage.ts';
import type { Frame, GroupState } from './contract.ts';
import { decodeFrame } from './frame.ts';
import { compileHost } from './host.ts';
import type { EpochInput, JsonRow } from './test-run.ts';
import { recordInput, runSql } from './test-run.ts';

const sources = {
  events: 'word STRING, x DOUBLE, id INT, ts TIMESTAMP',
  others: 'word STRING, y DOUBLE, id INT, t2 TIMESTAMP',
};
const EVENTS = 'events WATERMARK ts DELAY OF INTERVAL 10 SECONDS';
const OTHERS = 'others WATERMARK t2 DELAY OF INTERVAL 5 SECONDS';

const at = (seconds: number): string => new Date(Date.UTC(2024, 0, 1) + seconds * 1000).toISOString();

// ---- any job: nothing depends on where groups live ----------------------------------------------------------------

interface TestJob {
  readonly query: string;
  readonly outputMode: 'append' | 'update' | 'complete';
}

const jobs: readonly TestJob[] = [
  {
    query: `SELECT window.end, word, count(*) AS n, sum(x) AS s FROM ${EVENTS} GROUP BY window(ts, '10 seconds'), word`,
    outputMode: 'append',
  },
  {
    query: `SELECT window.end, sum(x) AS s, collect_list(id) AS l FROM ${EVENTS} GROUP BY window(ts, '10 seconds', '5 seconds')`,
    outputMode: 'update',
  },
  {
    query: 'SELECT word, sum(x) AS s, first(id) AS f, collect_list(id) AS l FROM events GROUP BY word',
    outputMode: 'complete',
  },
  { query: 'SELECT count(*) AS n, sum(x) AS s, count(DISTINCT word) AS d FROM events', outputMode: 'update' },
  {
    query: `SELECT window.end, sum(s) AS s, collect_list(word) AS l FROM (SELECT window(ts, '5 seconds') AS window, word, sum(x) AS s FROM ${EVENTS} GROUP BY window(ts, '5 seconds'), word) GROUP BY window`,
    outputMode: 'append',
  },
  {
    query: 'SELECT DISTINCT ON (id) id, word FROM (SELECT id, word FROM events UNION ALL SELECT id, word FROM others)',
    outputMode: 'append',
  },
  { query: `SELECT DISTINCT ON (word) WITHIN WATERMARK word, id FROM ${EVENTS}`, outputMode: 'append' },
  {
    query: `SELECT e.word, e.id, o.y FROM ${EVENTS} AS e LEFT JOIN ${OTHERS} AS o ON e.word = o.word AND o.t2 BETWEEN e.ts AND e.ts + INTERVAL 5 SECONDS`,
    outputMode: 'append',
  },
  { query: 'SELECT word, id FROM events LIMIT 7', outputMode: 'append' },
  {
    query: `SELECT session_window(ts, '5 seconds').start AS s, word, count(*) AS n, sum(x) AS x FROM ${EVENTS} GROUP BY session_window(ts, '5 seconds'), word`,
    outputMode: 'append',
  },
  {
    query: `SELECT session_window(ts, '3 seconds').start AS s, word, count(*) AS n FROM ${EVENTS} GROUP BY session_window(ts, '3 seconds'), word`,
    outputMode: 'update',
  },
  {
    query: 'SELECT word, count(*) AS n FROM events GROUP BY word ORDER BY n DESC, word LIMIT 2',
    outputMode: 'complete',
  },
  {
    query:
      'SELECT word, id, r FROM (SELECT word, id, row_number() OVER (PARTITION BY word ORDER BY x DESC) AS r FROM events) WHERE r <= 2',
    outputMode: 'update',
  },
  {
    query: `SELECT s, word, n, r FROM (SELECT w.start AS s, word, n, rank() OVER (PARTITION BY w ORDER BY n DESC) AS r FROM
      (SELECT window(ts, '10 seconds') AS w, word, count(*) AS n FROM ${EVENTS} GROUP BY window(ts, '10 seconds'), word)) WHERE r = 1`,
    outputMode: 'append',
  },
  {
    query: `SELECT window.end, word, count(*) AS n, max(id) AS m, avg(x) AS a FROM ${EVENTS} GROUP BY window(ts, '10 seconds', '2 seconds'), word`,
    outputMode: 'append',
  },
];

const row = fc.record({
  word: fc.constantFrom('a', 'b', 'c', 'd', 'e', null),
  x: fc.option(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { nil: null }),
  y: fc.integer({ min: 0, max: 3 }),
  id: fc.integer({ min: 0, max: 9 }),
  seconds: fc.integer({ min: 0, max: 60 }),
});
const batch = fc
  .array(row, { maxLength: 8 })
  .map((rows): JsonRow[] => rows.map(({ seconds, ...values }) => ({ ...values, ts: at(seconds), t2: at(seconds) })));
const steps = fc.array(fc.record({ events: fc.tuple(batch, batch), others: fc.tuple(batch, batch) }), {
  minLength: 1,
  maxLength: 4,
}) satisfies fc.Arbitrary<EpochInput[]>;

const bytesOf = (states: readonly GroupState[]): string[] =>
  states.map(
    ({ stage, group, bytes }) => `${stage}/${group} ${bytes === null ? '' : Buffer.from(bytes).toString('hex')}`,
  );
const asSet = (rows: readonly JsonRow[]): string[] => rows.map((each) => JSON.stringify(each)).toSorted();

for (const { query, outputMode } of jobs) {
  test(`hosts, restarts and replays change nothing: ${outputMode}: ${query}`, () => {
    fc.assert(
      fc.property(steps, (inputs) => {
        const run = runSql(query, sources, { outputMode });
        const moved = runSql(query, sources, { outputMode }, { hosts: 2 });
        inputs.forEach((input, index) => {
          const expected = run.step(input);
          const given = moved.step(input);
          assert.deepEqual(asSet(given.rows), asSet(expected.rows));
          assert.deepEqual(asSet(given.deletes), asSet(expected.deletes));
          assert.deepEqual([given.late, given.watermarkMs], [expected.late, expected.watermarkMs]);
          const states = bytesOf(run.run.states());
          assert.deepEqual(bytesOf(moved.run.states()), states);
          moved.restart(1 + (index % 3));
          assert.deepEqual(bytesOf(moved.run.states()), states);
        });
        const states = bytesOf(run.run.states());
        for (const hosts of [1, 3]) assert.deepEqual(bytesOf(run.replay(hosts)), states);
      }),
      // Shrinking takes minutes here; the seed alone finds the case again.
      { numRuns: 12, endOnFailure: true },
    );
  });
}

test('a replay of some key groups gives their states and no others', () => {
  const run = runSql(jobs[2]?.query ?? '', sources, { outputMode: 'complete' });
  run.step({ events: ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((word, id) => ({ word, id, x: id / 3 })) });
  run.step({ events: ['a', 'c', 'h'].map((word, id) => ({ word, id, x: id / 7 })) });
  const all = run.run.states();
  const kept = all.filter((_, index) => index % 2 === 0);
  assert.ok(kept.length > 1 && kept.length < all.length);
  const groups = new Set(kept.map(({ group }) => group));
  assert.deepEqual(bytesOf(run.replay(2, (_, group) => groups.has(group))), bytesOf(kept));
});

test('only groups that changed are taken, once', () => {
  const run = runSql('SELECT DISTINCT id FROM events', sources, { outputMode: 'append' });
  const [host] = run.run.hosts;
  run.step({ events: [{ id: 1 }, { id: 2 }, { id: 3 }] });
  const first = host?.takeChanged(false) ?? [];
  assert.equal(first.length, 3);
  assert.deepEqual(host?.takeChanged(false), []);
  run.step({ events: [{ id: 3 }, { id: 4 }] });
  const second = host?.takeChanged(false) ?? [];
  assert.equal(second.length, 1);
  assert.equal(host?.takeChanged(true).length, 4);
  host?.drop(second.map(({ group }) => group));
  assert.deepEqual(bytesOf(host?.takeChanged(true) ?? []), bytesOf(first.toSorted((a, b) => a.group - b.group)));
});

// ---- against a plain reading of the rows --------------------------------------------------------------------------

test('windowed counts: what a plain count over the rows that were not late gives', () => {
  const query = `SELECT CAST(window.start AS STRING) AS start, word, count(*) AS n FROM ${EVENTS} GROUP BY window(ts, '10 seconds'), word`;
  fc.assert(
    fc.property(steps, (inputs) => {
      const run = runSql(query, sources, { outputMode: 'append' }, { hosts: 2 });
      const counts = new Map<string, number>();
      const emitted = new Set<string>();
      let late = Number.NEGATIVE_INFINITY;
      let watermark = Number.NEGATIVE_INFINITY;
      let greatest = Number.NEGATIVE_INFINITY;
      for (const input of inputs) {
        for (const rows of input.events as readonly (readonly JsonRow[])[]) {
          for (const { ts, word } of rows) {
            const time = Date.parse(String(ts));
            greatest = Math.max(greatest, time);
            const start = Math.floor(time / 10_000) * 10_000;
            if (start + 10_000 <= late) continue;
            const key = JSON.stringify([start, word]);
            counts.set(key, (counts.get(key) ?? 0) + 1);
          }
        }
        late = Math.max(watermark, greatest - 10_000);
        watermark = late;
        const { rows } = run.step(input);
        const due = [...counts].filter(
          ([key]) => !emitted.has(key) && (JSON.parse(key) as [number])[0] + 10_000 <= late,
        );
        for (const [key] of due) emitted.add(key);
        const expected = due.map(([key, n]) => {
          const [start, word] = JSON.parse(key) as [number, string | null];
          return { start: new Date(start).toISOString().slice(0, 19).replace('T', ' '), word, n };
        });
        assert.deepEqual(asSet(rows), asSet(expected));
      }
    }),
    { numRuns: 60 },
  );
});

// ---- bad records --------------------------------------------------------------------------------------------------

test('a record that fails in one branch is dead in all of them, and what it said of time does not count', () => {
  const query = `SELECT DISTINCT id, v FROM (
    SELECT id, 'left' AS v, ts FROM ${EVENTS} UNION ALL SELECT id, CAST(10 div id AS STRING) AS v, ts FROM ${EVENTS})`;
  const run = runSql(query, sources);
  const { rows, deadLetters, watermarkMs, epochs } = run.step({
    events: [
      { id: 5, ts: at(20) },
      { id: 0, ts: at(50) },
      { id: 1, ts: at(30) },
    ],
  });
  assert.deepEqual(
    asSet(rows),
    asSet([
      { id: 5, v: 'left' },
      { id: 1, v: 'left' },
      { id: 5, v: '2' },
      { id: 1, v: '10' },
    ]),
  );
  assert.deepEqual(
    deadLetters.map(({ topic, partition, offset, code }) => [topic, partition, offset, code]),
    [['events', 0, 1, 'DIVIDE_BY_ZERO']],
  );
  assert.equal(watermarkMs, Date.parse(at(20)));
  assert.deepEqual(epochs[0]?.result.counters, { read: 3, passed: 2, filtered: 0, skipped: 0, dead: 1, rowsOut: 0 });
});

test('records that no branch lets through are filtered, also where an aggregate stands behind', () => {
  const run = runSql('SELECT word, count(*) AS n FROM events WHERE id > 1 GROUP BY word', sources, {
    outputMode: 'update',
  });
  const { epochs } = run.step({ events: [{ id: 1 }, { id: 2, word: 'a' }, { id: 3, word: 'a' }, null, { id: 'no' }] });
  assert.deepEqual(epochs[0]?.result.counters, { read: 5, passed: 2, filtered: 1, skipped: 1, dead: 1, rowsOut: 0 });
  assert.equal(epochs[0]?.result.rowsOut, 1);
});

const failing = 'SELECT word, 10 div (count(*) - 1) AS n FROM events GROUP BY word';

test('a row that fails behind a state operator becomes a dead letter with a place of its own', () => {
  const words = Array.from({ length: 600 }, (_, index) => ({ word: `w${index}` }));
  const run = runSql(failing, sources, { outputMode: 'update' }, { hosts: 2 });
  const first = run.step({ events: [...words, { word: 'twice' }, { word: 'twice' }] });
  assert.deepEqual(first.rows, [{ word: 'twice', n: 10 }]);
  const second = run.step({ events: [{ word: 'other' }] });
  const letters = [...first.deadLetters, ...second.deadLetters];
  assert.equal(letters.length, 601);
  assert.equal(new Set(letters.map(({ partition, offset }) => `${partition}/${offset}`)).size, 601);
  for (const { topic, code, place } of letters)
    assert.deepEqual([topic, code, place], ['aggregate-1', 'DIVIDE_BY_ZERO', 'n']);
  // The same letters from one host: they are found again, not written beside each other.
  const again = runSql(failing, sources, { outputMode: 'update' }).step({
    events: [...words, { word: 'twice' }, { word: 'twice' }],
  });
  const places = (step: typeof again): string[] =>
    step.deadLetters.map(({ partition, offset }) => `${partition}/${offset}`).toSorted();
  assert.deepEqual(places(again), places(first));
});

test('policies for rows that fail behind a state operator', () => {
  const skipped = runSql(failing, sources, { outputMode: 'update', onBadRecord: 'skip' }).step({
    events: [{ word: 'a' }],
  });
  assert.deepEqual([skipped.rows, skipped.deadLetters], [[], []]);
  const strict = runSql(failing, sources, { outputMode: 'update', onBadRecord: 'fail' });
  assert.throws(
    () => strict.step({ events: [{ word: 'a' }] }),
    (error: unknown) => isWeirError(error, 'DIVIDE_BY_ZERO') && /operator aggregate-1, epoch 0/.test(error.message),
  );
});

test('under onBadRecord: fail nothing of an epoch with a bad record is folded', () => {
  const run = runSql('SELECT DISTINCT id FROM events', sources, { onBadRecord: 'fail' });
  const [epoch] = run.step({ events: [{ id: 1 }, { id: 'x' }] }).epochs;
  assert.deepEqual(epoch?.result.failure, { offset: 1, code: 'FIELD_WRONG_TYPE', place: 'id' });
  assert.deepEqual(epoch?.rows, []);
  assert.deepEqual(run.run.states(), []);
});

test('a state that outgrows its bound stops the job with the figures', () => {
  const run = runSql('SELECT DISTINCT word FROM events', sources, {}, { stateBytesMax: 200_000 });
  run.step({ events: [{ word: 'a' }] });
  assert.throws(
    () => run.step({ events: Array.from({ length: 20_000 }, (_, index) => ({ word: `word ${index}` })) }),
    (error: unknown) => isWeirError(error, 'STATE_LIMIT') && error.facts['bytesMax'] === 200_000,
  );
});

test('records with late rows become dead letters where the job wants it, and count for their other rows', () => {
  const query = `SELECT window.end, count(*) AS n FROM ${EVENTS} GROUP BY window(ts, '20 seconds', '10 seconds')`;
  for (const onLate of ['drop', 'deadLetter']) {
    const run = runSql(query, sources, { onLate });
    run.step({ events: [{ ts: at(42) }] });
    const { late, deadLetters, epochs } = run.step({
      events: [{ ts: at(35) }, { ts: at(21) }, { ts: at(2) }, { ts: at(29) }],
    });
    // The watermark is 32: windows that end at 30 are gone, those that end at 40 are not.
    assert.deepEqual(late, { 'aggregate-1': 4 });
    assert.deepEqual(
      deadLetters.map(({ topic, offset, code, place }) => [topic, offset, code, place]),
      onLate === 'drop' ? [] : [2, 3, 4].map((offset) => ['events', offset, 'RECORD_LATE', 'aggregate-1']),
    );
    assert.equal(epochs[0]?.result.counters.passed, 3);
  }
});

// ---- time ---------------------------------------------------------------------------------------------------------

test('current_timestamp is the time of the epoch, before and behind the exchange, to the microsecond', () => {
  const run = runSql(
    'SELECT early, current_timestamp() AS late, count(*) AS n FROM (SELECT current_timestamp() AS early FROM events) GROUP BY early',
    sources,
    { outputMode: 'update' },
  );
  run.step({ events: [{ id: 1 }] });
  const { rows } = run.step({ events: [{ id: 1 }, { id: 2 }] });
  assert.deepEqual(rows, [{ early: '2023-11-14T22:13:20.001024Z', late: '2023-11-14T22:13:20.001024Z', n: 2 }]);
});

// ---- sinks --------------------------------------------------------------------------------------------------------

test('tables: one action per key and epoch, so that applying them leaves the result', () => {
  const query = `SELECT word, id, r FROM (
    SELECT word, id, row_number() OVER (PARTITION BY word ORDER BY x DESC, id) AS r FROM events) WHERE r <= 2`;
  const sinks = [{ connector: 'cassandra', keyspace: 'k', table: 't', primaryKey: ['word', 'r'], create: true }];
  fc.assert(
    fc.property(steps, (inputs) => {
      const run = runSql(query, sources, { outputMode: 'update', sinks }, { ownSinks: true, hosts: 2 });
      const table = new Map<string, number | null>();
      const seen: JsonRow[] = [];
      for (const input of inputs) {
        const rows = (input.events as readonly (readonly JsonRow[])[]).flat().filter(({ word }) => word !== null);
        seen.push(...rows);
        const { result } = run.epoch({ events: rows });
        const touched = new Set<string>();
        for (const output of result.outputs[0] ?? []) {
          assert.ok(output.kind === 'table');
          for (const { op, bodyStart, bodyEnd } of rowsOf(output)) {
            const word = readValue(output.bytes, bodyStart);
            const rank = readValue(output.bytes, word.next);
            const key = `${String(Buffer.from(word.value ?? []))} ${Buffer.from(rank.value ?? []).readInt32BE()}`;
            assert.ok(!touched.has(key), `${key} twice in an epoch`);
            touched.add(key);
            assert.equal(
              rowTimestamp(output.bytes, { op, bodyStart, bodyEnd }),
              1_700_000_000_000_000 + (run.env().epoch - 1) * 1024,
            );
            if (op === ROW_OP_DELETE) table.delete(key);
            else table.set(key, Buffer.from(readValue(output.bytes, rank.next).value ?? []).readInt32BE());
          }
        }
      }
      const expected = new Map<string, unknown>();
      for (const word of new Set(seen.map((each) => String(each['word'])))) {
        const best = seen.filter((each) => each['word'] === word);
        // NULL comes last in descending order.
        const xOf = (each: JsonRow): number => (each['x'] as number | null) ?? Number.NEGATIVE_INFINITY;
        best.sort((a, b) => xOf(b) - xOf(a) || (a['id'] as number) - (b['id'] as number));
        best.slice(0, 2).forEach((each, index) => expected.set(`${word} ${index + 1}`, each['id']));
      }
      assert.deepEqual([...table].toSorted(), [...expected].toSorted());
    }),
    { numRuns: 40, endOnFailure: true },
  );
});

test('rows that a table cannot take become dead letters, and the others are written', () => {
  const sinks = [{ connector: 'cassandra', keyspace: 'k', table: 't', primaryKey: ['word'], create: true }];
  const run = runSql(
    'SELECT word, count(*) AS n FROM events GROUP BY word',
    sources,
    { outputMode: 'update', sinks },
    { ownSinks: true },
  );
  const { result, deadLetters } = run.epoch({ events: [{ word: 'a' }, { id: 1 }, { word: 'b' }] });
  assert.deepEqual(
    result.outputs[0]?.map(({ rowCount }) => rowCount),
    [2],
  );
  assert.deepEqual(
    deadLetters.map(({ topic, code, place }) => [topic, code, place]),
    [['aggregate-1', 'KEY_NULL', 'word']],
  );
  assert.equal(result.rowsOut, 2);
});

/** Ids, partitions and values of the records in a log sink's output. */
function logRecords(outputs: readonly SinkOutput[]): string[] {
  return outputs
    .flatMap((output) => (output.kind === 'log' ? output.appends : []))
    .flatMap(({ partition, batch }) => {
      const [header] = readBatchHeaders(batch);
      assert.ok(header);
      const arena = new ByteBuffer();
      const records = new RecordIndex();
      const place = {
        start: 0,
        end: header.end,
        baseOffset: 0,
        baseTimeUs: 0,
        stride: 1,
        fromOffset: 0,
        toOffset: 1e9,
      };
      decodeBatch(batch, place, arena, records);
      return Array.from({ length: records.count }, (_, record) => {
        let id = '';
        visitHeaders(
          arena.bytes,
          records.headersStart[record] ?? 0,
          arena.length,
          (_name, _nameLength, start, length) => {
            id = String(Buffer.from(arena.bytes.subarray(start, start + length)));
          },
        );
        const from = records.valueStart[record] ?? 0;
        const length = records.valueLength[record] ?? 0;
        const value = length < 0 ? null : String(Buffer.from(arena.bytes.subarray(from, from + length)));
        return JSON.stringify([id, partition, records.timestampMs[record], value]);
      });
    });
}

test('logs: a row has the same id and partition whatever thread it comes out of, and no other row has it', () => {
  const sinks = [{ connector: 'kafka', topic: 'out' }];
  const query = 'SELECT word, count(*) AS n FROM events GROUP BY word';
  const input = { events: Array.from({ length: 500 }, (_, index) => ({ word: `w${index % 400}` })) };
  const [one, three] = [1, 3].map((hosts) => {
    const run = runSql(query, sources, { outputMode: 'update', sinks }, { ownSinks: true, hosts, logPartitions: [4] });
    run.epoch(input);
    return logRecords(run.epoch(input).result.outputs[0] ?? []);
  });
  assert.deepEqual(three?.toSorted(), one?.toSorted());
  const records = (one ?? []).map((each) => JSON.parse(each) as [string, number, number, string]);
  assert.equal(records.length, 400);
  assert.equal(new Set(records.map(([id]) => id)).size, 400);
  for (const [id, , timestampMs] of records) {
    assert.match(id, /^test\/1\/1\/1\/\d+\/\d+$/);
    assert.equal(timestampMs, 1_700_000_000_001);
  }
  assert.equal(new Set(records.map(([, partition]) => partition)).size, 4);
});

test('a job without state writes from its map stage: rows of every branch and partition have ids of their own', () => {
  const names = { connector: 'cassandra', keyspace: 'k', table: 'names', refresh: '10s', schema: 'word STRING' };
  const branch = 'SELECT e.word, explode(array(1, 2)) AS k FROM events AS e JOIN names AS n ON e.word = n.word';
  const options = { ownSinks: true, logPartitions: [5] };
  const sinks = [{ connector: 'kafka', topic: 'out' }];
  const run = runSql(`${branch} UNION ALL ${branch}`, sources, { tables: { names }, sinks }, options);
  assert.deepEqual(
    run.plan.stages.map(({ kind }) => kind),
    ['map'],
  );
  run.run.setStatic('names', [['a']]);
  const { result } = run.epoch({ events: [[{ word: 'a' }, { word: 'b' }, { word: 'a' }], [{ word: 'a' }]] });
  const records = logRecords(result.outputs[0] ?? []).map(
    (each) => JSON.parse(each) as [string, number, number, string],
  );
  assert.equal(records.length, 12);
  assert.equal(new Set(records.map(([id]) => id)).size, 12);
  // Without a key a row goes to the partition of its record.
  for (const [id, partition] of records) assert.equal(Number(id.split('/')[4]), partition);
  assert.deepEqual(result.counters, { read: 4, passed: 3, filtered: 1, skipped: 0, dead: 0, rowsOut: 12 });
});

// ---- static tables ------------------------------------------------------------------------------------------------

const tables = {
  names: {
    schema: 'word STRING, id BIGINT, tags ARRAY<STRING>',
    rows: [
      ['a', '9007199254740993', ['x', 'y']],
      ['b', 2, null],
    ],
  },
};

test('rows of a static table are read as JSON records are, and may be read anew', () => {
  const run = runSql(
    'SELECT DISTINCT e.word, n.id, n.tags FROM events AS e JOIN names AS n ON e.word = n.word',
    sources,
    { tables },
  );
  const { rows } = run.step({ events: [{ word: 'a' }, { word: 'b' }, { word: 'c' }] });
  assert.deepEqual(
    asSet(rows),
    asSet([
      { word: 'a', id: Number(9007199254740993n), tags: ['x', 'y'] },
      { word: 'b', id: 2, tags: null },
    ]),
  );
  run.run.setStatic('names', [['c', 3, []]]);
  assert.deepEqual(run.step({ events: [{ word: 'a' }, { word: 'c' }] }).rows, [{ word: 'c', id: 3, tags: [] }]);
  assert.throws(
    () =>
      run.run.setStatic('names', [
        ['a', 1, null],
        ['b', 'two', null],
      ]),
    (error: unknown) => isWeirError(error, 'JOB_INVALID') && /names: row 2 .*id/.test(error.message),
  );
});

// ---- order --------------------------------------------------------------------------------------------------------

test('the order in which frames of different senders arrive does not matter', () => {
  const { plan } = runSql(
    'SELECT word, collect_list(id) AS l, sum(x) AS s FROM (SELECT * FROM events UNION ALL SELECT word, y, id, t2 FROM others) GROUP BY word',
    sources,
    { outputMode: 'update' },
  );
  const routing = { destinationOf: new Uint8Array(256), destinationCount: 1 };
  const env = {
    run: 1,
    epoch: 0,
    epochTsUs: 1_700_000_000_000_000,
    lateUs: -Infinity,
    evictUs: -Infinity,
    writeTimeUs: 1_700_000_000_000_000,
  };
  const common = { env, routing, logPartitions: [] };
  const state = plan.stages.findIndex(({ kind }) => kind === 'state');
  const words = ['a', 'b', 'a', 'c'];
  const run = (order: (frames: readonly Frame[]) => readonly Frame[]): unknown => {
    const host = compileHost(plan, { stateBytesMax: 2 ** 30 });
    const frames = plan.stages.flatMap((stage, index) =>
      stage.kind === 'state'
        ? []
        : [0, 1, 2].flatMap((partition) => {
            const rows = words.map((word, id) => ({
              word,
              id: 100 * index + 10 * partition + id,
              x: 0.1 * partition,
              y: 0.3,
            }));
            const { bytes, batches } = recordInput(rows, 5);
            return host.map({ ...common, stage: index, partition, bytes, batches, fromOffset: 0, toOffset: 100 })
              .frames;
          }),
    );
    assert.equal(frames.length, 6);
    const inputs = order(frames).map(({ port, bytes }) => ({ port, bytes }));
    const { sinks } = host.reduce({ ...common, stage: state, inputs });
    return [sinks, bytesOf(host.takeChanged(true))];
  };
  const expected = run((frames) => frames);
  assert.deepEqual(
    run((frames) => frames.toReversed()),
    expected,
  );
  assert.deepEqual(
    run((frames) => [...frames.slice(3), ...frames.slice(0, 3)]),
    expected,
  );
});

test('a record that a sum cannot take counts nowhere, though other chunks of its task were added up before', () => {
  const source = { events: 'word STRING, n BIGINT' };
  const query = 'SELECT word, count(*) AS c, sum(n) AS s FROM events GROUP BY word';
  const { plan } = runSql(query, source, { outputMode: 'update' });
  const most = '9223372036854775807';
  // Numbers beyond 2^53 and some filling, as text: JSON.stringify would round them.
  const record = (word: string, n: string): Buffer =>
    Buffer.from(`{"word":"${word}","n":${n},"f":"${'x'.repeat(900)}"}`);
  const values = Array.from({ length: 3000 }, (_, row) => record(`w${row % 3}`, row === 5 ? most : '0'));
  // Of the word of row 5, in the last chunk: one that overflows, and one that does not.
  values[2990] = record('w2', '1');
  values[2993] = record('w2', '-7');
  const parts = [0, 1000, 2000].map((from) =>
    encodeRecordBatch(
      values.slice(from, from + 1000).map((value) => ({ key: null, value, timestampMs: 1 })),
      { baseOffset: from },
    ),
  );
  assert.ok(parts.every((part) => part.byteLength > 800_000));
  let at = 0;
  const batches = Float64Array.from(
    parts.flatMap((part, index) => {
      const entry = [at, at + part.byteLength, index * 1000, 0, 1];
      at += part.byteLength;
      return entry;
    }),
  );
  const epochTsUs = 1_700_000_000_000_000;
  const env = { run: 1, epoch: 0, epochTsUs, lateUs: -Infinity, evictUs: -Infinity, writeTimeUs: epochTsUs };
  const common = { env, routing: { destinationOf: new Uint8Array(256), destinationCount: 1 }, logPartitions: [] };
  const host = compileHost(plan, { stateBytesMax: 2 ** 30 });
  const mapped = host.map({
    ...common,
    stage: 0,
    partition: 3,
    bytes: new Uint8Array(Buffer.concat(parts)),
    batches,
    fromOffset: 0,
    toOffset: 3000,
  });
  assert.deepEqual(
    { ...mapped.counters, frames: mapped.frames.length },
    { read: 3000, passed: 2999, filtered: 0, skipped: 0, dead: 1, rowsOut: 0, frames: 1 },
  );
  const { batch } = decodeFrame(mapped.frames[0]?.bytes ?? new Uint8Array(0));
  const [, count, sum] = batch.columns;
  assert.ok(count?.kind === 'i64' && sum?.kind === 'i64');
  assert.deepEqual([...count.values].toSorted(), [1000n, 1000n, 999n]);
  assert.ok([...sum.values].includes(BigInt(most) - 7n));
});

test('a task adds up over all of its chunks what its batches give as tasks of their own', () => {
  const { plan } = runSql('SELECT word, collect_list(id) AS l, sum(x) AS s FROM events GROUP BY word', sources, {
    outputMode: 'update',
  });
  const epochTsUs = 1_700_000_000_000_000;
  const env = { run: 1, epoch: 0, epochTsUs, lateUs: -Infinity, evictUs: -Infinity, writeTimeUs: epochTsUs };
  const common = { env, routing: { destinationOf: new Uint8Array(256), destinationCount: 1 }, logPartitions: [] };
  // Two of these are more than a chunk.
  const filler = 'x'.repeat(700);
  const batches = [0, 1, 2, 3].map((batch) => {
    const rows = Array.from({ length: 1000 }, (_, row) => ({
      word: `w${row % 7}`,
      id: row,
      // Sums of these are exact, whatever the order.
      x: (batch + row) / 4,
      filler,
    }));
    return recordInput(rows, batch * 1000);
  });
  const joined = new Uint8Array(Buffer.concat(batches.map(({ bytes }) => bytes)));
  const table = Float64Array.from(
    batches.flatMap(({ bytes, batches: [start = 0, end = 0, ...rest] }, index) => {
      const shift =
        bytes.byteLength === end ? batches.slice(0, index).reduce((sum, each) => sum + each.bytes.byteLength, 0) : 0;
      return [start + shift, end + shift, ...rest];
    }),
  );
  const run = (inputs: readonly { readonly bytes: Uint8Array; readonly batches: Float64Array }[]) => {
    const host = compileHost(plan, { stateBytesMax: 2 ** 30 });
    const mapped = inputs.map((input) =>
      host.map({ ...common, stage: 0, partition: 3, ...input, fromOffset: 2, toOffset: 3990 }),
    );
    const frames = mapped.flatMap((result) => result.frames);
    host.reduce({ ...common, stage: 1, inputs: frames.map(({ port, bytes }) => ({ port, bytes })) });
    return {
      read: mapped.reduce((sum, { counters }) => sum + counters.read, 0),
      frames: frames.length,
      states: bytesOf(host.takeChanged(true)),
    };
  };
  const whole = run([{ bytes: joined, batches: table }]);
  assert.equal(whole.read, 3988);
  assert.equal(whole.frames, 1);
  for (const inputs of [batches, batches.toReversed()]) assert.deepEqual(run(inputs), { ...whole, frames: 4 });
});
