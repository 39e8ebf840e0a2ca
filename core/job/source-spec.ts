/**
 * The sources of a job file. Every source is read as a log of records; a feed (http, file, …) is a log that one worker
 * fills from somewhere else, so it has the options of a log and its own.
 */
import { z } from 'zod';
import { bytes, count, duration } from './options.ts';
import { feedOptions } from './feed-spec.ts';

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

const startingPoint = z.union([
  z.enum(['earliest', 'latest']),
  z.strictObject({ timestamp: z.iso.datetime({ offset: true }) }),
]);

/** What every log is read with. */
const logOptions = {
  format: z
    .enum(['json', 'csv', 'avro', 'protobuf', 'text', 'raw'])
    .default('json')
    .describe('json, csv, avro, protobuf: fields of the schema; text: the column value as STRING; raw: as BINARY'),
  csv: csvOptions.optional(),
  avro: avroOptions.optional(),
  protobuf: protobufOptions.optional(),
  schema: z.string().optional().describe("Columns as SQL writes them: 'id STRING NOT NULL, price DECIMAL(12,2)'"),
  onSchemaChange: z
    .enum(['report', 'evolve', 'deadLetter', 'fail'])
    .optional()
    .describe(
      'Records of another shape than the schema: report tells of them, evolve adds new fields to the job, deadLetter keeps ' +
        'them out, fail stops the job; default: nobody looks',
    ),
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
} as const;

const kafkaSource = z
  .strictObject({
    connector: z.literal('kafka'),
    topic: z.string().min(1).max(249).describe('Topic to read'),
    startingOffsets: startingPoint
      .default('latest')
      .describe('Where a job that never ran starts. Partitions added later always start at their beginning'),
    ...logOptions,
  })
  .describe('Records of a Kafka topic, or of the embedded log when no Kafka is connected');

/** Options of a feed's log, beside those of every log. */
const feedLog = {
  topic: z
    .string()
    .max(249)
    .default('')
    .describe('Topic that the feed is appended to, created when missing; default: weir.<job>.<source>'),
  startingOffsets: startingPoint.default('earliest').describe('Where in the topic a job that never ran starts'),
  remember: z
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .default(10_000)
    .describe(
      'So many of the latest rows are known by id and content, and not appended again while they stay the same',
    ),
  ...logOptions,
} as const;

/** All sources, told apart by their connector. */
export const sourceSchemas = [
  kafkaSource,
  z
    .strictObject({ connector: z.literal('generator'), ...feedOptions.generator, ...feedLog })
    .describe('Rows made up by a rule, for trying out and for load'),
  z
    .strictObject({ connector: z.literal('http'), ...feedOptions.http, ...feedLog })
    .describe('Rows of an HTTP API that is asked again and again'),
  z
    .strictObject({ connector: z.literal('file'), ...feedOptions.file, ...feedLog })
    .describe('Lines of files as they grow and as new ones come'),
  z
    .strictObject({ connector: z.literal('websocket'), ...feedOptions.websocket, ...feedLog })
    .describe('Messages of a WebSocket'),
  z
    .strictObject({ connector: z.literal('browser'), ...feedOptions.browser, ...feedLog })
    .describe('Rows read off web pages by a browser: list pages, and the pages they link to'),
  z
    .strictObject({ connector: z.literal('package'), ...feedOptions.package, ...feedLog })
    .describe('A connector of the package weir-connector-<name>; "connector: <name>" with its options is short for it'),
] as const;

/** The values of `connector`. */
export const sourceConnectors: readonly string[] = sourceSchemas.map(({ shape }) => String(shape.connector.value));
/** Options that a source of any connector has. */
export const logOptionNames: ReadonlySet<string> = new Set(Object.keys(feedLog));
