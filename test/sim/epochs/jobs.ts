/** The stateful jobs under test: planned by the real planner from job files as people write them. */
import { must } from '../../../core/assert.ts';
import { jobName } from '../../../core/ids.ts';
import type { JobName } from '../../../core/ids.ts';
import { loadJobFile } from '../../../core/job/file.ts';
import type { UserFunctions, ValueState } from '../../../core/job/user-functions.ts';
import type { EpochsPlan } from '../../../engine/plan/epoch-plan.ts';
import { planJob } from '../../../engine/plan/plan-job.ts';
import type { JobDefinition } from '../../../master/job-definition.ts';
import type { Produced } from './producer.ts';
import { EVENTS, FED, MARKS } from './producer.ts';

/** A changed job may wait so much longer for late rows, ms. */
const LONGER_MS = 3000;
const WINDOW_MS = 1000;
const GAP_MS = 700;
const JOIN_MS = 2000;
/** The static table of the job `stat`. */
export const NAMES = 'names';
/** The table that the job `look` asks while its records are on their way. */
export const TEAMS = 'teams';
const NO_TEAM = 'none';

/** What a table must hold: rows as text by key as text. */
export type ExpectedTable = ReadonlyMap<string, string>;

/** Ways to write a job that keep the meaning of its state. */
export interface JobVariant {
  /** agg has one more aggregate; it begins empty where it is added. */
  readonly more: boolean;
  /** The watermark's delay is longer. */
  readonly longer: boolean;
  /** agg counts some records no more; what was counted before stays. */
  readonly filtered: boolean;
}
export const plainVariant: JobVariant = { more: false, longer: false, filtered: false };

/** How all jobs of a life run. */
export interface JobSettings {
  /** Nothing that comes within this is late, ms: rows come out of order by up to 2 s, and partitions that nobody knows yet wait. */
  readonly delayMs: number;
  /** A source without records for so long does not hold the watermark back, ms; null = never. */
  readonly idleMs: number | null;
  /** They read what is there and finish; somebody starts them again. */
  readonly executions: boolean;
}

/** An epoch as it was planned. */
export interface PlannedEpoch {
  /** By `source/partition`. */
  readonly ranges: ReadonlyMap<string, { readonly from: number; readonly to: number }>;
  /** The rows of the static table that its records are joined with; null = the job has none. */
  readonly names: ReadonlyMap<number, string> | null;
  /**
   * What was looked up for its records when it was committed, by `source/partition`; null = the job looks nothing up, or
   * the epoch was never committed.
   */
  teams: ReadonlyMap<string, ReadonlyMap<number, string>> | null;
}

/** A run of a job as it came to be. */
export interface RunFacts {
  readonly variant: JobVariant;
  /** Offset by `source/partition` where it began; none = 0. */
  readonly starts: ReadonlyMap<string, number>;
  readonly epochs: readonly PlannedEpoch[];
}

export interface SimEpochJob {
  readonly name: string;
  readonly table: string;
  /** Columns in the order of `expected`: primary key first, joined by `|`. */
  readonly key: readonly string[];
  readonly columns: readonly string[];
  readonly query: string | ((variant: JobVariant) => string);
  readonly outputMode: 'append' | 'update';
  /** Topics it reads; default: the events. */
  readonly reads?: readonly string[];
  /** More of the job file. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Of everything produced, and what is final at `watermarkMs`; `runs` are those that began, in order. */
  expected(records: readonly Produced[], watermarkMs: number, runs: readonly RunFacts[]): ExpectedTable;
  /** Keys of rows that may show either of two states. */
  unsure?(records: readonly Produced[], runs: readonly RunFacts[]): ReadonlySet<string>;
}

const isEvent = ({ topic }: Produced): boolean => topic === EVENTS;
const isFed = ({ topic }: Produced): boolean => topic === FED;

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

/** The run whose state holds the record. */
function runOf(runs: readonly RunFacts[], { place, offset }: Produced): number {
  return runs.findLastIndex(({ starts }) => (starts.get(place) ?? 0) <= offset);
}

const FILTERED_VALUE = 3;

/** Records that the aggregate of their run counts. */
function counted(records: readonly Produced[], runs: readonly RunFacts[]): Produced[] {
  return records.filter(
    (record) =>
      isEvent(record) && (record.v !== FILTERED_VALUE || runs[runOf(runs, record)]?.variant.filtered !== true),
  );
}

/**
 * Groups with records that one run counted and showed, and a later one read again and left out: if nothing else comes,
 * nothing of the group is shown again.
 */
function shownBefore(records: readonly Produced[], runs: readonly RunFacts[]): ReadonlySet<string> {
  const ends = new Map<string, number>();
  const unsure = new Set<string>();
  for (const { variant, starts, epochs } of runs) {
    if (variant.filtered)
      for (const { place, offset, v, k } of records)
        if (v === FILTERED_VALUE && offset >= (starts.get(place) ?? 0) && offset < (ends.get(place) ?? 0))
          unsure.add(String(k));
    for (const { ranges } of epochs)
      for (const [place, { to }] of ranges) ends.set(place, Math.max(to, ends.get(place) ?? 0));
  }
  return unsure;
}

/**
 * What the added aggregate shows in a group's row: as of the last run that had records of the group. Each run's records
 * are those from its start to the start of the next; a run without the aggregate forgets it.
 */
function shownMax(group: readonly Produced[], runs: readonly RunFacts[]): string {
  let state: number | null = null;
  let shown: number | null = null;
  runs.forEach(({ variant }, index) => {
    const own = group.filter((record) => runOf(runs, record) === index).map(({ v }) => v);
    state = variant.more && (state !== null || own.length > 0) ? Math.max(...own, state ?? 0) : null;
    if (own.length > 0) shown = state;
  });
  return String(shown);
}

/** Every record in the order in which its rows are written: by epoch, source, partition and offset. */
function* inWritingOrder(
  records: readonly Produced[],
  runs: readonly RunFacts[],
): Generator<{ readonly record: Produced; readonly names: ReadonlyMap<number, string> | null }> {
  const byPlace = grouped(records, ({ place }) => place);
  for (const { epochs } of runs)
    for (const { ranges, names } of epochs)
      for (const [place, { from, to }] of [...ranges].toSorted(([a], [b]) => (a < b ? -1 : 1)))
        for (const record of byPlace.get(place) ?? [])
          if (record.offset >= from && record.offset < to) yield { record, names };
}

interface TeamRecord {
  readonly record: Produced;
  readonly team: string;
  /** The run that read it. */
  readonly run: number;
}

/** The records of every run's epochs, with the team that was looked up for each; those of epochs that repeat others too. */
function withTeams(records: readonly Produced[], runs: readonly RunFacts[]): TeamRecord[] {
  const byPlace = grouped(records.filter(isEvent), ({ place }) => place);
  return runs.flatMap(({ epochs }, run) =>
    epochs.flatMap(({ ranges, teams }) =>
      [...ranges].flatMap(([place, { from, to }]) =>
        (byPlace.get(place) ?? [])
          .filter(({ offset }) => offset >= from && offset < to)
          .map((record) => ({ record, run, team: teams?.get(place)?.get(record.k) ?? NO_TEAM })),
      ),
    ),
  );
}

/**
 * Teams that a former run showed and the last one did not: epochs that it repeats after their answers are gone (it begins
 * at an old savepoint) are looked up anew, and rows that were written for them stay.
 */
function shownByFormerRuns(records: readonly Produced[], runs: readonly RunFacts[]): ReadonlySet<string> {
  const all = withTeams(records, runs);
  const shown = new Set(all.filter(({ run }) => run === runs.length - 1).map(({ team }) => team));
  return new Set(all.filter(({ team }) => !shown.has(team)).map(({ team }) => team));
}

const sumOf = (records: readonly Produced[]): number => records.reduce((sum, { v }) => sum + v, 0);
const windowOf = (ms: number): number => Math.floor(ms / WINDOW_MS) * WINDOW_MS;

export const simEpochJobs: readonly SimEpochJob[] = [
  {
    name: 'agg',
    table: 'sim.agg',
    key: ['k'],
    columns: ['n', 's', 'd', 'm'],
    query: ({ more, filtered }) =>
      `SELECT k, count(*) AS n, sum(v) AS s, count(DISTINCT v) AS d, ${more ? 'max(v)' : 'CAST(NULL AS BIGINT)'} AS m
       FROM events ${filtered ? `WHERE v <> ${FILTERED_VALUE}` : ''} GROUP BY k`,
    outputMode: 'update',
    expected: (records, _, runs) =>
      new Map(
        [...grouped(counted(records, runs), ({ k }) => k)].map(([k, group]) => [
          String(k),
          [group.length, sumOf(group), new Set(group.map(({ v }) => v)).size, shownMax(group, runs)].join('|'),
        ]),
      ),
    unsure: shownBefore,
  },
  {
    // Adds up whole ranges, part by part.
    name: 'tally',
    table: 'sim.tally',
    key: ['k'],
    columns: ['n', 's'],
    query: 'SELECT k, count(*) AS n, CAST(sum(CAST(v AS DOUBLE)) AS BIGINT) AS s FROM events GROUP BY k',
    outputMode: 'update',
    expected: (records) =>
      new Map(
        [...grouped(records.filter(isEvent), ({ k }) => k)].map(([k, group]) => [
          String(k),
          [group.length, sumOf(group)].join('|'),
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
    reads: [EVENTS, MARKS],
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
  {
    // No state, and one row for many records of both sources: which one stays is a matter of write times alone.
    name: 'last',
    table: 'sim.last',
    reads: [EVENTS, MARKS],
    key: ['k'],
    columns: ['id', 'v'],
    query: 'SELECT k, id, v FROM events UNION ALL SELECT k, id, v FROM marks',
    outputMode: 'append',
    expected: (records, _, runs) => {
      const rows = new Map<string, string>();
      for (const { record } of inWritingOrder(records, runs)) rows.set(String(record.k), `${record.id}|${record.v}`);
      return rows;
    },
  },
  {
    name: 'stat',
    table: 'sim.stat',
    key: ['id'],
    columns: ['v', 'name'],
    query: `SELECT e.id, e.v, ${NAMES}.name FROM events e JOIN ${NAMES} ON e.k = ${NAMES}.k`,
    more: {
      tables: {
        [NAMES]: { connector: 'cassandra', keyspace: 'sim', table: NAMES, schema: 'k INT, name STRING', refresh: '1s' },
      },
    },
    outputMode: 'append',
    expected: (records, _, runs) => {
      const rows = new Map<string, string>();
      for (const { record, names } of inWritingOrder(records.filter(isEvent), runs))
        rows.set(record.id, `${record.v}|${names?.get(record.k) ?? 'nobody'}`);
      return rows;
    },
  },
  {
    // Counts by what a table outside says, which is never the same for long.
    name: 'look',
    table: 'sim.look',
    key: ['team'],
    columns: ['n', 's'],
    query: `SELECT coalesce(${TEAMS}.team, '${NO_TEAM}') AS team, count(*) AS n, sum(e.v) AS s
            FROM events e LEFT JOIN ${TEAMS} ON ${TEAMS}.k = e.k GROUP BY coalesce(${TEAMS}.team, '${NO_TEAM}')`,
    more: {
      tables: {
        [TEAMS]: {
          connector: 'cassandra',
          keyspace: 'sim',
          table: TEAMS,
          schema: 'k INT, team STRING',
          lookup: { key: ['k'], ttl: '0s', missTtl: '0s', retries: 1 },
        },
      },
    },
    outputMode: 'update',
    expected: (records, _, runs) => {
      const last = withTeams(records, runs).filter(({ record, run }) => run === runOf(runs, record));
      return new Map(
        [...Map.groupBy(last, ({ team }) => team)].map(([team, group]) => [
          team,
          [group.length, sumOf(group.map(({ record }) => record))].join('|'),
        ]),
      );
    },
    unsure: shownByFormerRuns,
  },
  {
    name: 'fed',
    table: 'sim.fed',
    reads: [FED],
    key: ['k'],
    columns: ['n', 's'],
    query: `SELECT k, count(*) AS n, sum(v) AS s FROM ${FED} GROUP BY k`,
    outputMode: 'update',
    expected: (records) =>
      new Map(
        [...grouped(records.filter(isFed), ({ k }) => k)].map(([k, group]) => [
          String(k),
          [group.length, sumOf(group)].join('|'),
        ]),
      ),
  },
  {
    name: 'user',
    table: 'sim.user',
    key: ['k'],
    columns: ['n', 's', 'f'],
    query: 'SELECT k, v, t FROM events',
    more: {
      keyedState: {
        key: ['k'],
        state: { state: { value: 'n BIGINT, s BIGINT, f BIGINT' } },
        single: true,
        output: 'k INT NOT NULL, n BIGINT, s BIGINT, f BIGINT',
        timers: 'eventTime',
        functions: ['onRow', 'onTimer'],
      },
      module: { hash: '0'.repeat(64), entry: 'job.ts', files: [{ path: 'job.ts', source: '' }] },
    },
    outputMode: 'append',
    expected: (records, watermarkMs) =>
      new Map(
        [...grouped(records.filter(isEvent), ({ k }) => k)].map(([k, group]) => {
          const timers = new Set(group.map(({ t }) => windowOf(t) + WINDOW_MS).filter((t) => t <= watermarkMs));
          return [String(k), [group.length, sumOf(group), timers.size].join('|')];
        }),
      ),
  },
];

interface Kept {
  readonly n: bigint;
  readonly s: bigint;
  readonly f: bigint;
}

/** Of the job `user`: counts and sums by key, and how many seconds with records are over. */
export const userFunctions: UserFunctions = {
  onRow(given, handle, context) {
    const { k, v, t } = given as { readonly k: number; readonly v: bigint; readonly t: number };
    const state = handle as ValueState<Kept>;
    const { n, s, f } = state.get() ?? { n: 0n, s: 0n, f: 0n };
    const next = { n: n + 1n, s: s + v, f };
    state.set(next);
    context.registerTimer(windowOf(t) + WINDOW_MS);
    context.emit({ k, ...next });
  },
  onTimer(key, _, handle, context) {
    const state = handle as ValueState<Kept>;
    const { n, s, f } = must(state.get(), () => 'a timer of a key without state');
    const next = { n, s, f: f + 1n };
    state.set(next);
    context.emit({ k: (key as { readonly k: number }).k, ...next });
  },
};

/** Jobs that share the cluster in every life; of the others one at a time, by turns. */
export const inEveryLife: readonly string[] = ['agg', 'win', 'ses', 'join', 'dedup', 'chain'];

/** Now and then all of them share the cluster. */
export function jobsOfSeed(seed: number): string[] {
  const names = simEpochJobs.map(({ name }) => name);
  if (seed % 20 === 0) return names;
  const others = names.filter((name) => !inEveryLife.includes(name));
  return names.filter((name) => inEveryLife.includes(name) || name === others[seed % others.length]);
}

const schema = 'id STRING NOT NULL, k INT NOT NULL, v BIGINT NOT NULL, t TIMESTAMP NOT NULL';

type EpochJobDefinition = JobDefinition & { readonly plan: EpochsPlan };

/** Many lives have the same jobs, and planning is a good part of a short life. */
const definitions = new Map<string, EpochJobDefinition>();

/** The job file, revision by revision. */
export function definitionOf(
  job: SimEpochJob,
  revision: number,
  settings: JobSettings,
  variant: JobVariant = plainVariant,
): EpochJobDefinition {
  const key = JSON.stringify([job.name, revision, settings, variant]);
  const known = definitions.get(key) ?? define(job, revision, settings, variant);
  definitions.set(key, known);
  return known;
}

function define(
  job: SimEpochJob,
  revision: number,
  { delayMs, idleMs, executions }: JobSettings,
  variant: JobVariant,
): EpochJobDefinition {
  const query = typeof job.query === 'string' ? job.query : job.query(variant);
  const source = (topic: string): unknown => ({
    // What is at the address is the simulation's to say.
    ...(topic === FED ? { connector: 'http', url: 'http://place/' } : { connector: 'kafka' }),
    topic,
    startingOffsets: 'earliest',
    schema,
    watermark: { column: 't', delay: `${delayMs + (variant.longer ? LONGER_MS : 0)}ms` },
    ...(idleMs === null ? {} : { idleTimeout: `${idleMs}ms` }),
  });
  const text = JSON.stringify({
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: `sim-${job.name}`,
    sources: Object.fromEntries(readBy(job).map((topic) => [topic, source(topic)])),
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
    trigger: executions ? 'availableNow' : 'asap',
    ...job.more,
  });
  const { spec, problems } = loadJobFile(text);
  if (spec === null) throw new Error(`job ${job.name}: ${JSON.stringify(problems)}`);
  const planned = planJob(spec, { tables: null });
  if (planned.plan?.protocol !== 'epochs') throw new Error(`job ${job.name}: ${JSON.stringify(planned.problems)}`);
  return {
    name: jobNameOf(job),
    hash: [
      job.name,
      revision,
      variant.more ? 'more' : '',
      variant.longer ? 'longer' : '',
      variant.filtered ? 'filtered' : '',
    ].join('/'),
    text: JSON.stringify({ formatVersion: 1, source: text, plan: planned.plan }),
    plan: planned.plan,
  };
}

/** Of the definition's hash. */
export function variantOf(hash: string): JobVariant {
  const [, , more, longer, filtered] = hash.split('/');
  return { more: more === 'more', longer: longer === 'longer', filtered: filtered === 'filtered' };
}

/** The topics that a job reads. */
export function readBy({ reads = [EVENTS] }: SimEpochJob): readonly string[] {
  return reads;
}

export function jobNameOf(job: SimEpochJob): JobName {
  return jobName(`sim-${job.name}`);
}
