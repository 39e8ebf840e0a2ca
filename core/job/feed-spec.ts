/**
 * Options of feeds: sources that are no logs. One worker reads the place and appends what is new to a topic; the job
 * reads that topic as any other.
 */
import { z } from 'zod';
import { connectorNamePattern } from './connector-names.ts';
import { bytes, count, duration } from './options.ts';
import { extractorProblem } from './page-extractor.ts';

const path = z.string().max(500);
const secretText = z.string().max(8192);

const id = path
  .min(1)
  .optional()
  .describe('Path of the field that tells rows apart (id, user.id); default: what the row holds');

const headers = z
  .record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'not a header name'), secretText)
  .default({})
  .describe('Sent with every request. ${env:WEIR_SECRET_NAME} stands for a variable of the worker');

const basic = z.strictObject({ username: secretText, password: secretText });
const auth = z
  .union([z.strictObject({ bearer: secretText.min(1) }), z.strictObject({ basic })])
  .optional()
  .describe('How to sign in: { bearer: ${env:WEIR_SECRET_TOKEN} }, or { basic: { username, password } }');

const scalar = z.union([z.string().max(8192), z.number(), z.boolean()]);
const pageNumber = z.strictObject({
  parameter: z.string().min(1).default('page'),
  start: z.number().int().min(0).default(1),
});
const offsetPaging = z.strictObject({
  parameter: z.string().min(1).default('offset'),
  limitParameter: z.string().min(1).default('limit'),
  limit: count.max(100_000).default(100),
});
const cursorPaging = z.strictObject({
  parameter: z.string().min(1).default('cursor'),
  path: path
    .min(1)
    .describe('Where an answer has the cursor of the next page; absent, null or empty there = last page'),
});
const paging = z
  .union([
    z.strictObject({ link: z.literal(true) }).describe('The Link header with rel="next"'),
    z.strictObject({ next: path.min(1) }).describe('Path of the address of the next page in an answer'),
    z.strictObject({ page: pageNumber }).describe('A page number as parameter, up to a page without records'),
    z.strictObject({ offset: offsetPaging }).describe('Offset and limit as parameters, up to a page that is not full'),
    z.strictObject({ cursor: cursorPaging }).describe('A cursor of the answer as parameter of the next request'),
  ])
  .optional()
  .describe('How the pages of one poll follow each other; default: there is one');

const since = z
  .strictObject({
    parameter: z.string().min(1).describe('Request parameter that gets it'),
    field: path
      .min(1)
      .describe('Path of a field of the records; the greatest one seen is what the next poll begins after'),
    initial: scalar.optional().describe('What the first poll begins after'),
  })
  .optional()
  .describe('Polls ask for what is newer than the newest record so far');

const url = z.url({ protocol: /^https?$/, error: 'an address begins with http:// or https://' });
const requestsPerSecond = z.number().positive().max(10_000).optional().describe('Requests per second at most');
const every = (text: string): z.ZodDefault<typeof duration> =>
  duration.default(text).describe('Pause after a poll that found all there is');

const http = {
  url: url.describe('What to ask'),
  method: z.enum(['GET', 'POST']).default('GET'),
  query: z.record(z.string(), scalar).default({}).describe('Parameters added to the address'),
  headers,
  auth,
  body: z
    .string()
    .max(1024 * 1024)
    .optional()
    .describe('Sent with POST'),
  every: every('60s'),
  response: z
    .enum(['json', 'ndjson', 'csv', 'xml', 'text'])
    .default('json')
    .describe('What an answer is. Records of csv (with a line of names) and xml become JSON'),
  records: path
    .default('')
    .describe(
      'Path of the list of records in an answer (results, data.items; xml: names of elements); default: all of it',
    ),
  id,
  paging,
  pagesMax: count.default(1000).describe('Pages of one poll at most'),
  since,
  requestsPerSecond,
  timeout: duration.default('30s').describe('How long an answer may take'),
  responseBytesMax: bytes.max(512 * 1024 * 1024).default(64 * 1024 * 1024),
} as const;

const rule = z
  .union([
    z.strictObject({
      sequence: z.strictObject({ start: z.number().int().default(0), step: z.number().int().default(1) }),
    }),
    z.strictObject({ integer: z.strictObject({ min: z.number().int(), max: z.number().int() }) }),
    z.strictObject({
      number: z.strictObject({
        min: z.number(),
        max: z.number(),
        decimals: z.number().int().min(0).max(15).default(2),
      }),
    }),
    z.strictObject({
      oneOf: z
        .array(z.union([scalar, z.null()]))
        .min(1)
        .max(10_000),
    }),
    z.strictObject({ text: z.string().max(8192) }).describe('{n} stands for the number of the row'),
    z.strictObject({ uuid: z.literal(true) }),
    z.strictObject({ now: z.literal(true) }).describe('When the row was made'),
    z.strictObject({
      time: z.strictObject({ start: z.iso.datetime({ offset: true }), step: duration.default('1s') }),
    }),
  ])
  .describe('How the values of a field come about');

const generator = {
  fields: z
    .record(z.string().min(1), rule)
    .refine((fields) => Object.keys(fields).length > 0, 'a generated row has at least one field')
    .superRefine((fields, context) => {
      for (const [name, each] of Object.entries(fields)) {
        const range = 'integer' in each ? each.integer : 'number' in each ? each.number : null;
        if (range !== null && range.min > range.max)
          context.addIssue({ code: 'custom', path: [name], message: `min ${range.min} is above max ${range.max}` });
      }
    }),
  rowsPerSecond: z.number().positive().max(1_000_000).default(1),
  rows: count.optional().describe('Rows in all; default: no end'),
  seed: z.number().int().min(0).max(0xffff_ffff).default(1).describe('The same seed gives the same rows'),
} as const;

const file = {
  path: z
    .string()
    .min(1)
    .max(4096)
    .describe("Files by a pattern, '/data/in/*.ndjson'; below the worker's WEIR_FILES_DIR"),
  every: duration.default('1s').describe('How often to look for new lines and files'),
  headerLines: z
    .number()
    .int()
    .min(0)
    .max(1000)
    .default(0)
    .describe('Lines at the beginning of each file to leave out'),
  id,
  finished: z
    .union([z.enum(['keep', 'delete']), z.strictObject({ moveTo: z.string().min(1).max(4096) })])
    .default('keep')
    .describe('What becomes of a file that has not grown for finishedAfter and is read to its end'),
  finishedAfter: duration.default('60s'),
  lineBytesMax: bytes.max(16 * 1024 * 1024).default(1024 * 1024),
} as const;

const websocket = {
  url: z.url({ protocol: /^wss?$/, error: 'an address begins with ws:// or wss://' }),
  headers,
  protocols: z.array(z.string().min(1)).default([]).describe('Sub-protocols that are offered'),
  subscribe: z
    .array(z.string().max(64 * 1024))
    .default([])
    .describe('Messages sent after every connection'),
  resume: z
    .strictObject({
      field: path.min(1).describe('Path of a field of the records'),
      subscribe: z
        .array(z.string().max(64 * 1024))
        .min(1)
        .describe('{last} stands for the field of the last record'),
    })
    .optional()
    .describe('What is sent instead of subscribe once there are records: for servers that can repeat what was missed'),
  records: path.default('').describe('Path of the records in a message; messages without it are left out'),
  id,
  heartbeat: z
    .strictObject({ every: duration.default('30s'), message: z.string().max(64 * 1024) })
    .optional()
    .describe('A message sent again and again to keep the connection'),
  silence: duration.default('60s').describe('A connection that says nothing for so long is opened anew'),
  batchEvery: duration.default('100ms').describe('Messages of so long are appended together'),
  timeout: duration.default('10s').describe('How long connecting may take'),
} as const;

const extract = z.union([
  z.string().min(1).describe('CSS selector; its text'),
  z.strictObject({
    selector: z.string().min(1),
    attribute: z.string().min(1).optional().describe('An attribute instead of the text'),
    all: z.boolean().default(false).describe('A list of all that match'),
  }),
]);

const browser = {
  url: url.describe('The first list page'),
  items: z.string().min(1).describe('CSS selector of the links to detail pages on a list page'),
  next: z.string().min(1).optional().describe('CSS selector of the link to the next list page'),
  pagesMax: count.default(100).describe('List pages of one pass at most'),
  listReady: z.string().min(1).optional().describe('CSS selector that a list page has once its script has drawn it'),
  detailReady: z.string().min(1).optional().describe('The same of a detail page'),
  fields: z
    .record(z.string().min(1), extract)
    .refine((fields) => !Object.hasOwn(fields, 'url'), 'url is the address of the page')
    .default({})
    .describe('What is read off a detail page, by CSS selectors; the field url is its address'),
  extract: z
    .string()
    .min(1)
    .max(50_000)
    .superRefine((source, context) => {
      const problem = extractorProblem(source);
      if (problem !== null) context.addIssue({ code: 'custom', message: problem });
    })
    .optional()
    .describe('A TypeScript function of the page (document) that gives an object of more fields; it runs in the page'),
  ignoreParameters: z
    .array(z.string().min(1))
    .default([])
    .describe('Parameters of addresses that do not make another page: utm_source, page'),
  revisit: z.boolean().default(false).describe('Read detail pages of earlier passes again, for what changed on them'),
  every: every('1h'),
  delay: duration.default('2s').describe('Least time between two pages of a host; robots.txt may ask for more'),
  userAgent: z.string().min(1).max(500).default('weir (stream processor)').describe('robots.txt is obeyed by its name'),
  timeout: duration.default('30s').describe('How long a page may take'),
} as const;

const packaged = {
  name: z.string().max(40).regex(connectorNamePattern, 'a name is words of a-z and 0-9 with - between them'),
  options: z.record(z.string(), z.unknown()).default({}).describe('What its weir-connector.json describes'),
} as const;

/** Options of each feed, by connector. */
export const feedOptions = { generator, http, file, websocket, browser, package: packaged } as const;

/** A feed's own options, without those of its log: what the worker that fills the topic is given. */
export const feedSpecSchema = z.discriminatedUnion('connector', [
  z.object({ connector: z.literal('generator'), ...generator }),
  z.object({ connector: z.literal('http'), ...http }),
  z.object({ connector: z.literal('file'), ...file }),
  z.object({ connector: z.literal('websocket'), ...websocket }),
  z.object({ connector: z.literal('browser'), ...browser }),
  z.object({ connector: z.literal('package'), ...packaged }),
]);

export type FeedSpec = z.output<typeof feedSpecSchema>;
export type GeneratorSpec = Extract<FeedSpec, { connector: 'generator' }>;
export type HttpSpec = Extract<FeedSpec, { connector: 'http' }>;
export type FileSpec = Extract<FeedSpec, { connector: 'file' }>;
export type WebSocketSpec = Extract<FeedSpec, { connector: 'websocket' }>;
export type BrowserSpec = Extract<FeedSpec, { connector: 'browser' }>;
export type PackageFeedSpec = Extract<FeedSpec, { connector: 'package' }>;
