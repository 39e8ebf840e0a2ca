/** The stateful jobs under test: planned by the real planner from job files as people write them. */
import { jobName } from '../../../core/ids.ts';
import type { JobName } from '../../../core/ids.ts';
import { loadJobFile } from '../../../core/job/file.ts';
import type { EpochsPlan } from '../../../engine/plan/epoch-plan.ts';
import { planJob } from '../../../engine/plan/plan-job.ts';
import type { JobDefinition } from '../../../master/coordinator.ts';
import type { Produced } from './producer.ts';
import { EVENTS, MARKS } from './producer.ts';

/** A changed job may wait so much longer for late rows, ms. */
const LONGER_MS = 3000;
const WINDOW_MS = 1000;
const GAP_MS = 700;
const JOIN_MS = 2000;

/** What a table must hold: rows as text by key as text. */
export type ExpectedTable = ReadonlyMap<string, string>;

/** Ways to write a job that keep the meaning of its state. */
export interface JobVariant {
  /** agg has one more aggregate; it begins empty where it is added. */
  readonly more: boolean;
  /** The watermark's delay is longer. */
  readonly longer: boolean;
}
export const plainVariant: JobVariant = { more: false, longer: false };

/** A run of a job as it came to be. */
export interface RunFacts {
  readonly variant: JobVariant;
  /** Offset by `source/partition` where it began; none = 0. */
  readonly starts: ReadonlyMap<string, number>;
}

export interface SimEpochJob {
  readonly name: string;
  readonly table: string;
  /** Columns in the order of `expected`: primary key first, joined by `|`. */
  readonly key: readonly string[];
  readonly columns: readonly string[];
  readonly query: string | ((variant: JobVariant) => string);
  readonly outputMode: 'append' | 'update';
  /** Of everything produced, and what is final at `watermarkMs`; `runs` are those that began, in order. */
  expected(records: readonly Produced[], watermarkMs: number, runs: readonly RunFacts[]): ExpectedTable;
}

const isEvent = ({ topic }: Produced): boolean => topic === EVENTS;

function grouped<K>(records: readonly Produced[], keyOf: (record: Produced) => K): Map<K, Produced[]> {
  const groups = new Map<K, Produced[]>();
  for (const record of records) {
    const key = keyOf(record);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [record]);
    else group.push(record);
  }
  return groups;
}

/**
 * What the added aggregate shows in a group's row: as of the last run that had records of the group. Each run's records
 * are those from its start to the start of the next; a run without the aggregate forgets it.
 */
function shownMax(group: readonly Produced[], runs: readonly RunFacts[]): string {
  let state: number | null = null;
  let shown: number | null = null;
  const isOf = (index: number, { place, offset }: Produced): boolean =>
    runs.findLastIndex(({ starts }) => (starts.get(place) ?? 0) <= offset) === index;
  runs.forEach(({ variant }, index) => {
    const own = group.filter((record) => isOf(index, record)).map(({ v }) => v);
    state = variant.more && (state !== null || own.length > 0) ? Math.max(...own, state ?? 0) : null;
    if (own.length > 0) shown = state;
  });
  return String(shown);
}

const sumOf = (records: readonly Produced[]): number => records.reduce((sum, { v }) => sum + v, 0);
const windowOf = (ms: number): number => Math.floor(ms / WINDOW_MS) * WINDOW_MS;

export const simEpochJobs: readonly SimEpochJob[] = [
  {
    name: 'agg',
    table: 'sim.agg',
    key: ['k'],
    columns: ['n', 's', 'd', 'm'],
    query: ({ more }) =>
      `SELECT k, count(*) AS n, sum(v) AS s, count(DISTINCT v) AS d, ${more ? 'max(v)' : 'CAST(NULL AS BIGINT)'} AS m
       FROM events GROUP BY k`,
    outputMode: 'update',
    expected: (records, _, runs) =>
      new Map(
        [...grouped(records.filter(isEvent), ({ k }) => k)].map(([k, group]) => [
          String(k),
          [group.length, sumOf(group), new Set(group.map(({ v }) => v)).size, shownMax(group, runs)].join('|'),
        ]),
      ),
  },
  {
    name: 'win',
    table: 'sim.win',
    key: ['k', 'w'],
    columns: ['n', 's'],
    query: `SELECT k, unix_millis(window.start) AS w, count(*) AS n, sum(v) AS s
            FROM events GROUP BY window(t, '1 second'), k`,
    outputMode: 'append',
    expected: (records, watermarkMs) => {
      const rows = new Map<string, string>();
      for (const [key, group] of grouped(records.filter(isEvent), ({ k, t }) => `${k}|${windowOf(t)}`)) {
        const end = Number(key.split('|')[1]) + WINDOW_MS;
        if (end <= watermarkMs) rows.set(key, [group.length, sumOf(group)].join('|'));
      }
      return rows;
    },
  },
  {
    name: 'ses',
    table: 'sim.ses',
    key: ['k', 'b'],
    columns: ['e', 'n'],
    query: `SELECT k, unix_millis(session_window.start) AS b, unix_millis(session_window.end) AS e, count(*) AS n
            FROM events GROUP BY session_window(t, '${GAP_MS} milliseconds'), k`,
    outputMode: 'append',
    expected: (records, watermarkMs) => {
      const rows = new Map<string, string>();
      for (const [k, group] of grouped(records.filter(isEvent), (record) => record.k)) {
        const times = group.map(({ t }) => t).sort((a, b) => a - b);
        for (let first = 0; first < times.length;) {
          let last = first;
          while ((times[last + 1] ?? Infinity) <= (times[last] ?? 0) + GAP_MS) last++;
          const end = (times[last] ?? 0) + GAP_MS;
          if (end <= watermarkMs) rows.set(`${k}|${times[first]}`, `${end}|${last - first + 1}`);
          first = last + 1;
        }
      }
      return rows;
    },
  },
  {
    name: 'join',
    table: 'sim.join',
    key: ['id', 'mid'],
    columns: ['v', 'mv'],
    query: `SELECT e.id, coalesce(m.id, '') AS mid, e.v, m.v AS mv FROM events e LEFT JOIN marks m
            ON e.k = m.k AND m.t BETWEEN e.t AND e.t + INTERVAL ${JOIN_MS} MILLISECONDS`,
    outputMode: 'append',
    expected: (records, watermarkMs) => {
      const marks = grouped(
        records.filter((record) => record.topic === MARKS),
        ({ k }) => k,
      );
      const rows = new Map<string, string>();
      for (const event of records.filter(isEvent)) {
        const matches = (marks.get(event.k) ?? []).filter(({ t }) => t >= event.t && t <= event.t + JOIN_MS);
        for (const mark of matches) rows.set(`${event.id}|${mark.id}`, `${event.v}|${mark.v}`);
        // Alone for good when no match can come any more: marks up to event.t + JOIN_MS are behind the watermark.
        if (matches.length === 0 && event.t + JOIN_MS < watermarkMs) rows.set(`${event.id}|`, `${event.v}|null`);
      }
      return rows;
    },
  },
  {
    name: 'dedup',
    table: 'sim.dedup',
    key: ['k', 'v'],
    columns: ['one'],
    query: 'SELECT DISTINCT k, v, 1 AS one FROM events',
    outputMode: 'append',
    expected: (records) => new Map(records.filter(isEvent).map(({ k, v }) => [`${k}|${v}`, '1'])),
  },
  {
    name: 'chain',
    table: 'sim.chain',
    key: ['w'],
    columns: ['n', 's'],
    query: `WITH per_key AS (SELECT window, k, sum(v) AS s FROM events GROUP BY window(t, '1 second'), k)
            SELECT unix_millis(window.start) AS w, count(*) AS n, sum(s) AS s
            FROM per_key GROUP BY window(window_time(window), '3 seconds')`,
    outputMode: 'append',
    expected: (records, watermarkMs) => {
      const rows = new Map<string, string>();
      const outer = (ms: number): number => Math.floor(ms / 3000) * 3000;
      for (const [w, group] of grouped(records.filter(isEvent), ({ t }) => outer(windowOf(t))))
        if (w + 3000 <= watermarkMs) {
          const keys = new Set(group.map(({ k, t }) => `${k}|${windowOf(t)}`));
          rows.set(String(w), [keys.size, sumOf(group)].join('|'));
        }
      return rows;
    },
  },
];

const schema = 'id STRING NOT NULL, k INT NOT NULL, v BIGINT NOT NULL, t TIMESTAMP NOT NULL';

/**
 * The job file, revision by revision. `delayMs`: nothing that comes within this is late; rows come out of order by up to
 * 2 s, and partitions that nobody knows yet wait for some seconds.
 */
export function definitionOf(
  job: SimEpochJob,
  revision: number,
  delayMs: number,
  variant: JobVariant = plainVariant,
): JobDefinition & { readonly plan: EpochsPlan } {
  const query = typeof job.query === 'string' ? job.query : job.query(variant);
  const source = (topic: string): unknown => ({
    connector: 'kafka',
    topic,
    startingOffsets: 'earliest',
    schema,
    watermark: { column: 't', delay: `${delayMs + (variant.longer ? LONGER_MS : 0)}ms` },
  });
  const text = JSON.stringify({
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: `sim-${job.name}`,
    sources: {
      events: source(EVENTS),
      ...(query.includes('marks') ? { marks: source(MARKS) } : {}),
    },
    query: `${query} -- ${revision}`,
    sinks: [
      {
        connector: 'cassandra',
        keyspace: 'sim',
        table: job.name,
        primaryKey: job.key,
        create: true,
      },
    ],
    outputMode: job.outputMode,
    trigger: 'asap',
  });
  const { spec, problems } = loadJobFile(text);
  if (spec === null) throw new Error(`job ${job.name}: ${JSON.stringify(problems)}`);
  const planned = planJob(spec, { tables: null });
  if (planned.plan?.protocol !== 'epochs') throw new Error(`job ${job.name}: ${JSON.stringify(planned.problems)}`);
  return {
    name: jobNameOf(job),
    hash: `${job.name}/${revision}/${variant.more ? 'more' : ''}/${variant.longer ? 'longer' : ''}`,
    text: JSON.stringify({ formatVersion: 1, source: text, plan: planned.plan }),
    plan: planned.plan,
  };
}

/** Of the definition's hash. */
export function variantOf(hash: string): JobVariant {
  const [, , more, longer] = hash.split('/');
  return { more: more === 'more', longer: longer === 'longer' };
}

export function jobNameOf(job: SimEpochJob): JobName {
  return jobName(`sim-${job.name}`);
}
