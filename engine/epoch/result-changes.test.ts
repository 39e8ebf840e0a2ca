import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assert as invariant } from '../../core/assert.ts';
import { readValue, ROW_OP_DELETE, rowsOf } from '../../core/row-block.ts';
import type { SinkPlan } from '../plan/stage-plan.ts';
import type { SinkOutput } from '../stage.ts';
import { type EpochOutput, type JsonRow, runSql, type TestRun } from './test-run.ts';

/*
 * Tables in update and complete mode: after every epoch the rows of the table, upserts and deletes applied, are the
 * result of the query over everything read so far, whatever the number of hosts and however often state moves.
 */

interface Row {
  readonly id: number;
  readonly k: string;
  readonly v: number | null;
  readonly d: number;
  /** Seconds. */
  readonly t: number;
}

interface Case {
  readonly query: string;
  readonly mode: 'update' | 'complete';
  readonly primaryKey: readonly string[];
  /** The result over all rows, as values in the order of the table's columns; null = what the console shows. */
  readonly expected: ((rows: readonly Row[]) => readonly (readonly unknown[])[]) | null;
}

const sources = { ev: 'id INT, k STRING, v INT, d DOUBLE, ts TIMESTAMP' };
const stream = 'ev WATERMARK ts DELAY OF INTERVAL 1 DAY';
const perKey = 'SELECT k, count(*) AS c, sum(v) AS s FROM ev GROUP BY k';

function groupsOf<T>(rows: readonly T[], key: (row: T) => string | number): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const name = String(key(row));
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return [...groups];
}

/** NULL where there is none. */
function sumOf(values: readonly (number | null)[]): number | null {
  const there = values.filter((value) => value !== null);
  return there.length === 0 ? null : there.reduce((sum, value) => sum + value, 0);
}

function keysOf(rows: readonly Row[]): { k: string; c: number; s: number | null }[] {
  return groupsOf(rows, ({ k }) => k).map(([k, of]) => ({ k, c: of.length, s: sumOf(of.map(({ v }) => v)) }));
}

/** Of each key its sessions: start, end, rows. */
function sessionsOf(rows: readonly Row[], gap: number): { k: string; start: number; end: number; n: number }[] {
  return groupsOf(rows, ({ k }) => k).flatMap(([k, of]) => {
    const sessions: { k: string; start: number; end: number; n: number }[] = [];
    for (const { t } of of.toSorted((a, b) => a.t - b.t)) {
      const last = sessions.at(-1);
      if (last !== undefined && t <= last.end) {
        last.end = t + gap;
        last.n++;
      } else sessions.push({ k, start: t, end: t + gap, n: 1 });
    }
    return sessions;
  });
}

const there = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null);
const greatest = (values: readonly (number | null)[]): number | null =>
  there(values).length === 0 ? null : Math.max(...there(values));
const least = (values: readonly (number | null)[]): number | null =>
  there(values).length === 0 ? null : Math.min(...there(values));

const cases: Readonly<Record<string, Case>> = {
  'a condition on the values of groups': {
    query: `${perKey} HAVING sum(v) % 2 = 0`,
    mode: 'update',
    primaryKey: ['k'],
    expected: (rows) => keysOf(rows).flatMap(({ k, c, s }) => (s !== null && s % 2 === 0 ? [[k, c, s]] : [])),
  },
  'a condition on the values of groups, whole results': {
    query: `${perKey} HAVING sum(v) % 2 = 0`,
    mode: 'complete',
    primaryKey: ['k'],
    expected: (rows) => keysOf(rows).flatMap(({ k, c, s }) => (s !== null && s % 2 === 0 ? [[k, c, s]] : [])),
  },
  'a primary key of values': {
    query: 'SELECT k, count(*) AS c, max(v) AS m FROM ev GROUP BY k',
    mode: 'update',
    primaryKey: ['k', 'c'],
    expected: (rows) => groupsOf(rows, ({ k }) => k).map(([k, of]) => [k, of.length, greatest(of.map(({ v }) => v))]),
  },
  'a primary key of values, whole results': {
    query: 'SELECT k, count(*) AS c, max(v) AS m FROM ev GROUP BY k',
    mode: 'complete',
    primaryKey: ['k', 'c'],
    expected: (rows) => groupsOf(rows, ({ k }) => k).map(([k, of]) => [k, of.length, greatest(of.map(({ v }) => v))]),
  },
  'rows of exploded groups': {
    query: `SELECT k, x FROM (SELECT k, explode(array(s, c)) AS x FROM (${perKey})) WHERE x IS NOT NULL`,
    mode: 'update',
    primaryKey: ['k', 'x'],
    expected: (rows) =>
      keysOf(rows).flatMap(({ k, c, s }) => [...new Set(s === null ? [c] : [s, c])].map((x) => [k, x])),
  },
  'the first groups in order': {
    query: `${perKey} ORDER BY c DESC, k LIMIT 2`,
    mode: 'complete',
    primaryKey: ['k'],
    expected: (rows) =>
      keysOf(rows)
        .toSorted((a, b) => b.c - a.c || (a.k < b.k ? -1 : 1))
        .slice(0, 2)
        .map(({ k, c, s }) => [k, c, s]),
  },
  'the first groups in order, equal ones and a condition': {
    query: `${perKey} HAVING count(*) % 3 <> 0 ORDER BY c LIMIT 2`,
    mode: 'complete',
    primaryKey: ['k'],
    expected: null,
  },
  'some groups': { query: `${perKey} HAVING sum(v) > 0 LIMIT 2`, mode: 'complete', primaryKey: ['k'], expected: null },
  'groups of groups': {
    query: `SELECT c, count(*) AS n, sum(s) AS t, min(s) AS lo, max(s) AS hi, avg(s) AS a, count(s) AS there,
              count(DISTINCT s) AS different, max_by(k, k) AS top
            FROM (${perKey}) GROUP BY c`,
    mode: 'update',
    primaryKey: ['c'],
    expected: groupsOfGroups,
  },
  'groups of groups, whole results': {
    query: `SELECT c, count(*) AS n, sum(s) AS t, min(s) AS lo, max(s) AS hi, avg(s) AS a, count(s) AS there,
              count(DISTINCT s) AS different, max_by(k, k) AS top
            FROM (${perKey}) GROUP BY c`,
    mode: 'complete',
    primaryKey: ['c'],
    expected: groupsOfGroups,
  },
  'groups of groups, first ones of whole results': {
    query: `SELECT c, count(*) AS n FROM (${perKey}) GROUP BY c ORDER BY n DESC, c LIMIT 1`,
    mode: 'complete',
    primaryKey: ['c'],
    expected: (rows) =>
      groupsOf(keysOf(rows), ({ c }) => c)
        .map(([c, of]): [number, number] => [Number(c), of.length])
        .toSorted((a, b) => b[1] - a[1] || a[0] - b[0])
        .slice(0, 1),
  },
  'one row of groups': {
    query: `SELECT 'all' AS a, count(*) AS n, sum(s) AS t, max(c) AS m FROM (${perKey}) WHERE s > 2`,
    mode: 'update',
    primaryKey: ['a'],
    expected: (rows) => {
      const chosen = keysOf(rows).filter(({ s }) => s !== null && s > 2);
      return [['all', chosen.length, sumOf(chosen.map(({ s }) => s)), greatest(chosen.map(({ c }) => c))]];
    },
  },
  'three levels and conditions': {
    query: `SELECT n, count(*) AS m FROM (SELECT c, count(*) AS n FROM (${perKey}) WHERE s IS NOT NULL GROUP BY c)
            GROUP BY n HAVING count(*) % 2 = 1`,
    mode: 'update',
    primaryKey: ['n'],
    expected: (rows) => {
      const counts = groupsOf(
        keysOf(rows).filter(({ s }) => s !== null),
        ({ c }) => c,
      ).map(([, of]) => of.length);
      return groupsOf(counts, (n) => n).flatMap(([n, of]) => (of.length % 2 === 1 ? [[Number(n), of.length]] : []));
    },
  },
  'sums of doubles that come and go': {
    query: `SELECT c, sum(x) AS t, stddev_pop(x) >= 0 AS fine FROM
              (SELECT k, count(*) AS c, sum(d) AS x FROM ev GROUP BY k) GROUP BY c`,
    mode: 'update',
    primaryKey: ['c'],
    expected: (rows) => {
      const sums = groupsOf(rows, ({ k }) => k).map(([, of]) => ({
        c: of.length,
        x: sumOf(of.map(({ d }) => d)) ?? 0,
      }));
      return groupsOf(sums, ({ c }) => c).map(([c, of]) => [Number(c), sumOf(of.map(({ x }) => x)), true]);
    },
  },
  'groups of groups and rows': {
    query: `SELECT x, count(*) AS n FROM (SELECT sum(v) AS x FROM ev GROUP BY k UNION ALL SELECT CAST(v AS BIGINT) AS x FROM ev)
            WHERE x IS NOT NULL GROUP BY x`,
    mode: 'update',
    primaryKey: ['x'],
    expected: (rows) =>
      groupsOf(there([...keysOf(rows).map(({ s }) => s), ...rows.map(({ v }) => v)]), (x) => x).map(([x, of]) => [
        Number(x),
        of.length,
      ]),
  },
  'groups of the best rows of each key': {
    query: `SELECT v, count(*) AS n, sum(rn) AS places FROM (SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v DESC, id) AS rn
            FROM ev WHERE v IS NOT NULL) WHERE rn <= 2 GROUP BY v`,
    mode: 'update',
    primaryKey: ['v'],
    expected: (rows) => {
      const best = groupsOf(
        rows.filter(({ v }) => v !== null),
        ({ k }) => k,
      ).flatMap(([, of]) =>
        of
          .toSorted((a, b) => (b.v ?? 0) - (a.v ?? 0) || a.id - b.id)
          .slice(0, 2)
          .map(({ v }, index) => ({ v: v ?? 0, place: index + 1 })),
      );
      return groupsOf(best, ({ v }) => v).map(([v, of]) => [Number(v), of.length, sumOf(of.map(({ place }) => place))]);
    },
  },
  'rows under their number': {
    query: `SELECT k, rn, id FROM (SELECT k, id, row_number() OVER (PARTITION BY k ORDER BY v DESC NULLS LAST, id) AS rn FROM ev)
            WHERE rn <= 3`,
    mode: 'update',
    primaryKey: ['k', 'rn', 'id'],
    expected: (rows) =>
      groupsOf(rows, ({ k }) => k).flatMap(([k, of]) =>
        of
          .toSorted((a, b) => (b.v ?? -1e9) - (a.v ?? -1e9) || a.id - b.id)
          .slice(0, 3)
          .map(({ id }, index) => [k, index + 1, id]),
      ),
  },
  'groups of different rows': {
    query:
      'SELECT v, count(*) AS n FROM (SELECT DISTINCT k, v FROM ev WHERE v IS NOT NULL) GROUP BY v HAVING count(*) < 3',
    mode: 'update',
    primaryKey: ['v'],
    expected: (rows) =>
      groupsOf(there(groupsOf(rows, ({ k, v }) => `${k} ${v}`).map(([, of]) => of[0]?.v ?? null)), (v) => v).flatMap(
        ([v, of]) => (of.length < 3 ? [[Number(v), of.length]] : []),
      ),
  },
  'sessions under a condition': {
    query: `SELECT k, session_window.start AS s, count(*) AS n FROM ${stream}
            GROUP BY k, session_window(ts, '5 seconds') HAVING count(*) % 2 = 1`,
    mode: 'update',
    primaryKey: ['k', 's'],
    expected: (rows) => sessionsOf(rows, 5).flatMap(({ k, start, n }) => (n % 2 === 1 ? [[k, start * 1000, n]] : [])),
  },
  'sessions, whole results': {
    query: `SELECT k, session_window.end AS e, count(*) AS n FROM ${stream} GROUP BY k, session_window(ts, '5 seconds')`,
    mode: 'complete',
    primaryKey: ['k', 'e'],
    expected: (rows) => sessionsOf(rows, 5).map(({ k, end, n }) => [k, end * 1000, n]),
  },
  'groups of sessions': {
    query: `SELECT k, count(*) AS sessions, max(n) AS longest FROM (SELECT k, session_window, count(*) AS n FROM ${stream}
            GROUP BY k, session_window(ts, '5 seconds')) GROUP BY k`,
    mode: 'update',
    primaryKey: ['k'],
    expected: (rows) =>
      groupsOf(sessionsOf(rows, 5), ({ k }) => k).map(([k, of]) => [k, of.length, greatest(of.map(({ n }) => n))]),
  },
  'windows of windows': {
    query: `SELECT window.start AS s, count(*) AS n, min(c) AS m FROM
              (SELECT k, window, window_time(window) AS at, count(*) AS c FROM ${stream} GROUP BY k, window(ts, '5 seconds'))
            GROUP BY window(at, '10 seconds')`,
    mode: 'update',
    primaryKey: ['s'],
    expected: (rows) =>
      groupsOf(
        groupsOf(rows, ({ k, t }) => `${Math.floor(t / 5) * 5} ${k}`).map(([key, of]) => ({
          at: parseInt(key, 10),
          c: of.length,
        })),
        ({ at }) => Math.floor(at / 10) * 10,
      ).map(([start, of]) => [Number(start) * 1000, of.length, least(of.map(({ c }) => c))]),
  },
};

function groupsOfGroups(rows: readonly Row[]): readonly (readonly unknown[])[] {
  return groupsOf(keysOf(rows), ({ c }) => c).map(([c, of]) => {
    const sums = of.map(({ s }) => s);
    const total = sumOf(sums);
    return [
      Number(c),
      of.length,
      total,
      least(sums),
      greatest(sums),
      total === null ? null : total / there(sums).length,
      there(sums).length,
      new Set(there(sums)).size,
      of
        .map(({ k }) => k)
        .toSorted()
        .at(-1),
    ];
  });
}

/** A table that outputs of epochs are applied to. */
class Table {
  readonly #rows = new Map<string, unknown[]>();
  readonly #plan: Extract<SinkPlan, { kind: 'table' }>;

  constructor({ plan }: TestRun) {
    const sink = plan.sinkPlans[0];
    invariant(sink?.kind === 'table', () => 'the first sink is the table');
    this.#plan = sink;
  }

  /** All rows of an epoch have one time: two of one key would leave it to chance which one stays. */
  apply({ result }: EpochOutput): number {
    const seen = new Set<string>();
    for (const output of result.outputs[0] ?? []) {
      assert.ok(output.kind === 'table');
      for (const { op, bodyStart } of rowsOf(output)) {
        const isDelete = op === ROW_OP_DELETE;
        const values = this.#values(output, bodyStart, isDelete);
        const key = JSON.stringify(values.slice(0, this.#plan.shape.primaryKeyCount));
        assert.ok(!seen.has(key), `${key} twice in an epoch`);
        seen.add(key);
        if (isDelete) this.#rows.delete(key);
        else this.#rows.set(key, values);
      }
    }
    return seen.size;
  }

  get columns(): string[] {
    return this.#plan.shape.columns.map(({ name }) => name);
  }

  get rows(): string[] {
    return textsOf([...this.#rows.values()]);
  }

  #values(output: Extract<SinkOutput, { kind: 'table' }>, bodyStart: number, isDelete: boolean): unknown[] {
    const { columns, primaryKeyCount } = this.#plan.shape;
    let at = bodyStart;
    return columns.slice(0, isDelete ? primaryKeyCount : undefined).map(({ type }) => {
      const { value, next } = readValue(output.bytes, at);
      at = next;
      if (value === null || value === undefined) return null;
      const bytes = Buffer.from(value);
      switch (type.kind) {
        case 'int':
          return bytes.readInt32BE();
        case 'bigint':
        case 'timestamp':
          return Number(bytes.readBigInt64BE());
        case 'double':
          return bytes.readDoubleBE();
        case 'boolean':
          return bytes[0] === 1;
        default:
          return bytes.toString('utf8');
      }
    });
  }
}

function textsOf(rows: readonly (readonly unknown[])[]): string[] {
  return rows.map((row) => JSON.stringify(row)).toSorted();
}

/** What the console shows, in the order of the table's columns. */
function consoleRows({ result }: EpochOutput, columns: readonly string[]): unknown[][] {
  return (result.outputs[1] ?? []).flatMap((output) => {
    assert.ok(output.kind === 'console');
    const lines = output.text.split('\n').filter((line) => line !== '');
    return lines.map((line) => {
      const row = JSON.parse(line) as JsonRow;
      return columns.map((name) => {
        const value = row[name] ?? null;
        return typeof value === 'string' && /^\d{4}-/.test(value) ? Date.parse(value) : value;
      });
    });
  });
}

const rowsOfStep = fc.array(
  fc.record({
    k: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    v: fc.option(fc.integer({ min: -3, max: 6 })),
    d: fc.constantFrom(0.1, 0.25, 1e6, -1e6, 3),
    t: fc.integer({ min: 0, max: 60 }),
  }),
  { maxLength: 6 },
);
const histories = fc.array(fc.record({ rows: rowsOfStep, hosts: fc.option(fc.integer({ min: 1, max: 3 })) }), {
  minLength: 1,
  maxLength: 8,
});

for (const [name, one] of Object.entries(cases))
  test(`tables: ${name} (${one.mode})`, () => {
    const sinks = [
      { connector: 'cassandra', keyspace: 'k', table: 't', primaryKey: one.primaryKey, create: true },
      { connector: 'console' },
    ];
    fc.assert(
      fc.property(histories, (steps) => {
        const run = runSql(one.query, sources, { outputMode: one.mode, sinks }, { ownSinks: true });
        const table = new Table(run);
        const seen: Row[] = [];
        for (const { rows, hosts } of steps) {
          if (hosts !== null) run.restart(hosts);
          const added = rows.map((row, index): Row => ({ id: seen.length + index, ...row }));
          seen.push(...added);
          const output = run.epoch({
            ev: added.map(({ t, ...row }) => ({ ...row, ts: new Date(t * 1000).toISOString() })),
          });
          assert.deepEqual(output.deadLetters, []);
          const written = table.apply(output);
          const whole = one.mode === 'complete' ? consoleRows(output, table.columns) : null;
          if (one.expected !== null) assertSame(table.rows, textsOf(one.expected(seen)));
          if (whole !== null) assertSame(table.rows, textsOf(whole));
          // A result without groups is given each time.
          if (added.length === 0 && hosts === null && seen.length > 0)
            assert.ok(written <= (name === 'one row of groups' ? 1 : 0), 'nothing changed');
        }
      }),
      { numRuns: 25 },
    );
  });

/** Doubles to twelve digits: oracles add them up in another order. */
function assertSame(actual: readonly string[], expected: readonly string[]): void {
  const rounded = (texts: readonly string[]): string[] =>
    texts
      .map((text) =>
        JSON.stringify(
          (JSON.parse(text) as unknown[]).map((value) =>
            typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(9)) : value,
          ),
        ),
      )
      .toSorted();
  assert.deepEqual(rounded(actual), rounded(expected));
}

test('windows of windows forget what is final, and the table keeps it', () => {
  const query = `SELECT window.start AS s, count(*) AS n, sum(c) AS rows FROM
      (SELECT k, window, window_time(window) AS at, count(*) AS c FROM ev WATERMARK ts DELAY OF INTERVAL 3 SECONDS
       GROUP BY k, window(ts, '5 seconds') HAVING count(*) < 4)
    GROUP BY window(at, '10 seconds')`;
  const sinks = [{ connector: 'cassandra', keyspace: 'k', table: 't', primaryKey: ['s'], create: true }];
  const steps = fc.array(fc.record({ rows: rowsOfStep, hosts: fc.option(fc.integer({ min: 1, max: 3 })) }), {
    minLength: 3,
    maxLength: 10,
  });
  const end = (t: number): number => (Math.floor(t / 5) + 1) * 5;
  fc.assert(
    fc.property(steps, (all) => {
      const run = runSql(query, sources, { outputMode: 'update', sinks }, { ownSinks: true });
      const table = new Table(run);
      const kept: { readonly k: string; readonly t: number }[] = [];
      for (const [index, { rows, hosts }] of all.entries()) {
        if (hosts !== null) run.restart(hosts);
        const late = run.env().lateUs / 1e6;
        const added = rows.map(({ k, t }) => ({ k, t: (t % 25) + index * 8 }));
        kept.push(...added.filter(({ t }) => end(t) > late));
        const events = added.map(({ k, t }) => ({ k, ts: new Date(t * 1000).toISOString() }));
        const output = run.epoch({ ev: events });
        table.apply(output);
        const windows = groupsOf(kept, ({ k, t }) => `${end(t)} ${k}`).map(([key, of]) => ({
          end: parseInt(key, 10),
          c: of.length,
        }));
        const expected = groupsOf(
          windows.filter(({ c }) => c < 4),
          (each) => Math.ceil(each.end / 10) * 10 - 10,
        ).map(([start, of]) => [Number(start) * 1000, of.length, sumOf(of.map(({ c }) => c))]);
        assertSame(table.rows, textsOf(expected));
        const watermark = run.env().lateUs / 1e6;
        const open = new Set(kept.map(({ k, t }) => `${end(t)} ${k}`).filter((key) => parseInt(key, 10) > watermark));
        assert.ok((output.result.state[1]?.rows ?? 0) <= open.size + 5, 'final windows are forgotten');
      }
    }),
    { numRuns: 30 },
  );
});
