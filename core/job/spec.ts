/**
 * What a user submits. One zod schema is the source of the YAML check, the REST body and the JSON Schema for editors.
 * Spark's option names are accepted where Spark has one.
 */
import { z } from 'zod';

const duration = z
  .string()
  .regex(/^\d+(ms|s|m|h)$/, 'a duration is a whole number with a unit: 50ms, 10s, 5m, 1h')
  .describe('A duration: 50ms, 10s, 5m, 1h');

const bytes = z.number().int().positive();

/** What to do with offsets that are gone before they were read. */
const dataLossPolicy = z.enum(['fail', 'skip']);

const kafkaSource = z
  .strictObject({
    connector: z.literal('kafka'),
    topic: z.string().min(1).max(249).describe('Topic to read'),
    startingOffsets: z
      .union([z.enum(['earliest', 'latest']), z.strictObject({ timestamp: z.iso.datetime({ offset: true }) })])
      .default('latest')
      .describe('Where a job that never ran starts. Partitions added later always start at their beginning'),
    format: z
      .enum(['json', 'raw'])
      .default('json')
      .describe('json: fields of the schema; raw: the columns key and value'),
    schema: z.string().optional().describe("Columns as SQL writes them: 'id STRING NOT NULL, price DECIMAL(12,2)'"),
    onDataLoss: dataLossPolicy.default('fail'),
    /** Spark's name for onDataLoss. */
    failOnDataLoss: z.boolean().optional(),
    onFutureTimestamp: z.enum(['fail', 'ignoreTimes']).default('fail'),
    recordBytesMax: bytes.max(16 * 1024 * 1024).default(1024 * 1024),
    brokers: z.string().optional().describe('Brokers of another cluster than the default connection'),
  })
  .describe('Records of a Kafka topic, or of the embedded log when no Kafka is connected');

const cassandraSink = z.strictObject({
  connector: z.literal('cassandra'),
  keyspace: z.string(),
  table: z.string(),
  primaryKey: z
    .array(z.union([z.string(), z.array(z.string()).min(1)]))
    .min(1)
    .optional()
    .describe('[id] or [[a, b], c]: the inner list is the partition key, the rest clusters'),
  create: z.boolean().default(false).describe('Create keyspace and table when they are missing'),
  ignoreNulls: z
    .boolean()
    .default(false)
    .describe('Leave a cell as it is where the row has NULL, and write no tombstone'),
});

const kafkaSink = z.strictObject({
  connector: z.literal('kafka'),
  topic: z.string().min(1).max(249),
  key: z.string().optional().describe('Output column whose bytes become the record key'),
  value: z
    .string()
    .optional()
    .describe('Output column whose bytes become the record value; default: all columns as JSON'),
  compression: z.enum(['none', 'gzip', 'snappy', 'lz4', 'zstd']).default('lz4'),
  guarantee: z.enum(['atLeastOnce']).default('atLeastOnce'),
  partitions: z
    .number()
    .int()
    .positive()
    .optional()
    .describe('Create the topic with so many partitions when it is missing'),
});

const blackholeSink = z.strictObject({ connector: z.literal('blackhole') });
const consoleSink = z.strictObject({ connector: z.literal('console') });

const badRecordPolicy = z.union([
  z.enum(['deadLetter', 'fail', 'skip']),
  z.strictObject({ deadLetter: z.strictObject({ topic: z.string().optional() }) }),
]);

export const jobSpecSchema = z.strictObject({
  $schema: z.string().optional(),
  apiVersion: z.literal('weir/v1'),
  kind: z.literal('Job'),
  name: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'a job name is 1 to 63 of a-z, 0-9 and -, beginning with a letter'),
  sources: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'a source name is letters, digits and _'),
      z.discriminatedUnion('connector', [kafkaSource]),
    )
    .refine((sources) => Object.keys(sources).length > 0, 'a job reads at least one source'),
  query: z.string().min(1),
  sinks: z.array(z.discriminatedUnion('connector', [cassandraSink, kafkaSink, blackholeSink, consoleSink])).min(1),
  outputMode: z.enum(['append', 'update', 'complete']).default('append'),
  trigger: z.union([z.enum(['asap', 'availableNow']), duration]).default('asap'),
  onBadRecord: badRecordPolicy.default('deadLetter'),
  onNullValue: z.enum(['skip', 'delete', 'deadLetter']).default('skip'),
  timeZone: z
    .string()
    .default('UTC')
    .describe('Session time zone: how text without a zone is read and times are shown'),
});

/** A job as written: defaults not filled in. */
export type JobSpecInput = z.input<typeof jobSpecSchema>;
/** A validated job with all defaults. */
export type JobSpec = z.output<typeof jobSpecSchema>;
export type SourceSpec = JobSpec['sources'][string];
export type SinkSpec = JobSpec['sinks'][number];

/** ms of a duration like `50ms`. */
export function durationMs(text: string): number {
  const match = /^(\d+)(ms|s|m|h)$/.exec(text);
  if (match === null) throw new Error(`not a duration: ${text}`);
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] as 'ms' | 's' | 'm' | 'h'];
}
