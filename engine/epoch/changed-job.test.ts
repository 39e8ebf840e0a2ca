/** A job whose aggregates come, go, change their names and places goes on with exactly those that it still has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { zeroCounters } from '../../core/lane/position.ts';
import type { Manifest } from '../../core/epoch/manifest.ts';
import { changedManifest, nextManifest } from '../../core/epoch/manifest.ts';
import type { EpochsPlan } from '../plan/epoch-plan.ts';
import { compareState } from '../plan/state-compat.ts';
import type { GroupState } from './contract.ts';
import { jobText, planOf, TestRun } from './test-run.ts';

interface Row {
  readonly k: string;
  readonly n: number;
  readonly m: number;
  readonly second: number;
}

const sumOf = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0);

/** Many of them are stored alike. */
const aggregates: readonly { readonly sql: string; readonly of: (rows: readonly Row[]) => number | null }[] = [
  { sql: 'count(*)', of: (rows) => rows.length },
  { sql: 'sum(n)', of: (rows) => sumOf(rows.map(({ n }) => n)) },
  { sql: 'sum(m)', of: (rows) => sumOf(rows.map(({ m }) => m)) },
  { sql: 'max(n)', of: (rows) => (rows.length === 0 ? null : Math.max(...rows.map(({ n }) => n))) },
  { sql: 'max(m)', of: (rows) => (rows.length === 0 ? null : Math.max(...rows.map(({ m }) => m))) },
  { sql: 'count(DISTINCT n)', of: (rows) => new Set(rows.map(({ n }) => n)).size },
  { sql: 'sum(n) FILTER (WHERE m > 2)', of: (rows) => sumOf(rows.filter(({ m }) => m > 2).map(({ n }) => n)) },
  { sql: 'sum(n) FILTER (WHERE m > 3)', of: (rows) => sumOf(rows.filter(({ m }) => m > 3).map(({ n }) => n)) },
];

const GAP = 10;
const source = { events: 'k STRING, n BIGINT, m BIGINT, ts TIMESTAMP' };

/** Names follow the places: the same name means another aggregate in every revision. */
function planned(chosen: readonly number[], sessions: boolean): EpochsPlan {
  const list = chosen.map((index, place) => `${aggregates[index]?.sql} AS a${place}`).join(', ');
  const window = sessions ? `session_window(ts, '${GAP} seconds'), ` : '';
  const start = sessions ? 'unix_seconds(session_window.start) AS s, ' : '';
  const query = `SELECT k, ${start}${list} FROM events GROUP BY ${window}k`;
  return planOf(jobText(query, source, { outputMode: 'complete' }));
}

/** A run with what its snapshots name, as master and workers keep it between them. */
class Life {
  readonly #blobs = new Map<string, Uint8Array>();
  readonly #sessions: boolean;
  #manifest: Manifest | null = null;
  #run: TestRun;
  #count = 0;

  constructor(chosen: readonly number[], sessions: boolean) {
    this.#sessions = sessions;
    this.#run = new TestRun(planned(chosen, sessions), { hosts: 2 });
  }

  rows(rows: readonly Row[]): Iterable<string> {
    const events = rows.map(({ second, ...row }) => ({ ...row, ts: new Date(second * 1000).toISOString() }));
    return this.#run.epoch({ events }).rows.map((row) => Object.values(row).map(String).join(' '));
  }

  /** Stores what changed alone, and goes on as another revision. */
  change(chosen: readonly number[]): void {
    this.#snapshot(this.#run.run.hosts.flatMap((host) => host.takeChanged(false)));
    const before = this.#run.plan;
    const after = planned(chosen, this.#sessions);
    const outcome = compareState(before, { ...after, sinkPlans: before.sinkPlans, sinks: before.sinks });
    assert.ok(outcome.kind !== 'incompatible', JSON.stringify(outcome));
    const migrations = outcome.kind === 'same' ? [] : outcome.migrations;
    const manifest = changedManifest(
      this.#manifest ?? assert.fail(),
      `${++this.#count}`,
      new Map(migrations.map(({ from, to, aggregates: places }) => [from, { to, aggregates: places }])),
    );
    this.#manifest = manifest;
    this.#run = new TestRun(after, { hosts: 2 });
    this.#run.run.restore(
      Object.entries(manifest.groups).map(([key, blob]): GroupState => {
        const [stage = -1, group = -1] = key.split('/').map(Number);
        const sections = manifest.sections?.[key];
        const bytes = this.#blobs.get(blob) ?? assert.fail(`no blob ${blob}`);
        return { stage, group, bytes, ...(sections === undefined ? {} : { sections }) };
      }),
    );
  }

  #snapshot(states: readonly GroupState[]): void {
    const stored = states.map(({ stage, group, bytes }) => {
      const blob = bytes === null ? '' : `${stage}/${group}/${++this.#count}`;
      if (bytes !== null) this.#blobs.set(blob, bytes);
      return { stage, group, blob, bytes: bytes?.length ?? 0 };
    });
    const at = {
      epochTsUs: 0,
      positions: {},
      starts: {},
      eventTimes: [],
      watermarkUs: null,
      evictUs: null,
      counters: zeroCounters,
      late: {},
    };
    this.#manifest = nextManifest(this.#manifest, 0, stored, at, '');
  }
}

function groupsOf(rows: readonly Row[], sessions: boolean): Map<string, Row[]> {
  const byKey = Map.groupBy(rows, ({ k }) => k);
  if (!sessions) return byKey;
  const groups = new Map<string, Row[]>();
  for (const [key, own] of byKey) {
    let open: Row[] = [];
    for (const row of own.toSorted((a, b) => a.second - b.second)) {
      const last = open.at(-1);
      if (last === undefined || row.second > last.second + GAP) groups.set(`${key} ${row.second}`, (open = []));
      open.push(row);
    }
  }
  return groups;
}

const small = fc.integer({ min: 1, max: 6 });
const row = fc.record({
  k: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
  n: small,
  m: small,
  second: fc.integer({ min: 0, max: 120 }),
});
const revision = fc.record({
  chosen: fc.shuffledSubarray([...aggregates.keys()], { minLength: 1, maxLength: 4 }),
  rows: fc.array(row, { maxLength: 8 }),
});

for (const sessions of [false, true]) {
  test(`${sessions ? 'sessions' : 'groups'}: every aggregate knows what came since it was there`, () => {
    fc.assert(
      fc.property(fc.array(revision, { minLength: 2, maxLength: 6 }), (revisions) => {
        let life: Life | null = null;
        /** Since which revision in a row each aggregate has been there. */
        let since = new Map<number, number>();
        const all: { readonly row: Row; readonly at: number }[] = [];
        for (const [at, { chosen, rows }] of revisions.entries()) {
          if (life === null) life = new Life(chosen, sessions);
          else life.change(chosen);
          since = new Map(chosen.map((index) => [index, since.get(index) ?? at]));
          for (const each of rows) all.push({ row: each, at });
          const cameAt = new Map(all.map((each) => [each.row, each.at]));
          const expected = [
            ...groupsOf(
              all.map((each) => each.row),
              sessions,
            ),
          ].map(([key, own]) => {
            const values = chosen.map((index) => {
              const known = own.filter((each) => (cameAt.get(each) ?? 0) >= (since.get(index) ?? 0));
              return String(aggregates[index]?.of(known));
            });
            return [key, ...values].join(' ');
          });
          assert.deepEqual([...life.rows(rows)].toSorted(), expected.toSorted());
        }
      }),
      { numRuns: 60 },
    );
  });
}
