/** What a job file may say of its sinks. */
import { z } from 'zod';
import { connectorNamePattern } from './connector-names.ts';
import { duration, size } from './options.ts';

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

const avroSink = z
  .strictObject({
    registry: z
      .union([z.literal(true), z.url({ protocol: /^https?$/ })])
      .optional()
      .describe(
        'A Schema Registry that the schema of the rows is registered at: true = the one of SCHEMA_REGISTRY_URL, or its address',
      ),
    subject: z.string().min(1).optional().describe('Under which it is registered; default: <topic>-value'),
    name: z
      .string()
      .regex(/^([A-Za-z_][A-Za-z0-9_]*\.)*[A-Za-z_][A-Za-z0-9_]*$/, 'a record is called name or name.space.name')
      .optional()
      .describe("What the record is called, with a namespace or without; default: the topic's name"),
  })
  .describe('format: avro; the schema is the one of the columns');

const protobufSink = z
  .strictObject({
    registry: avroSink.shape.registry,
    subject: avroSink.shape.subject,
    message: avroSink.shape.name.describe(
      'With a schema: which of its messages rows become; default: the first. Without: what the message of the columns is ' +
        "called; default: the topic's name",
    ),
    schema: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Text of a .proto whose message rows become, fields by the names of columns; default: made of the columns',
      ),
    references: z
      .array(z.strictObject({ name: z.string().min(1), schema: z.string().min(1) }))
      .optional()
      .describe('Texts that the schema imports, each before those that import it'),
  })
  .describe('format: protobuf; by a .proto of your own, or by the columns, numbered by their places');

const kafkaSink = z.strictObject({
  connector: z.literal('kafka'),
  topic: z.string().min(1).max(249),
  key: z.string().optional().describe('Output column whose bytes become the record key'),
  value: z
    .string()
    .optional()
    .describe('Output column whose bytes become the record value; default: all columns, by format'),
  format: z.enum(['json', 'avro', 'protobuf']).default('json').describe('What all columns become as a record value'),
  avro: avroSink.optional(),
  protobuf: protobufSink.optional(),
  compression: z.enum(['none', 'gzip', 'snappy', 'lz4', 'zstd']).default('lz4'),
  guarantee: z
    .enum(['atLeastOnce', 'exactlyOnce'])
    .default('atLeastOnce')
    .describe('exactlyOnce: rows and position are one transaction, for readers with isolation.level=read_committed'),
  commitInterval: duration
    .optional()
    .describe('exactlyOnce: ms from the first rows of a transaction to its end; default 100ms'),
  transactionTimeout: duration
    .optional()
    .describe('exactlyOnce: when Kafka ends a transaction whose worker fell silent; default 60s'),
  partitions: z
    .number()
    .int()
    .positive()
    .optional()
    .describe('Create the topic with so many partitions when it is missing'),
});

const postgresSink = z
  .strictObject({
    connector: z.literal('postgres'),
    url: z
      .string()
      .regex(/^postgres(ql)?:\/\//, 'an address is postgres://user@host:5432/database')
      .optional()
      .describe(
        'Address; its password as a reference: postgres://weir:${env:WEIR_SECRET_PG}@db/shop. Default: POSTGRES_URL',
      ),
    table: z
      .string()
      .regex(/^([A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*$/, 'a table is name or schema.name')
      .describe('Table, in the schema public unless it names another'),
    primaryKey: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('A row replaces the one with these values; default: rows are appended'),
    create: z.boolean().default(false).describe('Create the table when it is missing'),
  })
  .describe('A PostgreSQL table; rows and position are one transaction');

const filesSink = z
  .strictObject({
    connector: z.literal('files'),
    path: z.string().min(1).describe('A directory that all workers share, or s3://bucket/prefix'),
    format: z.enum(['ndjson', 'csv', 'parquet']).default('parquet'),
    partitionBy: z.array(z.string().min(1)).default([]).describe('Columns that become directories: city=Berlin'),
    compression: z.enum(['none', 'snappy', 'gzip']).optional().describe('Default: snappy for Parquet, else none'),
    delimiter: z.string().length(1).default(',').describe('format: csv'),
    nullText: z.string().default('').describe('format: csv, what stands for NULL'),
    endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('S3: another service than the one of Amazon'),
    region: z.string().optional().describe('S3; default: AWS_REGION, else us-east-1'),
    compact: z
      .strictObject({
        below: size.default('16MB').describe('Smaller files are merged until they are as large; at most 256MB'),
        every: duration.default('10m').describe('How often somebody looks for small files'),
      })
      .optional()
      .describe('Merge the small files of a directory; default: they stay as they are'),
  })
  .describe('Files of rows; those of an epoch become visible at once');

const webhookSink = z
  .strictObject({
    connector: z.literal('webhook'),
    url: z.url({ protocol: /^https?$/ }).describe('Where rows are posted as JSON'),
    headers: z
      .record(z.string().regex(/^[A-Za-z0-9-]+$/), z.string())
      .default({})
      .describe('More headers; secrets as references: Bearer ${env:WEIR_SECRET_HOOK}'),
    body: z.enum(['array', 'ndjson', 'single']).default('array').describe('A JSON array, a line or a request per row'),
    batchRows: z.number().int().positive().max(100_000).default(500),
    timeout: duration.default('30s'),
    onRejected: z
      .enum(['fail', 'deadLetter', 'drop'])
      .default('fail')
      .describe(
        'An answer of 4xx: the job stops; the rows that are refused become dead letters; or the rows of the request are left out',
      ),
  })
  .describe('A web service that takes rows, at least once, with an Idempotency-Key');

const packageSink = z
  .strictObject({
    connector: z.literal('package'),
    name: z.string().max(40).regex(connectorNamePattern, 'a name is words of a-z and 0-9 with - between them'),
    options: z.record(z.string(), z.unknown()).default({}).describe('What its weir-connector.json describes'),
  })
  .describe('A connector of the package weir-connector-<name>; "connector: <name>" with its options is short for it');

const forEachBatchSink = z
  .strictObject({
    connector: z.literal('forEachBatch'),
    timeout: duration.default('1m').describe('A call that is not done after so long is given up'),
    retries: z.number().int().min(0).max(1000).default(5).describe('How often a failed call is made again'),
  })
  .describe('A function of a TypeScript job, called with the rows of every batch; made by forEachBatch() of the SDK');

const blackholeSink = z.strictObject({ connector: z.literal('blackhole') });
const consoleSink = z.strictObject({ connector: z.literal('console') });

/** One schema per connector. */
export const sinkSchemas = [
  cassandraSink,
  kafkaSink,
  postgresSink,
  filesSink,
  webhookSink,
  packageSink,
  forEachBatchSink,
  blackholeSink,
  consoleSink,
] as const;
