/** What a job file may say of tables that are looked up by key. */
import { z } from 'zod';
import { bytes, count, duration } from './options.ts';

/** How a table is looked up: by what, what is kept for how long, and what becomes of keys that nobody answers for. */
export const lookupSchema = z
  .strictObject({
    key: z.array(z.string().min(1)).min(1).describe('Columns that name one row; the query compares each with ='),
    ttl: duration
      .default('1m')
      .describe('A row that was found is asked for again after so long; 0s = with every batch'),
    missTtl: duration.default('10s').describe('The same for a key that there is no row for'),
    maxEntries: count.default(100_000).describe('Keys that a worker keeps, those used last'),
    maxBytes: bytes.default(64 * 1024 * 1024).describe('Bytes of rows that a worker keeps'),
    batchKeys: count.max(10_000).default(500).describe('Keys of one request, where the connector can ask for several'),
    inFlight: count.max(1024).default(16).describe('Requests that a worker has on their way'),
    timeout: duration.default('5s').describe('A request without an answer after so long has failed'),
    retries: z.number().int().min(0).max(100).default(3).describe('How often a failed request is sent again'),
    onError: z
      .enum(['wait', 'fail', 'null', 'deadLetter'])
      .default('wait')
      .describe(
        'After the last try: wait until the source answers, fail the job, go on as if there were no row, or make the records dead letters',
      ),
  })
  .describe('The table is not read whole: rows are asked for by key as the stream brings it');

const identifier = /^([A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*$/;

/** Tables that can only be looked up. */
export const lookupTableSchemas = [
  z.strictObject({
    connector: z.literal('postgres'),
    url: z
      .string()
      .regex(/^postgres(ql)?:\/\//, 'an address is postgres://user@host:5432/database')
      .optional()
      .describe('As of the postgres sink; default: POSTGRES_URL'),
    table: z.string().regex(identifier, 'a table is name or schema.name'),
    schema: z.string().describe('The columns to read, as SQL writes them'),
    lookup: lookupSchema,
  }),
  z.strictObject({
    connector: z.literal('http'),
    url: z
      .string()
      .regex(/^https?:\/\//, 'an address begins with http:// or https://')
      .describe('Address of one row, with the key columns in braces: https://api.example.com/users/{id}'),
    headers: z
      .record(z.string().regex(/^[A-Za-z0-9-]+$/), z.string())
      .default({})
      .describe('More headers; secrets as references: Bearer ${env:WEIR_SECRET_API}'),
    select: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/, 'names with dots between them: data.user')
      .optional()
      .describe('Where the row stands in the answer; default: the answer is the row'),
    schema: z.string().describe("The row's fields, as SQL writes them"),
    lookup: lookupSchema,
  }),
] as const;

export type LookupSpec = z.output<typeof lookupSchema>;
