/** Runs a job on rows, epoch by epoch, and gathers what came out of it. */
import { isDeepStrictEqual } from 'node:util';
import { needsNoDataEpoch, nextWatermark } from '../../core/epoch/watermark.ts';
import { formatType } from '../../core/types.ts';
import type { LocalEpoch, LocalInput } from '../../engine/epoch/local-run.ts';
import { LocalRun } from '../../engine/epoch/local-run.ts';
import { planOf, recordInput } from '../../engine/epoch/test-run.ts';
import type { EpochsPlan } from '../../engine/plan/epoch-plan.ts';
import { KEY_GROUPS } from '../../engine/plan/epoch-plan.ts';
import type { Column } from './expressions.ts';
import type { Epoch, Input, Row } from './generator.ts';
import type { Job, Of, Query, SourceTable } from './queries.ts';
import { jobFile, jsonValue, nodesOf, resultColumns } from './queries.ts';

/** A value as both sides can give it: decimals without their point, times as µs. */
export type Value = number | string | boolean | null;
export type ResultRow = readonly Value[];

/** A row as it arrived, with the watermark of its epoch. */
export interface Arrival {
  readonly row: Row;
  readonly epoch: number;
  /** µs; null = none yet. */
  readonly lateUs: number | null;
}

export interface Outcome {
  /** What a reader of the sink has in the end. complete with an order: in order. */
  readonly rows: readonly ResultRow[];
  /** By source, in the order of arrival. */
  readonly arrivals: ReadonlyMap<string, readonly Arrival[]>;
  /** What is wrong in itself, whatever the rows are. */
  readonly faults: readonly string[];
}

/** Far beyond all rows and windows; and what lies between them and it. */
const FUTURE_US = 5_000_000_000_000_000;
const PRESENT_US_MAX = 4_000_000_000_000_000;

/** Compiled hosts of one job, for many inputs. */
export class JobRunner {
  readonly #job: Job;
  readonly #plan: EpochsPlan;
  readonly #runs = new Map<number, LocalRun>();
  readonly #scans: readonly Of<'scan'>[];

  /** Throws where the job is refused. */
  constructor(job: Job) {
    this.#job = job;
    const plan = planOf(jobFile(job));
    this.#plan = { ...plan, sinkPlans: [{ kind: 'console', name: 'console' }], sinks: plan.sinks.slice(0, 1) };
    this.#scans = nodesOf(job.root).filter((node): node is Of<'scan'> => node.kind === 'scan');
  }

  get plan(): EpochsPlan {
    return this.#plan;
  }

  run(input: Input): Outcome {
    return new CaseRun(this.#job, this.#plan, resultColumns(this.#job.root), this.#scans, (hosts) =>
      this.#fresh(hosts),
    ).run(input);
  }

  /** So many hosts without any state. */
  #fresh(hosts: number): LocalRun {
    const known = this.#runs.get(hosts);
    if (known !== undefined) {
      for (const host of known.hosts) host.drop(Array.from({ length: KEY_GROUPS }, (_, group) => group));
      return known;
    }
    const run = new LocalRun(this.#plan, { hosts });
    for (const { name, rows } of this.#plan.statics) if (rows.kind === 'inline') run.setStatic(name, rows.rows);
    this.#runs.set(hosts, run);
    return run;
  }
}

/** One input's way through a job. */
class CaseRun {
  readonly #job: Job;
  readonly #plan: EpochsPlan;
  readonly #scans: readonly Of<'scan'>[];
  readonly #fresh: (hosts: number) => LocalRun;
  readonly #arrivals = new Map<string, Arrival[]>();
  readonly #offsets = new Map<string, number>();
  readonly #faults: string[] = [];
  readonly #history: LocalEpoch[] = [];
  readonly #result: Accumulated;
  /** Greatest time of each source, µs. */
  readonly #times = new Map<string, number>();
  /** By watermark of the plan. */
  #seen: readonly number[] = [];
  #epoch = 0;
  #watermarkUs: number | null = null;
  #lateUs: number | null = null;

  constructor(
    job: Job,
    plan: EpochsPlan,
    columns: readonly Column[],
    scans: readonly Of<'scan'>[],
    fresh: (hosts: number) => LocalRun,
  ) {
    this.#job = job;
    this.#plan = plan;
    this.#scans = scans;
    this.#fresh = fresh;
    this.#result = accumulatedOf(job, columns);
  }

  run({ hosts, epochs, replay }: Input): Outcome {
    let run = this.#fresh(hosts);
    let count = hosts;
    for (const { name } of this.#job.sources) this.#arrivals.set(name, []);
    for (const epoch of epochs) {
      if (epoch.restart > 0) {
        const states = run.states();
        // The same number of hosts: these are emptied, and get back what they gave.
        run = this.#fresh(epoch.restart);
        count = epoch.restart;
        run.restore(states);
      }
      this.#step(run, this.#onTimeForSessions(epoch));
    }
    if (this.#needsEnd()) this.#end(run);
    if (replay) this.#replay(run, (count % 3) + 1);
    return { rows: this.#result.rows(), arrivals: this.#arrivals, faults: this.#faults };
  }

  /** One epoch with the rows, and those without that have to follow. */
  #step(run: LocalRun, { rows }: Pick<Epoch, 'rows'>, isFuture = false): void {
    const inputs: LocalInput[] = [];
    let rowCount = 0;
    for (const source of this.#job.sources) {
      for (const [partition, list] of (rows[source.name] ?? []).entries()) {
        if (list.length === 0) continue;
        rowCount += list.length;
        inputs.push(this.#encode(source, partition, list));
        if (isFuture) continue;
        for (const row of list)
          this.#arrivals.get(source.name)!.push({ row, epoch: this.#epoch, lateUs: this.#lateUs });
      }
    }
    // No epoch without rows is ever planned but those that the watermark asks for.
    if (rowCount === 0) return;
    this.#epochOf(run, inputs, rows);
    if (needsNoDataEpoch({ noDataEpochs: this.#plan.noDataEpochs, evicts: true }, this.#lateUs, this.#watermarkUs))
      this.#epochOf(run, [], {});
  }

  #epochOf(run: LocalRun, inputs: readonly LocalInput[], rows: Epoch['rows']): void {
    const epochTsUs = 1_700_000_000_000_000 + this.#epoch * 1024;
    const env = {
      run: 1,
      epoch: this.#epoch++,
      epochTsUs,
      lateUs: this.#lateUs ?? -Infinity,
      evictUs: this.#watermarkUs ?? -Infinity,
      writeTimeUs: epochTsUs,
    };
    const result = run.runEpoch({ env, inputs });
    this.#history.push({ env, inputs });
    if (result.failure !== null) this.#faults.push(`the epoch failed: ${result.failure.code} ${result.failure.place}`);
    const dead = result.deadByReason.reduce((sum, each) => sum + each, 0);
    if (dead > 0) this.#faults.push(`${dead} dead letters`);
    const lines = (result.outputs[0] ?? []).flatMap((output) =>
      output.kind === 'console' ? output.text.split('\n').filter((line) => line !== '') : [],
    );
    this.#result.add(lines, inputs.length > 0);
    this.#checkTimes(result.eventTimes);
    this.#advance(rows);
  }

  /** What the hosts saw of event times moves the watermark as the rows themselves do. */
  #checkTimes(eventTimes: readonly number[]): void {
    this.#seen = eventTimes.map((time, index) => Math.max(time, this.#seen[index] ?? -Infinity));
  }

  /** The watermark from the rows themselves. */
  #advance(rows: Epoch['rows']): void {
    this.#lateUs = this.#watermarkUs;
    for (const [source, lists] of Object.entries(rows))
      for (const row of lists.flat()) {
        const time = row[1];
        if (typeof time === 'number') this.#times.set(source, Math.max(this.#times.get(source) ?? -Infinity, time));
      }
    const marked = this.#scans.filter(({ watermark }) => watermark !== 'none');
    this.#watermarkUs = nextWatermark({
      rules: marked.map(({ source, delay }) => ({ delayUs: delay * 1000, sources: [source] })),
      policy: this.#job.watermarkPolicy,
      eventTimes: marked.map(({ source }) => this.#times.get(source) ?? null),
      idle: new Set(),
      current: this.#watermarkUs,
    });
    const { watermarks, watermarkPolicy } = this.#plan;
    const seenUs = nextWatermark({
      rules: watermarks,
      policy: watermarkPolicy,
      eventTimes: this.#seen.map((time) => (time === -Infinity ? null : time)),
      idle: new Set(),
      current: null,
    });
    if (watermarks.length > 0 && seenUs !== this.#watermarkUs)
      this.#faults.push(`the watermark is ${seenUs}, not ${this.#watermarkUs}`);
  }

  #encode({ name, columns }: SourceTable, partition: number, rows: readonly Row[]): LocalInput {
    const key = `${name}/${partition}`;
    const from = this.#offsets.get(key) ?? 0;
    this.#offsets.set(key, from + rows.length);
    const values = rows.map((row, index) => {
      const fields = columns.flatMap(({ name: field, type }, place): [string, unknown][] => {
        const value = row[place] ?? null;
        if (value === null) return (index + place) % 2 === 0 ? [] : [[field, null]];
        return [[field, jsonValue(value, type)]];
      });
      return Object.fromEntries(fields);
    });
    return { source: name, partition, ...recordInput(values, from), from, to: from + rows.length };
  }

  /**
   * A row that is neither late nor newer than the watermark may lie within a session that is final already: its result
   * is then a matter of epochs, and the row is left out.
   */
  #onTimeForSessions(epoch: Epoch): Epoch {
    if (this.#lateUs === null || !nodesOf(this.#job.root).some(({ kind }) => kind === 'session')) return epoch;
    const late = this.#lateUs;
    const isClear = (row: Row): boolean => {
      const time = row[1];
      return typeof time !== 'number' || time > late || time <= late - SESSION_GAP_MAX_US;
    };
    const rows = Object.entries(epoch.rows).map(
      ([name, lists]) => [name, lists.map((list) => list.filter(isClear))] as const,
    );
    return { ...epoch, rows: Object.fromEntries(rows) };
  }

  /** In append mode results wait for the watermark. */
  #needsEnd(): boolean {
    return this.#job.mode === 'append' && nodesOf(this.#job.root).some(({ kind }) => waitsForTime.has(kind));
  }

  /** A row in the far future through every source, and so many epochs that all watermarks have passed. */
  #end(run: LocalRun): void {
    for (let round = 1; round <= 2; round++) {
      const rows = this.#job.sources.map(({ name, columns }, index) => {
        const row = columns.map((column): Row[number] => {
          if (column.name === 'id') return -round - 10 * index;
          if (column.name === 'ts') return FUTURE_US;
          return null;
        });
        return [name, [[row]]] as const;
      });
      this.#step(run, { rows: Object.fromEntries(rows) }, true);
    }
  }

  /** The same epochs in other hosts give the same state. */
  #replay(run: LocalRun, hosts: number): void {
    const again = new LocalRun(this.#plan, { hosts });
    for (const { name, rows } of this.#plan.statics) if (rows.kind === 'inline') again.setStatic(name, rows.rows);
    for (const epoch of this.#history) again.runEpoch(epoch);
    if (!isDeepStrictEqual(again.states(), run.states()))
      this.#faults.push(`a replay in ${hosts} hosts gives other states`);
  }
}

const waitsForTime: ReadonlySet<Query['kind']> = new Set(['aggregate', 'session', 'join', 'rank']);

const SESSION_GAP_MAX_US = 8_000_000;

// ---- what a reader of the sink sees -------------------------------------------------------------------------------

interface Accumulated {
  /** Lines of one epoch's output. */
  add(lines: readonly string[], hasData: boolean): void;
  rows(): readonly ResultRow[];
}

function accumulatedOf(job: Job, columns: readonly Column[]): Accumulated {
  const parse = (line: string): ResultRow => rowOf(line, columns);
  if (job.mode === 'complete') {
    let latest: readonly ResultRow[] = [];
    return {
      add: (lines, hasData) => {
        if (hasData) latest = lines.map(parse);
      },
      rows: () => latest,
    };
  }
  // A projection of results has their key.
  const root = job.root.kind === 'select' && isResult(job.root.input) ? job.root.input : job.root;
  if (job.mode === 'update' && root.kind === 'rank') return keyed(columns, new Set(['id', 'w_start']), parse);
  if (job.mode === 'update' && (root.kind === 'aggregate' || root.kind === 'session')) {
    const time = root.kind === 'aggregate' && root.by === 'time' ? ['ts'] : [];
    return keyed(columns, new Set([...root.keys.map(({ name }) => name), 'w_start', ...time]), parse);
  }
  const ids = columns.flatMap(({ name }, index) => (/(^|_)id$/.test(name) ? [index] : []));
  const times = columns.flatMap(({ type }, index) => (type.kind === 'timestamp' ? [index] : []));
  const all: ResultRow[] = [];
  return {
    add: (lines) => {
      for (const line of lines) {
        const row = parse(line);
        const isFuture =
          ids.some((place) => Number(row[place]) < 0) || times.some((place) => Number(row[place]) > PRESENT_US_MAX);
        if (!isFuture) all.push(row);
      }
    },
    rows: () => all,
  };
}

function isResult({ kind }: Query): boolean {
  return kind === 'aggregate' || kind === 'session' || kind === 'rank';
}

/** Rows replace those of the same key, or take them away. */
function keyed(
  columns: readonly Column[],
  names: ReadonlySet<string>,
  parse: (line: string) => ResultRow,
): Accumulated {
  const places = columns.flatMap(({ name }, index) => (names.has(name) ? [index] : []));
  const byKey = new Map<string, ResultRow>();
  return {
    add: (lines) => {
      const rows = lines.map((line) => ({ isPast: line.startsWith('-'), row: parse(line.replace(/^-/, '')) }));
      const keyOf = (row: ResultRow): string => JSON.stringify(places.map((place) => row[place]));
      // In tables whatever an epoch takes away is older than what it gives, whichever host has it.
      for (const { isPast, row } of rows) if (isPast) byKey.delete(keyOf(row));
      for (const { isPast, row } of rows) if (!isPast) byKey.set(keyOf(row), row);
    },
    rows: () => [...byKey.values()],
  };
}

function rowOf(line: string, columns: readonly Column[]): ResultRow {
  const given = JSON.parse(line) as Record<string, Value>;
  return columns.map(({ name, type }) => {
    const value = given[name] ?? null;
    if (value === null) return null;
    if (type.kind === 'timestamp') return microsOf(String(value));
    if (type.kind === 'decimal') return Math.round(Number(value) * 10 ** type.scale);
    if (type.kind === 'boolean' || type.kind === 'string') return value;
    if (typeof value !== 'number') throw new Error(`${name} is ${String(value)}, not ${formatType(type)}`);
    return value + 0;
  });
}

/** `2023-11-14T22:13:20.000001Z` */
function microsOf(text: string): number {
  const fraction = /\.(\d+)Z$/.exec(text)?.[1] ?? '';
  return Date.parse(text.replace(/\.\d+Z$/, 'Z')) * 1000 + Number(fraction.padEnd(6, '0').slice(0, 6));
}
