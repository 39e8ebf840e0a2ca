/**
 * Two streams as pure functions of (seed, partition, sequence number), stateful jobs over them, and what the jobs' tables
 * must hold in the end. Event time follows the sequence number, so results do not depend on where epochs are cut, as
 * long as no partition falls behind another by more than {@link DELAY_MS} of event time.
 */
import { fileURLToPath } from 'node:url';
import { evaluateJob } from '../../cli/job-module.ts';
import { must } from '../../core/assert.ts';
import type { RecordMaker } from '../support/load.ts';

export const EVENT_PARTITIONS = 4;
export const MARK_PARTITIONS = 2;
export const EVENTS_TOPIC = 'events';
export const MARKS_TOPIC = 'marks';
export const KEYSPACE = 'state_run';

/** Of both watermarks. */
const DELAY_MS = 15_000;
const BASE_MS = 1_717_200_000_000;
/** Records are out of order by up to so much in event time. */
const JITTER_MS = 4000;
const WINDOW_MS = 10_000;
const LONG_WINDOW_MS = 30_000;
const GAP_MS = 5000;
const BOUND_MS = 5000;
const KEYS = 1000;
const GROUPS = 100;
const USERS = 512;
/** A user acts in spells of so long. */
const SPELL_MS = 4000;
const USERS_PER_SPELL = 64;
const ORDER_EVERY = 20;
const DEDUP_EVERY = 10;
const BUCKET = 2000;
/** One mark for so many events. */
const EVENTS_PER_MARK = 20;
/** A mark comes up to so long after its order: some too late for the bound. */
const MARK_LAG_MS = 8000;
/** The last record of every partition lies so far ahead that every window before it ends. */
const END_AHEAD_MS = 3_600_000;

export interface StreamConfig {
  readonly seed: number;
  /** All partitions together; event time advances as fast. */
  readonly eventsPerSecond: number;
}

export function marksPerSecond({ eventsPerSecond }: StreamConfig): number {
  return eventsPerSecond / EVENTS_PER_MARK;
}

interface EventRecord {
  readonly id: string;
  readonly n: number;
  readonly k: string;
  readonly g: number;
  readonly u: string;
  /** Shared by the two partitions of a pair. */
  readonly d: string;
  readonly v: number;
  readonly ts: number;
}

interface MarkRecord {
  readonly id: string;
  readonly ref: string;
  readonly ts: number;
}

function eventMs(config: StreamConfig, seq: number): number {
  return (seq * 1000 * EVENT_PARTITIONS) / config.eventsPerSecond;
}

function markMs(config: StreamConfig, seq: number): number {
  return (seq * 1000 * MARK_PARTITIONS) / marksPerSecond(config);
}

function eventAt(config: StreamConfig, partition: number, seq: number): EventRecord {
  const { seed } = config;
  const pair = partition >> 1;
  const at = eventMs(config, seq);
  const spell = Math.floor(at / SPELL_MS);
  const user = (spell * 31 + (mix(seed, partition, seq, 4) % USERS_PER_SPELL)) % USERS;
  return {
    id: `${partition}-${seq}`,
    n: seq,
    k: `k${mix(seed, partition, seq, 1) % KEYS}`,
    g: mix(seed, partition, seq, 2) % GROUPS,
    u: `u${user}`,
    d: `${pair}-${seq}`,
    v: mix(seed, partition, seq, 3) % 1000,
    // The same in both partitions of a pair, where the other fields differ.
    ts: BASE_MS + Math.floor(at) + (mix(seed, 100 + pair, seq, 5) % JITTER_MS),
  };
}

function markAt(config: StreamConfig, partition: number, seq: number): MarkRecord {
  const { seed } = config;
  const at = markMs(config, seq);
  const lag = mix(seed, 200 + partition, seq, 6) % MARK_LAG_MS;
  const order = Math.floor(((at - lag) * config.eventsPerSecond) / (1000 * EVENT_PARTITIONS * ORDER_EVERY));
  const of = mix(seed, 200 + partition, seq, 7) % EVENT_PARTITIONS;
  return {
    id: `${partition}-${seq}`,
    ref: order < 0 ? `none-${partition}-${seq}` : `${of}-${order * ORDER_EVERY}`,
    ts: BASE_MS + Math.floor(at) + (mix(seed, 200 + partition, seq, 8) % JITTER_MS),
  };
}

const encoder = new TextEncoder();
let isoSecond = -1;
let isoPrefix = '';

/** As toISOString, which is too slow for every record of a load. */
function iso(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== isoSecond) {
    isoSecond = second;
    isoPrefix = new Date(second * 1000).toISOString().slice(0, 19);
  }
  return `${isoPrefix}.${String(ms - second * 1000).padStart(3, '0')}Z`;
}

interface Bytes {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

function eventBytes({ id, n, k, g, u, d, v, ts }: EventRecord): Bytes {
  const value = `{"id":"${id}","n":${n},"k":"${k}","g":${g},"u":"${u}","d":"${d}","v":${v},"ts":"${iso(ts)}"}`;
  return { key: encoder.encode(k), value: encoder.encode(value) };
}

function markBytes({ id, ref, ts }: MarkRecord): Bytes {
  return { key: encoder.encode(ref), value: encoder.encode(`{"id":"${id}","ref":"${ref}","ts":"${iso(ts)}"}`) };
}

export function eventMaker(config: StreamConfig): RecordMaker {
  return (partition, seq) => eventBytes(eventAt(config, partition, seq));
}

export function markMaker(config: StreamConfig): RecordMaker {
  return (partition, seq) => markBytes(markAt(config, partition, seq));
}

/** Event time of the records that end the streams, ms. */
export function endMs(config: StreamConfig, eventCounts: readonly number[]): number {
  return BASE_MS + Math.floor(eventMs(config, Math.max(...eventCounts))) + END_AHEAD_MS;
}

/** Moves the watermark past everything and comes out nowhere. */
export function lastEvent(config: StreamConfig, eventCounts: readonly number[]): RecordMaker {
  const ts = endMs(config, eventCounts);
  return (partition) => eventBytes({ id: `end-${partition}`, n: -1, k: 'end', g: -1, u: 'end', d: 'end', v: 0, ts });
}

export function lastMark(config: StreamConfig, eventCounts: readonly number[]): RecordMaker {
  const ts = endMs(config, eventCounts);
  return (partition) => markBytes({ id: `end-${partition}`, ref: 'end', ts });
}

/** The watermark in force once the last records are read. */
export function endWatermarkMs(config: StreamConfig, eventCounts: readonly number[]): number {
  return endMs(config, eventCounts) - DELAY_MS;
}

// ---------------------------------------------------------------------------------------------------------------- jobs

const EVENTS = `
  events:
    connector: kafka
    topic: ${EVENTS_TOPIC}
    startingOffsets: earliest
    format: json
    schema: >
      id STRING NOT NULL, n BIGINT NOT NULL, k STRING NOT NULL, g INT NOT NULL, u STRING NOT NULL, d STRING NOT NULL,
      v BIGINT NOT NULL, ts TIMESTAMP NOT NULL
    watermark: { column: ts, delay: ${DELAY_MS / 1000}s }`;

const MARKS = `
  marks:
    connector: kafka
    topic: ${MARKS_TOPIC}
    startingOffsets: earliest
    format: json
    schema: id STRING NOT NULL, ref STRING NOT NULL, ts TIMESTAMP NOT NULL
    watermark: { column: ts, delay: ${DELAY_MS / 1000}s }`;

/** The `sources` of a job file over the events, or over both streams. */
export function sourcesOf(both: boolean): string {
  return both ? EVENTS + MARKS : EVENTS;
}

/** A table's rows by primary key, both as text. */
export type TableRows = Map<string, string>;

export interface StateJob {
  readonly name: string;
  readonly sources: string;
  /** SQL, or the TypeScript file of the job, beside this one. */
  readonly query: string | URL;
  readonly outputMode: 'append' | 'update';
  /** Partition key first. */
  readonly primaryKey: readonly [string, ...string[]];
  readonly values: readonly string[];
  /** Adds what the streams' first records come to. */
  expect(rows: TableRows, config: StreamConfig, counts: Counts): void;
}

export interface Counts {
  readonly events: readonly number[];
  readonly marks: readonly number[];
}

export const jobs: readonly StateJob[] = [
  {
    name: 'windows',
    sources: EVENTS,
    query: `
      SELECT unix_millis(w.start) AS f, k, n, s
      FROM (SELECT window(ts, '10 seconds') AS w, k, count(*) AS n, sum(v) AS s
            FROM events GROUP BY window(ts, '10 seconds'), k)`,
    outputMode: 'append',
    primaryKey: ['f', 'k'],
    values: ['n', 's'],
    expect(rows, config, counts) {
      const sums = new Sums();
      for (const event of eventsOf(config, counts.events))
        sums.add(`${floorTo(event.ts, WINDOW_MS)} ${event.k}`, event.v);
      sums.into(rows);
    },
  },
  {
    name: 'sessions',
    sources: EVENTS,
    query: `
      SELECT u, unix_millis(w.start) AS f, unix_millis(w.end) AS t, n, s
      FROM (SELECT session_window(ts, '5 seconds') AS w, u, count(*) AS n, sum(v) AS s
            FROM events GROUP BY session_window(ts, '5 seconds'), u)`,
    outputMode: 'append',
    primaryKey: ['u', 'f'],
    values: ['t', 'n', 's'],
    expect: expectSessions,
  },
  {
    name: 'orders',
    sources: EVENTS + MARKS,
    query: `
      SELECT e.n div ${BUCKET} AS b, e.id, coalesce(m.id, '-') AS m, e.v
      FROM (SELECT id, n, v, ts FROM events WHERE n >= 0 AND n % ${ORDER_EVERY} = 0) e
      LEFT JOIN marks m ON e.id = m.ref AND m.ts BETWEEN e.ts AND e.ts + INTERVAL 5 SECONDS`,
    outputMode: 'append',
    primaryKey: ['b', 'id', 'm'],
    values: ['v'],
    expect: expectOrders,
  },
  {
    name: 'distinct',
    sources: EVENTS,
    query: `
      SELECT n div ${BUCKET} AS b, d, unix_millis(ts) AS t
      FROM (SELECT DISTINCT ON (d, ts) d, n, ts FROM events WHERE n >= 0 AND n % ${DEDUP_EVERY} = 0)`,
    outputMode: 'append',
    primaryKey: ['b', 'd'],
    values: ['t'],
    expect(rows, config, counts) {
      for (const { n, d, ts } of eventsOf(config, counts.events))
        if (n % DEDUP_EVERY === 0) rows.set(`${Math.floor(n / BUCKET)} ${d}`, String(ts));
    },
  },
  {
    name: 'chained',
    sources: EVENTS,
    query: `
      SELECT unix_millis(w.start) AS f, g, n, m, s
      FROM (SELECT window(window_time(w), '30 seconds') AS w, g, count(*) AS n, max(n) AS m, sum(s) AS s
            FROM (SELECT window(ts, '10 seconds') AS w, k, g, count(*) AS n, sum(v) AS s
                  FROM events WHERE g < 10 GROUP BY window(ts, '10 seconds'), k, g)
            GROUP BY window(window_time(w), '30 seconds'), g)
      WHERE g >= 0`,
    outputMode: 'append',
    primaryKey: ['f', 'g'],
    values: ['n', 'm', 's'],
    expect: expectChained,
  },
  {
    name: 'totals',
    sources: EVENTS,
    query: 'SELECT g, count(*) AS n, sum(v) AS s, max(v) AS m FROM events WHERE g >= 0 GROUP BY g',
    outputMode: 'update',
    primaryKey: ['g'],
    values: ['n', 's', 'm'],
    expect(rows, config, counts) {
      const sums = new Sums();
      const largest = new Map<string, number>();
      for (const { g, v } of eventsOf(config, counts.events)) {
        sums.add(String(g), v);
        largest.set(String(g), Math.max(largest.get(String(g)) ?? 0, v));
      }
      sums.into(rows);
      for (const [key, value] of rows) rows.set(key, `${value} ${largest.get(key) ?? 0}`);
    },
  },
  {
    name: 'spells',
    sources: EVENTS,
    query: new URL('./spells.ts', import.meta.url),
    outputMode: 'append',
    primaryKey: ['u', 'f'],
    values: ['n', 's'],
    expect(rows, config, counts) {
      const sums = new Sums();
      for (const event of eventsOf(config, counts.events))
        sums.add(`${event.u} ${floorTo(event.ts, WINDOW_MS)}`, event.v);
      sums.into(rows);
    },
  },
];

export function jobFile(job: StateJob, trigger: string): string {
  if (job.query instanceof URL) {
    const file = JSON.parse(evaluateJob(fileURLToPath(job.query))) as object;
    return JSON.stringify({ ...file, trigger });
  }
  const [first, ...others] = job.primaryKey;
  return `
apiVersion: weir/v1
kind: Job
name: ${job.name}
sources:${job.sources}
query: |${job.query.startsWith('\n') ? job.query : `\n      ${job.query}`}
sinks:
  - connector: cassandra
    keyspace: ${KEYSPACE}
    table: ${job.name}
    primaryKey: [${[`[${first}]`, ...others].join(', ')}]
    create: true
outputMode: ${job.outputMode}
trigger: ${trigger}
`;
}

/** The rows that a job's table must hold once the last records have been folded. */
export function expectedRows(job: StateJob, config: StreamConfig, counts: Counts): TableRows {
  const rows: TableRows = new Map();
  job.expect(rows, config, counts);
  return rows;
}

// -------------------------------------------------------------------------------------------------------- expectations

function* eventsOf(config: StreamConfig, counts: readonly number[]): Iterable<EventRecord> {
  for (const [partition, count] of counts.entries())
    for (let seq = 0; seq < count; seq++) yield eventAt(config, partition, seq);
}

function floorTo(ms: number, step: number): number {
  return ms - (ms % step);
}

/** Count and sum by key. */
class Sums {
  readonly #sums = new Map<string, { n: number; s: number }>();

  add(key: string, v: number): void {
    const sum = this.#sums.get(key);
    if (sum === undefined) this.#sums.set(key, { n: 1, s: v });
    else {
      sum.n += 1;
      sum.s += v;
    }
  }

  entries(): Iterable<[string, { readonly n: number; readonly s: number }]> {
    return this.#sums;
  }

  into(rows: TableRows): void {
    for (const [key, { n, s }] of this.#sums) rows.set(key, `${n} ${s}`);
  }
}

function expectSessions(rows: TableRows, config: StreamConfig, counts: Counts): void {
  // Time and value in one number: 12 M of them have to fit.
  const actsOf = new Map<string, number[]>();
  for (const { u, ts, v } of eventsOf(config, counts.events)) {
    const packed = (ts - BASE_MS) * 1000 + v;
    const acts = actsOf.get(u);
    if (acts === undefined) actsOf.set(u, [packed]);
    else acts.push(packed);
  }
  for (const [user, packed] of actsOf) {
    const acts = Float64Array.from(packed).sort();
    let from = 0;
    let last = 0;
    let n = 0;
    let s = 0;
    const close = (): void => {
      if (n > 0) rows.set(`${user} ${BASE_MS + from}`, `${BASE_MS + last + GAP_MS} ${n} ${s}`);
    };
    for (const act of acts) {
      const at = Math.floor(act / 1000);
      // Sessions that touch are one.
      if (n === 0 || at > last + GAP_MS) {
        close();
        [from, n, s] = [at, 0, 0];
      }
      last = at;
      n += 1;
      s += act % 1000;
    }
    close();
  }
}

function expectOrders(rows: TableRows, config: StreamConfig, counts: Counts): void {
  const marksOf = new Map<string, MarkRecord[]>();
  for (const [partition, count] of counts.marks.entries()) {
    for (let seq = 0; seq < count; seq++) {
      const mark = markAt(config, partition, seq);
      const others = marksOf.get(mark.ref);
      if (others === undefined) marksOf.set(mark.ref, [mark]);
      else others.push(mark);
    }
  }
  for (const { id, n, v, ts } of eventsOf(config, counts.events)) {
    if (n % ORDER_EVERY !== 0) continue;
    const marks = (marksOf.get(id) ?? []).filter((mark) => mark.ts >= ts && mark.ts <= ts + BOUND_MS);
    const bucket = Math.floor(n / BUCKET);
    for (const mark of marks) rows.set(`${bucket} ${id} ${mark.id}`, String(v));
    if (marks.length === 0) rows.set(`${bucket} ${id} -`, String(v));
  }
}

function expectChained(rows: TableRows, config: StreamConfig, counts: Counts): void {
  const inner = new Sums();
  for (const { ts, k, g, v } of eventsOf(config, counts.events))
    if (g < 10) inner.add(`${floorTo(ts, WINDOW_MS)} ${k} ${g}`, v);
  const outer = new Map<string, { n: number; m: number; s: number }>();
  for (const [key, { n, s }] of inner.entries()) {
    const [from = '', , g = ''] = key.split(' ');
    const name = `${floorTo(Number(from), LONG_WINDOW_MS)} ${g}`;
    const sum = outer.get(name) ?? { n: 0, m: 0, s: 0 };
    outer.set(name, { n: sum.n + 1, m: Math.max(sum.m, n), s: sum.s + s });
  }
  for (const [key, { n, m, s }] of outer) rows.set(key, `${n} ${m} ${s}`);
}

/** What differs between a table and what it must hold, a few of each kind; empty when nothing does. */
export function differences(expected: TableRows, actual: TableRows): string[] {
  const missing = [...expected.keys()].filter((key) => !actual.has(key));
  const extra = [...actual.keys()].filter((key) => !expected.has(key));
  const wrong = [...actual].filter(([key, value]) => expected.has(key) && expected.get(key) !== value);
  const some = (what: string, list: readonly string[]): string[] =>
    list.length === 0 ? [] : [`${list.length} rows ${what}: ${list.slice(0, 5).join('; ')}`];
  return [
    ...some('missing', missing),
    ...some('too many', extra),
    ...some(
      'wrong',
      wrong.map(([key, value]) => `${key} is ${value} instead of ${must(expected.get(key), () => key)}`),
    ),
  ];
}

function mix(seed: number, partition: number, seq: number, salt: number): number {
  let hash = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(partition + 1, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f) ^ Math.imul(seq + 1, 0x165667b1);
  hash = Math.imul(hash ^ (hash >>> 13), 0x9e3779b1) ^ Math.imul(salt, 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 16), 0x846ca68b);
  return (hash ^ (hash >>> 14)) >>> 0;
}
