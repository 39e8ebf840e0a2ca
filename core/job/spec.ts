/**
 * What a user submits. One zod schema is the source of the YAML check, the REST body and the JSON Schema for editors.
 * Spark's option names are accepted where Spark has one.
 */
import { z } from 'zod';
import { labelsSchema } from './labels.ts';
import { lookupSchema, lookupTableSchemas } from './lookup-spec.ts';
import { bytes, duration } from './options.ts';
import { sinkSchemas } from './sink-spec.ts';
import { scheduleSchema } from './schedule-spec.ts';
import { sourceSchemas } from './source-spec.ts';

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
      lookup: lookupSchema.optional().describe('Ask for rows by key instead of reading it whole'),
    }),
    ...lookupTableSchemas,
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
  labels: labelsSchema.optional(),
  sources: z
    .record(
      z.string().regex(identifier, 'a source name is letters, digits and _'),
      z.discriminatedUnion('connector', [...sourceSchemas]),
    )
    .refine((sources) => Object.keys(sources).length > 0, 'a job reads at least one source'),
  tables: z.record(z.string().regex(identifier, 'a table name is letters, digits and _'), staticTable).optional(),
  query: z.string().min(1),
  keyedState: keyedState.optional(),
  module: jobModule.optional(),
  sinks: z.array(z.discriminatedUnion('connector', [...sinkSchemas])).min(1),
  outputMode: z.enum(['append', 'update', 'complete']).default('append'),
  trigger: z
    .union([z.enum(['asap', 'availableNow', 'manual']), duration, sparkTrigger])
    .default('asap')
    .describe('When rows are taken: asap, every so often (10s), availableNow (what is there, then the end), manual'),
  schedule: scheduleSchema.optional(),
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
