/**
 * `weir run FILE`: a job on a cluster of its own, attached to the terminal, gone afterwards: Spark's `--master local[*]`.
 * Topics and tables are the embedded ones; rows of files go into the topics of its sources.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../../core/errors.ts';
import { partition } from '../../core/ids.ts';
import { formatJobDocument, type JobDocument, parseJobDocument } from '../../core/job/document.ts';
import { feedTopic } from '../../core/job/feed-topics.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import type { SampleRecord } from '../../master/lab.ts';
import type { JobView } from '../../master/views.ts';
import { exitCodes } from '../exit.ts';
import { withSettings } from '../job-settings.ts';
import { readJobFile, renderJobProblems } from '../job-files.ts';
import { timeoutMs, wholeNumber } from '../names.ts';
import { formatCount, formatTable, formatValue, print, printJson, tell } from '../output.ts';
import { ProgressLine, progressOf } from '../progress-line.ts';
import { runOnChange } from '../run-on-change.ts';
import { pathsOfInputs, readInputs } from '../sample-files.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat } from '../settings.ts';
import { stopSignal } from '../stop-signal.ts';
import { type LogRecord, readLog } from '../testing/read-log.ts';
import { SteppedCluster } from '../testing/stepped-cluster.ts';
import { reasonOf } from './jobs.ts';

export interface RunOptions extends GlobalOptions {
  readonly input?: readonly string[];
  readonly untilEmpty?: boolean;
  readonly rows?: string;
  readonly for?: string;
  readonly set?: readonly string[];
  /** Again whenever the job file or the rows change. */
  readonly watch?: boolean;
  readonly workers: string;
}

const POLL_MS = 200;
const TELL_MS = 1000;
/** Looks in a row that must find nothing left to do: reports of workers are half a second old. */
const QUIET_LOOKS = 8;
const SHOWN_ROWS = 20;
const APPEND_RECORDS = 1000;

/** Returns the exit code. Throws: USAGE, NOT_FOUND, TIMED_OUT, what the job fails with. */
export async function run(path: string, options: RunOptions): Promise<number> {
  const stop = stopSignal();
  if (options.watch !== true) return await runOnce(path, options, { stop, again: null });
  const files = [path, ...pathsOfInputs(options.input ?? [])];
  if (files.includes('-'))
    throw new WeirError('USAGE', 'With --watch the job and its rows come from files, not from -.');
  return await runOnChange(files, stop, async (again) => await runOnce(path, options, { stop, again }));
}

interface Ends {
  /** Somebody wants the command to end. */
  readonly stop: AbortSignal;
  /** What runs is out of date: its end is of no interest. */
  readonly again: AbortSignal | null;
}

async function runOnce(path: string, options: RunOptions, { stop, again }: Ends): Promise<number> {
  const format = outputFormat(options, ['table', 'json']);
  const file = readJobFile(path);
  const document = parseJobDocument(withSettings(file.text, options.set ?? []));
  const [only = ''] = Object.keys(document.sources ?? {});
  const inputs = readInputs(options.input ?? [], only);
  const rowsMax = options.rows === undefined ? Number.POSITIVE_INFINITY : wholeNumber(options.rows, '--rows', 1);
  const limitMs = options.for === undefined ? Number.POSITIVE_INFINITY : timeoutMs(options.for);
  const end = again === null ? stop : AbortSignal.any([stop, again]);
  await using cluster = await SteppedCluster.start({ workers: wholeNumber(options.workers, '--workers', 1, 64) });
  const topics = new Map(
    Object.entries(document.sources ?? {}).map(([name, source]) => [
      name,
      typeof source['topic'] === 'string' ? source['topic'] : feedTopic(document.name, name),
    ]),
  );
  const written = writtenTopics(document);
  await fill(cluster, topics, inputs);
  const writer = cluster.connections.logWriter('kafka', {});
  // Of a cluster of its own nobody else can make them.
  for (const { topic, partitions } of written) await writer.createTopic(topic, partitions);
  const outcome = await cluster.client.apply(document.name, formatJobDocument(document), { dryRun: false });
  if (outcome.kind === 'refused') {
    tell(renderJobProblems(file, outcome.problems));
    return exitCodes.invalid;
  }
  for (const warning of outcome.warnings) tell(`warning: ${warning}`);
  const expected = [...inputs.values()].reduce((sum, rows) => sum + rows.length, 0);
  const startedAt = performance.now();
  const isDone = (view: JobView): boolean =>
    view.row.state === 'finished' || view.counters.rowsOut >= rowsMax || performance.now() - startedAt > limitMs;
  const view = await follow(cluster, document.name, {
    untilEmpty: options.untilEmpty === true,
    expected,
    isDone,
    end,
  });
  if (again?.aborted === true) return exitCodes.ok;
  if (view.row.state === 'failed') {
    tell(`${view.row.name} failed: ${view.row.reason?.message ?? ''}`);
    return exitCodes.failed;
  }
  await finish(cluster, view);
  const last = await cluster.client.job(document.name);
  await show(cluster, last, written, format === 'json');
  return stop.aborted ? exitCodes.interrupted : exitCodes.ok;
}

interface WrittenTopic {
  readonly topic: string;
  readonly partitions: number;
}

/** The topics that the job writes, each once. */
function writtenTopics({ sinks }: JobDocument): readonly WrittenTopic[] {
  const found = new Map<string, WrittenTopic>();
  for (const sink of Array.isArray(sinks) ? (sinks as readonly (Record<string, unknown> | null)[]) : []) {
    if (sink?.['connector'] !== 'kafka' || typeof sink['topic'] !== 'string') continue;
    const { topic, partitions } = sink;
    found.set(topic, { topic, partitions: typeof partitions === 'number' ? partitions : 1 });
  }
  return [...found.values()];
}

async function fill(
  cluster: SteppedCluster,
  topics: ReadonlyMap<string, string>,
  inputs: ReadonlyMap<string, readonly SampleRecord[]>,
): Promise<void> {
  const writer = cluster.connections.logWriter('kafka', {});
  for (const topic of topics.values()) await writer.createTopic(topic, 1);
  for (const [source, rows] of inputs) {
    const topic = topics.get(source);
    if (topic === undefined)
      throw new WeirError('NOT_FOUND', `The job has no source ${source}; it has ${[...topics.keys()].join(', ')}.`);
    for (let at = 0; at < rows.length; at += APPEND_RECORDS) {
      const records = rows.slice(at, at + APPEND_RECORDS).map((row) => ({
        key: null,
        value: row === null ? null : Buffer.from(typeof row === 'string' ? row : JSON.stringify(row)),
        timestampMs: Date.now(),
      }));
      const append = { topic, partition: partition(0), batch: encodeRecordBatch(records) };
      await writer.append([append], { valid: () => true, check: () => undefined });
    }
  }
}

interface Following {
  readonly untilEmpty: boolean;
  /** Records that were put in. */
  readonly expected: number;
  readonly isDone: (view: JobView) => boolean;
  readonly end: AbortSignal;
}

async function follow(
  cluster: SteppedCluster,
  name: string,
  { untilEmpty, expected, isDone, end }: Following,
): Promise<JobView> {
  using line = new ProgressLine();
  let quiet = 0;
  let toldAt = 0;
  let told = '';
  for (let read = -1; ;) {
    cluster.check();
    const view = await cluster.client.job(name);
    const isQuiet =
      view.row.state === 'running' && view.counters.read >= expected && view.counters.read === read && view.lag === 0;
    quiet = isQuiet ? quiet + 1 : 0;
    read = view.counters.read;
    if (view.row.state === 'failed' || end.aborted || isDone(view) || (untilEmpty && quiet >= QUIET_LOOKS)) return view;
    const reason = view.row.state === 'running' ? null : reasonOf(view);
    if (reason !== null && reason !== told) {
      told = reason;
      line.clear();
      tell(`${name} waits: ${reason}`);
    }
    const { counters, recordsPerSecond, lag } = view;
    line.show(
      `${name} ${view.row.state}  ${progressOf(counters.read, untilEmpty ? expected : null)} read  ${formatCount(counters.rowsOut)} rows  ${formatCount(recordsPerSecond)}/s  lag ${formatCount(lag)}`,
    );
    if (!line.shows && performance.now() - toldAt > TELL_MS) {
      toldAt = performance.now();
      tell(
        `${name} ${view.row.state}  ${formatCount(counters.read)} read  ${formatCount(counters.rowsOut)} rows  ${formatCount(recordsPerSecond)}/s  lag ${formatCount(lag)}`,
      );
    }
    await sleep(POLL_MS, undefined, { signal: end }).catch(() => undefined);
  }
}

/** What is under way comes through. */
async function finish(cluster: SteppedCluster, { row }: JobView): Promise<void> {
  if (row.state === 'finished') return;
  await cluster.client.act(row.name, 'stop');
  await cluster.client.request('GET', `/v1/jobs/${row.name}/wait?state=stopped,finished,failed&timeout=30s`);
}

async function show(
  cluster: SteppedCluster,
  view: JobView,
  written: readonly WrittenTopic[],
  asJson: boolean,
): Promise<void> {
  const { counters } = view;
  const tables = view.sinks.filter(({ connector }) => connector === 'cassandra').map(({ description }) => description);
  const results = await Promise.all(
    tables.map(async (table) => ({
      table,
      ...(await cluster.client.query(`SELECT * FROM ${table} LIMIT ${SHOWN_ROWS}`)),
    })),
  );
  const topics = await Promise.all(
    written.map(async ({ topic, partitions }) => ({ topic, records: await firstRecords(cluster, topic, partitions) })),
  );
  if (asJson) return printJson({ name: view.row.name, counters, tables: results, topics });
  for (const { table, columns, rows } of results) {
    print(`${table}:`);
    print(
      formatTable(
        columns.map(({ name }) => name),
        rows.map((row) => row.map(formatValue)),
      ),
    );
  }
  for (const { topic, records } of topics) {
    print(`${topic}:`);
    print(
      formatTable(
        ['key', 'value'],
        records.map(({ key, value }) => [formatValue(key), formatValue(value)]),
      ),
    );
  }
  tell(
    `${formatCount(counters.read)} read = ${formatCount(counters.passed)} passed + ${formatCount(counters.filtered)} filtered + ${formatCount(counters.skipped)} skipped + ${formatCount(counters.dead)} dead; ${formatCount(counters.rowsOut)} rows out`,
  );
}

/** The first records of a topic, partition by partition. */
async function firstRecords(
  cluster: SteppedCluster,
  topic: string,
  partitions: number,
): Promise<readonly Pick<LogRecord, 'key' | 'value'>[]> {
  const source = cluster.connections.source('kafka', {});
  const found: Pick<LogRecord, 'key' | 'value'>[] = [];
  for (let at = 0; at < partitions && found.length < SHOWN_ROWS; at++)
    found.push(...(await readLog(source, topic, 0, at)).map(({ key, value }) => ({ key, value })));
  return found.slice(0, SHOWN_ROWS);
}
