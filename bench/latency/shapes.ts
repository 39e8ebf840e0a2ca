/** The workloads of the latency bench: records, and Weir's jobs over them. */
import { fileURLToPath } from 'node:url';
import { evaluateJob } from '../../cli/job-module.ts';

/** `table` ends in Cassandra, the others in a topic. */
export const shapes = ['stateless', 'window', 'dedup', 'state', 'table'] as const;
export type Shape = (typeof shapes)[number];

const WINDOW_KEYS = 1000;
const STATE_KEYS = 50_000;
/** Every fifth record is one that came before. */
const DUPLICATE_EVERY = 5;
/** How far before, in records: another partition, but not far in time. */
const DUPLICATE_OF = 4;

/** Key of a record. */
export function keyOf(shape: Shape, index: number): string {
  if (shape === 'state') return `user_${(Math.imul(index, 0x9e3779b1) >>> 0) % STATE_KEYS}`;
  if (shape === 'window') return `key_${(Math.imul(index, 0x9e3779b1) >>> 0) % WINDOW_KEYS}`;
  return `id_${originalOf(shape, index)}`;
}

/** The record that this one repeats, or itself. */
export function originalOf(shape: Shape, index: number): number {
  return shape === 'dedup' && index % DUPLICATE_EVERY === DUPLICATE_EVERY - 1 ? index - DUPLICATE_OF : index;
}

/** Records that come out where each one in gives at most one; undefined where results are updated. */
export function expectedRows(shape: Shape, sent: number): number | undefined {
  if (shape === 'window' || shape === 'state') return undefined;
  if (shape === 'dedup') return sent - Math.floor(sent / DUPLICATE_EVERY);
  return sent;
}

const stateJob = fileURLToPath(new URL('user-state-job.ts', import.meta.url));

const queries: Readonly<Record<Exclude<Shape, 'state'>, string>> = {
  stateless: 'SELECT k, v, sent FROM timed WHERE v >= 0',
  window: `SELECT k, n AS v, sent, unix_millis(w.start) AS w FROM
    (SELECT window(ts, '1 minute') AS w, k, count(*) AS n, max(sent) AS sent FROM timed GROUP BY window(ts, '1 minute'), k)`,
  dedup: 'SELECT k, v, sent FROM (SELECT DISTINCT ON (k, ts) k, ts, v, sent FROM timed)',
  table: 'SELECT k, v, sent FROM timed WHERE v >= 0',
};

export interface Places {
  readonly input: string;
  readonly output: string;
}

/** A job file of Weir. */
export function weirJob(name: string, shape: Shape, { input, output }: Places): string {
  if (shape === 'state') {
    const text = evaluateJob(stateJob);
    return text.replaceAll('bench-name', name).replaceAll('BENCH_INPUT', input).replaceAll('BENCH_OUTPUT', output);
  }
  const stateful = shape === 'window' || shape === 'dedup';
  const sink =
    shape === 'table'
      ? `{ connector: cassandra, keyspace: weir_bench, table: ${output}, primaryKey: [k], create: true }`
      : `{ connector: kafka, topic: ${output}, key: k, compression: none }`;
  return `
apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  timed:
    connector: kafka
    topic: ${input}
    startingOffsets: earliest
    schema: k STRING NOT NULL, v BIGINT NOT NULL, ts TIMESTAMP NOT NULL, sent BIGINT NOT NULL
${stateful ? '    watermark: { column: ts, delay: 10s }\n' : ''}query: |
  ${queries[shape]}
sinks: [${sink}]
outputMode: ${shape === 'window' ? 'update' : 'append'}
`;
}
