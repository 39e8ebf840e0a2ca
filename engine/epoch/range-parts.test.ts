import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '../../core/assert.ts';
import { addCounters } from '../../core/lane/position.ts';
import type { EpochHost, MapTask } from './contract.ts';
import { compileHost } from './host.ts';
import { OpenRanges, addsUpRanges } from './range-parts.ts';
import { jobText, planOf, recordInput, runSql } from './test-run.ts';

const EVENTS = 'word STRING, x DOUBLE, n BIGINT';
const sources = { events: EVENTS };

const answers: readonly (readonly [query: string, addsUp: boolean])[] = [
  ['SELECT word, count(*) AS c, max(n) AS m, first(n) AS f FROM events GROUP BY word', true],
  ['SELECT word, sum(x) AS s, avg(x) AS a, stddev(x) AS d FROM events GROUP BY word', true],
  // A record may be refused when others have been added up.
  ['SELECT word, sum(n) AS s FROM events GROUP BY word', false],
  ['SELECT word, count(*) AS c, sum(CAST(n AS DECIMAL(38, 0))) AS s FROM events GROUP BY word', false],
  // What is kept grows with every record.
  ['SELECT word, count(*) AS c, collect_list(x) AS l FROM events GROUP BY word', false],
  ['SELECT word, count(DISTINCT n) AS c FROM events GROUP BY word', false],
  // Nothing is added up.
  ['SELECT DISTINCT word FROM events', false],
];

for (const [query, expected] of answers)
  test(`${expected ? 'ranges are' : 'no range is'} added up in parts: ${query}`, () => {
    const { plan } = runSql(query, sources, { outputMode: 'update' });
    const stages = plan.stages.flatMap((stage) => (stage.kind === 'map' ? [stage] : []));
    assert.deepEqual(stages.map(addsUpRanges), [expected]);
  });

test('no range is added up in parts where a task may be run again with a schema that it lacked', () => {
  const plan = planOf(
    jobText('SELECT word, count(*) AS c FROM events GROUP BY word', sources, { outputMode: 'update' }),
  );
  const [stage] = plan.stages;
  assert.ok(stage?.kind === 'map' && addsUpRanges(stage));
  const format = { kind: 'avro', registry: 'http://127.0.0.1:8081', framing: 'confluent' } as never;
  assert.equal(addsUpRanges({ ...stage, scan: { ...stage.scan, format } }), false);
});

// Sums of these depend on their order.
const { plan } = runSql('SELECT word, sum(x) AS s, count(*) AS c FROM events WHERE n > 0 GROUP BY word', sources, {
  outputMode: 'update',
});
const epochTsUs = 1_700_000_000_000_000;
const env = { run: 1, epoch: 0, epochTsUs, lateUs: -Infinity, evictUs: -Infinity, writeTimeUs: epochTsUs };
const routing = { destinationOf: Uint8Array.from({ length: 256 }, (_, group) => group % 2), destinationCount: 2 };

/** The records [from, to) of a partition, some of them null, some filtered. */
function records(partition: number, from: number, to: number): MapTask {
  const rows = Array.from({ length: to - from }, (_, index) => {
    const row = from + index;
    return row % 11 === 4 ? null : { word: `w${row % 5}`, x: 1e16 / (row + partition + 1), n: row % 3 };
  });
  const { bytes, batches } = recordInput(rows, from);
  return { stage: 0, env, routing, partition, bytes, batches, fromOffset: 0, toOffset: 1000, logPartitions: [] };
}

const newHost = (): EpochHost => compileHost(plan, { stateBytesMax: 2 ** 30 });

test('parts give the frames of the whole, with the last of them, and what else there is each by itself', () => {
  const host = newHost();
  const whole = newHost().map(records(2, 0, 100));
  assert.ok(whole.frames.length === 2 && whole.counters.skipped > 0 && whole.counters.filtered > 0);
  const given = [0, 30, 31, 70].map((from, index, starts) => {
    const part = { range: 'epoch 0', isFirst: index === 0, isLast: index === 3 };
    // Ranges of other partitions are added up meanwhile, and whole tasks.
    host.map({ ...records(7, from, from + 10), part });
    host.map(records(2, 500, 510));
    return host.map({ ...records(2, from, starts[index + 1] ?? 100), part });
  });
  assert.deepEqual(
    given.map(({ frames }) => frames.length),
    [0, 0, 0, 2],
  );
  assert.deepEqual(given.at(-1)?.frames, whole.frames);
  const sums = given.map(({ counters }) => counters).reduce(addCounters);
  assert.deepEqual(sums, whole.counters);
});

test('the rows of an attempt that came to no end count in no other, whenever its parts come', () => {
  const host = newHost();
  const whole = newHost().map(records(2, 0, 100));
  const some = (attempt: number, from: number, to: number, isFirst: boolean, isLast: boolean): MapTask => ({
    ...records(2, from, to),
    part: { range: `attempt ${attempt}`, isFirst, isLast },
  });
  host.map(some(0, 0, 60, true, false));
  assert.deepEqual(host.map(some(1, 0, 40, true, false)).frames, []);
  // What was under way when its attempt was given up.
  host.map(some(0, 60, 80, false, false));
  host.map(some(2, 0, 40, true, false));
  assert.deepEqual(host.map(some(1, 40, 100, false, true)).frames, whole.frames);
});

test('a part goes nowhere where the parts before it were not mapped', () => {
  const host = newHost();
  const part = { range: 'attempt 1', isFirst: false, isLast: true };
  assert.throws(() => host.map({ ...records(2, 40, 100), part }), /attempt 1 goes on behind a part/);
});

test('what attempts left that came to no end is forgotten when some others have begun', () => {
  const open = new OpenRanges<number>();
  const given = Array.from({ length: 7 }, (_, attempt) => open.begin('3', `attempt ${attempt}`, attempt));
  assert.deepEqual(given, [undefined, undefined, undefined, undefined, 0, 1, 2]);
  assert.equal(open.begin('4', 'attempt 0', 9), undefined);
  assert.deepEqual(
    [open.get('3', 'attempt 2'), open.get('3', 'attempt 6'), open.get('4', 'attempt 0')],
    [undefined, 6, 9],
  );
  assert.equal(open.begin('3', 'attempt 5', 8), 5);
  open.end('3', 'attempt 5');
  open.drop('4');
  assert.deepEqual([open.get('3', 'attempt 5'), open.get('4', 'attempt 0')], [undefined, undefined]);
});

test('a range of which no part has records sends nothing', () => {
  const host = newHost();
  const frames = [true, false].map((isFirst) => {
    const task = { ...records(1, 0, 7), fromOffset: 7 };
    return host.map({ ...task, part: { range: 'epoch 0', isFirst, isLast: !isFirst } }).frames;
  });
  assert.deepEqual(frames, [[], []]);
  assert.equal(must(newHost().map({ ...records(1, 0, 7), fromOffset: 7 }), () => 'a result').frames.length, 0);
});
