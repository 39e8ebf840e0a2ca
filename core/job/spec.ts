/**
 * What a user submits. One zod schema is the source of the YAML check, the REST body and the JSON Schema for editors.
 * Spark's option names are accepted where Spark has one.
 */
import { z } from 'zod';
import { durationPattern, durationUs } from '../duration.ts';

const durationMessage = 'a duration is a whole number with a unit: 50ms, 10s, 5m, 1h';
const duration = z
  .string()
  .regex(durationPattern, durationMessage)
  .refine((text) => !durationPattern.test(text) || durationUs(text) !== undefined, durationMessage)
  .describe("A duration: 50ms, 10s, 5m, 1h, or as Spark writes it: '10 seconds'");

const bytes = z.number().int().positive();
const count = z.number().int().positive();

const watermark = z
  .strictObject({
    column: z.string().min(1).describe('A TIMESTAMP column of the source: when its events happened'),
    delay: duration.describe('How far behind the latest event a record may come and still count'),
  })
  .describe('Rows older than the latest event by more than the delay are late, and what they would change is final');

/** What to do with offsets that are gone before they were read. */
const dataLossPolicy = z.enum(['fail', 'skip']);

const oneCharacter = z.string().regex(/^[\x20-\x7e\t]$/, 'one ASCII character');
const csvOptions = z
  .strictObject({
    delimiter: oneCharacter.default(','),
    quote: z
      .union([oneCharacter, z.literal('none')])
      .default('"')
      .describe('none: no value is quoted'),
    header: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('Names of the values in a line, in their order; default: the columns of the schema'),
    nullText: z.string().default('').describe('Text without quotes that means NULL'),
  })
  .describe('format: csv, one line per record');

const schemaOptions = {
  schema: z
    .string()
    .min(1)
    .optional()
    .describe('Text of the schema: what records are written with; with a registry, what they are read as'),
  references: z
    .array(z.strictObject({ name: z.string().min(1), schema: z.string().min(1) }))
    .optional()
    .describe('Texts that the schema refers to, each before those that refer to it'),
  registry: z
    .union([z.literal(true), z.url({ protocol: /^https?$/ })])
    .optional()
    .describe('A Schema Registry: true = the one of SCHEMA_REGISTRY_URL, or its address'),
  subject: z.string().min(1).optional().describe('Whose latest version gives the columns; default: <topic>-value'),
  framing: z
    .enum(['none', 'confluent'])
    .optional()
    .describe('What precedes a value; default: confluent with a registry, else none'),
} as const;
const avroOptions = z.strictObject(schemaOptions).describe('format: avro');
const protobufOptions = z
  .strictObject({
    ...schemaOptions,
    message: z.string().min(1).optional().describe('The message that is read; default: the first of the text'),
  })
  .describe('format: protobuf');

const kafkaSource = z
  .strictObject({
    connector: z.literal('kafka'),
    topic: z.string().min(1).max(249).describe('Topic to read'),
    startingOffsets: z
      .union([z.enum(['earliest', 'latest']), z.strictObject({ timestamp: z.iso.datetime({ offset: true }) })])
      .default('latest')
      .describe('Where a job that never ran starts. Partitions added later always start at their beginning'),
    format: z
      .enum(['json', 'csv', 'avro', 'protobuf', 'text', 'raw'])
      .default('json')
      .describe('json, csv, avro, protobuf: fields of the schema; text: the column value as STRING; raw: as BINARY'),
    csv: csvOptions.optional(),
    avro: avroOptions.optional(),
    protobuf: protobufOptions.optional(),
    schema: z.string().optional().describe("Columns as SQL writes them: 'id STRING NOT NULL, price DECIMAL(12,2)'"),
    onDataLoss: dataLossPolicy.default('fail'),
    /** Spark's name for onDataLoss. */
    failOnDataLoss: z.boolean().optional(),
    onFutureTimestamp: z.enum(['fail', 'ignoreTimes']).default('fail'),
    recordBytesMax: bytes.max(16 * 1024 * 1024).default(1024 * 1024),
    watermark: watermark.optional(),
    maxOffsetsPerTrigger: count.optional().describe('Stateful jobs: records per epoch at most'),
    minOffsetsPerTrigger: count
      .optional()
      .describe('Stateful jobs: no epoch before so many records are there, or maxTriggerDelay has passed'),
    maxTriggerDelay: duration.default('15m').describe('How long minOffsetsPerTrigger may hold an epoch back'),
    minPartitions: count.optional().describe('Refused: map tasks follow partitions and batches, not a number'),
    idleTimeout: duration
      .optional()
      .describe('A source without records for so long stops holding the watermark back; default: never'),
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

const tableCell: z.ZodType<unknown> = z.unknown();
const staticTable = z
  .union([
    z.strictObject({
      schema: z.string().describe("Columns as SQL writes them: 'id INT NOT NULL, name STRING'"),
      rows: z
        .array(z.array(tableCell))
        .max(10_000, 'a table in the job file has at most 10000 rows')
        .describe('One list per row, a value per column; times, decimals and dates as text'),
    }),
    z.strictObject({
      connector: z.literal('cassandra'),
      keyspace: z.string(),
      table: z.string(),
      schema: z.string().optional().describe("The columns to read, as SQL writes them; default: the table's own"),
      refresh: duration.optional().describe('Read it anew so often; default: once per run'),
    }),
  ])
  .describe('Rows known besides the streams, for joins');

/** Spark's triggers beside the short forms. */
const sparkTrigger = z.union([
  z.strictObject({ processingTime: duration }),
  z.strictObject({ availableNow: z.literal(true) }),
]);

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/;

const columnsText = z.string().min(1).describe("Columns as SQL writes them: 'visits BIGINT, last TIMESTAMP'");
const ttl = duration.optional().describe('What was written so long ago is forgotten');
const stateVariable = z
  .union([
    z.strictObject({ value: columnsText, ttl }),
    z.strictObject({ list: columnsText, ttl }),
    z.strictObject({
      map: z.strictObject({ key: z.string().min(1).describe('A type: STRING'), value: columnsText }),
      ttl,
    }),
  ])
  .describe('One row, a list of rows or rows by a key of their own; each for every key of the stream');

const keyedState = z
  .strictObject({
    key: z.array(z.string().min(1)).min(1).describe("Columns of the query's result"),
    input: columnsText.optional().describe('Columns that the functions expect of the query, with their types'),
    state: z
      .record(z.string().regex(identifier, 'a name of state is letters, digits and _'), stateVariable)
      .refine((variables) => Object.keys(variables).length <= 64, 'an operator has at most 64 states'),
    single: z.boolean().default(false).describe('The functions get the one state itself, not states by name'),
    output: columnsText,
    timers: z
      .enum(['none', 'eventTime', 'processingTime'])
      .default('none')
      .describe(
        'Which time timers and TTL go by: the watermark, or the time of epochs (none: no timers, TTL by epochs)',
      ),
    functions: z.array(z.enum(['onRow', 'onTimer', 'onExpire'])).min(1),
    deadline: duration.default('10s').describe("How long the functions may take for one epoch's rows of one thread"),
  })
  .describe('State kept by functions of a TypeScript job; made by keyedState() of the SDK');

const jobModule = z
  .strictObject({
    hash: z.string().regex(/^[0-9a-f]{64}$/),
    entry: z.string().min(1),
    files: z.array(z.strictObject({ path: z.string().min(1), source: z.string() })).min(1),
  })
  .describe('The code of a TypeScript job; made by the command line');

export const jobSpecSchema = z.strictObject({
  $schema: z.string().optional(),
  apiVersion: z.literal('weir/v1'),
  kind: z.literal('Job'),
  name: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'a job name is 1 to 63 of a-z, 0-9 and -, beginning with a letter'),
  sources: z
    .record(
      z.string().regex(identifier, 'a source name is letters, digits and _'),
      z.discriminatedUnion('connector', [kafkaSource]),
    )
    .refine((sources) => Object.keys(sources).length > 0, 'a job reads at least one source'),
  tables: z.record(z.string().regex(identifier, 'a table name is letters, digits and _'), staticTable).optional(),
  query: z.string().min(1),
  keyedState: keyedState.optional(),
  module: jobModule.optional(),
  sinks: z.array(z.discriminatedUnion('connector', [cassandraSink, kafkaSink, blackholeSink, consoleSink])).min(1),
  outputMode: z.enum(['append', 'update', 'complete']).default('append'),
  trigger: z
    .union([z.enum(['asap', 'availableNow', 'manual']), duration, sparkTrigger])
    .default('asap')
    .describe('When rows are taken: asap, every so often (10s), availableNow (what is there, then the end), manual'),
  onLate: z
    .enum(['drop', 'deadLetter'])
    .default('drop')
    .describe('Rows behind the watermark: counted and dropped, or kept as dead letters'),
  watermarkPolicy: z
    .enum(['min', 'max'])
    .default('min')
    .describe('Of several watermarks the job follows the slowest, or the fastest (which drops rows of the others)'),
  noDataEpochs: z
    .boolean()
    .default(true)
    .describe('Run an empty epoch when the watermark moved, so that final results do not wait for the next record'),
  limits: z
    .strictObject({ stateBytes: bytes.optional().describe('State of the job, per worker; beyond it the job fails') })
    .default({}),
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
export type StaticTableSpec = NonNullable<JobSpec['tables']>[string];
export type KeyedStateSpec = NonNullable<JobSpec['keyedState']>;
export type StateVariableSpec = z.output<typeof stateVariable>;
