/** `weir describe`, `weir file`, `weir query`. */
import { WeirError, isWeirError } from '../../core/errors.ts';
import type { QueryResult } from '../../core/ports.ts';
import type { TopicPartition } from '../../master/data-desk.ts';
import type { WorkerDocument } from '../../master/http/documents.ts';
import { MasterClient } from '../client.ts';
import { jobPath, wholeNumber } from '../names.ts';
import { formatCount, formatMs, formatTable, formatValue, print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';
import { formatLag, workerTable } from './job-tables.ts';

/** `weir describe job|worker|topic NAME`. Throws: USAGE, NOT_FOUND. */
export async function describe(kind: string, name: string, options: GlobalOptions): Promise<void> {
  const format = outputFormat(options, ['table', 'json']);
  const client = new MasterClient(target(options));
  if (kind === 'worker') return await describeWorker(client, name, format === 'json');
  if (kind === 'topic') return await describeTopic(client, name, format === 'json');
  if (kind !== 'job')
    throw new WeirError('USAGE', `There is no description of ${kind}; there are job, worker and topic.`);
  const view = await client.job(name);
  if (format === 'json') return printJson(view);
  const { row, counters } = view;
  const savepoints = view.epochs === null ? [] : await client.savepoints(name);
  const former = (row.former ?? []).map(({ revision }) => revision);
  const facts: [string, string][] = [
    ['Name', row.name],
    ['State', row.state],
    ...(row.reason === null ? [] : [['Reason', `${row.reason.message} (${row.reason.code})`] as [string, string]]),
    ['Revision', String(row.revision)],
    ['Run', String(row.run)],
    ['Submitted', new Date(row.submittedAt).toISOString()],
    ['Changed', new Date(row.changedAt).toISOString()],
    ['Definition', row.definition.slice(0, 12)],
    [
      'Records',
      `${formatCount(counters.read)} read = ${formatCount(counters.passed)} passed + ${formatCount(counters.filtered)} filtered + ${formatCount(counters.skipped)} skipped + ${formatCount(counters.dead)} dead`,
    ],
    ['Rows', formatCount(counters.rowsOut)],
    ['Speed', `${formatCount(view.recordsPerSecond)} records/s, ${formatCount(view.rowsPerSecond)} rows/s`],
    ['Latency', `p50 ${formatMs(view.latencyMsP50)} ms, p99 ${formatMs(view.latencyMsP99)} ms`],
    ['Lag', formatLag(view.lag)],
    ...(view.schemaChanges ?? []).map(({ source, message }, index): [string, string] => [
      index === 0 ? 'Schema' : '',
      `${source}: ${message}`,
    ]),
    ...(former.length === 0 ? [] : [['Former', `revisions ${former.join(', ')}`] as [string, string]]),
    ...savepoints.map(({ name: savepoint, revision, epoch }, index): [string, string] => [
      index === 0 ? 'Savepoints' : '',
      `${savepoint} (revision ${revision}, epoch ${epoch})`,
    ]),
  ];
  print(facts.map(([head, text]) => `${(head === '' ? '' : `${head}:`).padEnd(12)}${text}`).join('\n'));
  const heads = ['SOURCE', 'TOPIC', 'PARTITION', 'STATE', 'OWNER', 'GENERATION', 'COMMITTED', 'END', 'LAG', 'PROBLEM'];
  const rows = view.lanes.map((lane) => [
    lane.source,
    lane.topic,
    String(lane.partition),
    lane.state,
    lane.owner ?? '-',
    String(lane.generation),
    String(lane.committedOffset),
    String(lane.endOffset),
    formatLag(lane.lag),
    lane.message ?? '',
  ]);
  print(`\n${formatTable(heads, rows)}`);
}

async function describeWorker(client: MasterClient, name: string, asJson: boolean): Promise<void> {
  const found = await client.request<WorkerDocument>('GET', `/v1/workers/${encodeURIComponent(name)}`);
  if (asJson) return printJson(found);
  const lanes = found.partitions;
  const { heads, rows } = workerTable([found], true);
  for (const [at, head] of heads.entries()) print(`${`${head}:`.padEnd(15)}${rows[0]?.[at] ?? ''}`);
  const parts = found.stateful.map(({ job, groups, partitions }) => [job, String(partitions), String(groups)]);
  if (parts.length > 0) print(`\n${formatTable(['JOB', 'PARTITIONS', 'KEY GROUPS'], parts)}`);
  const laneRows = lanes.map((lane) => [lane.job, lane.topic, String(lane.partition), lane.state, formatLag(lane.lag)]);
  if (laneRows.length > 0) print(`\n${formatTable(['JOB', 'TOPIC', 'PARTITION', 'STATE', 'LAG'], laneRows)}`);
}

async function describeTopic(client: MasterClient, name: string, asJson: boolean): Promise<void> {
  const topic = await client.request<{ readonly partitions: readonly TopicPartition[] }>(
    'GET',
    `/v1/topics/${encodeURIComponent(name)}`,
  );
  if (asJson) return printJson(topic);
  const rows = topic.partitions.map(({ partition, startOffset, endOffset, lags }) => [
    String(partition),
    String(startOffset),
    String(endOffset),
    lags.map(({ job, lag }) => `${job} ${formatCount(lag)} behind`).join(', '),
  ]);
  print(formatTable(['PARTITION', 'START', 'END', 'JOBS'], rows));
}

/** `weir file JOB [--revision N]`: what `weir apply` takes. Throws: NOT_FOUND. */
export async function file(job: string, options: GlobalOptions & { readonly revision?: string }): Promise<void> {
  const format = outputFormat(options, ['table', 'json']);
  const { revision } = options;
  const query = revision === undefined ? '' : `?revision=${wholeNumber(revision, '--revision', 1)}`;
  const client = new MasterClient(target(options));
  const found = await client.request<{
    readonly revision: number;
    readonly definition: string;
    readonly source: string;
  }>('GET', `${jobPath(job)}/plan${query}`);
  if (format === 'json')
    return printJson({ revision: found.revision, definition: found.definition, source: found.source });
  print(found.source.replace(/\n$/, ''));
}

/** `weir query CQL`: through the master, or on the connections of the environment when there is none. */
export async function query(cql: string, options: GlobalOptions): Promise<void> {
  const format = outputFormat(options, ['table', 'json']);
  const result = await runQuery(cql, options);
  if (format === 'json') {
    const names = result.columns.map((column) => column.name);
    return printJson(
      result.rows.map((row) => Object.fromEntries(names.map((name, index) => [name, row[index] ?? null]))),
    );
  }
  if (result.columns.length === 0) return;
  print(
    formatTable(
      result.columns.map((column) => column.name),
      result.rows.map((row) => row.map(formatValue)),
    ),
  );
  tell(result.rows.length === 1 ? '(1 row)' : `(${result.rows.length} rows)`);
}

/** The answer of the master, or of the tables themselves when there is none. Throws what the query throws. */
export async function runQuery(cql: string, options: GlobalOptions): Promise<QueryResult> {
  try {
    return await new MasterClient(target(options)).query(cql);
  } catch (error) {
    const direct = process.env['CASSANDRA_CONTACT_POINTS'] ?? process.env['WEIR_EMBEDDED'];
    if (!isWeirError(error, 'MASTER_UNREACHABLE') || direct === undefined) throw error;
    tell(`${error.message}\nAsking the tables directly.`);
    const { queryDirectly } = await import('./direct-query.ts');
    return await queryDirectly(cql);
  }
}
