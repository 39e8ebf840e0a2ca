/** Shapes of what REST takes and answers: the source of the checks on requests and of the OpenAPI document. */
import { z } from 'zod';
import { jobSpecSchema } from '../../core/job/spec.ts';
import { errorTable } from '../../core/errors.ts';
import { roles, tokenRoles } from '../../core/security/roles.ts';

const count = z.number().int().nonnegative();
const offset = z.number().int();
/** ms since 1970. */
const time = z.number();

/** Numbers and switches of a query string. */
const digits = z.string().regex(/^\d{1,15}$/, 'a whole number');
export const flag = z.enum(['true', 'false', '1', '0', '']).describe('true, 1 or empty = yes');
export const limitParam = digits.describe('How many at most');
export const numberParam = digits;

/** Where a job that begins anew begins. */
export const startParam = z
  .string()
  .regex(
    /^(earliest|latest|continue|savepoint:[a-z0-9][a-z0-9._-]{0,62})$/,
    'a job starts at earliest, latest, continue or savepoint:NAME',
  )
  .describe('earliest, latest, continue or savepoint:NAME: begins a new run there');
export const resetParam = z
  .string()
  .regex(
    /^(earliest|latest|initial|\d{1,15}|\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d:[0-5]\d)?)?)$/,
    'offsets are reset to earliest, latest, initial or a time: 2024-05-01T12:00:00Z, or ms since 1970',
  )
  .describe('earliest (default), latest, initial (as the file says) or a time: 2024-05-01T12:00:00Z, or ms since 1970');
export const selectorParam = z
  .string()
  .max(1000)
  .regex(
    /^[a-z][a-z0-9._/-]{0,62}(!?=[A-Za-z0-9._/-]{0,63})?(, ?[a-z][a-z0-9._/-]{0,62}(!?=[A-Za-z0-9._/-]{0,63})?)*$/,
    'labels are written as team=payments,env!=prod,nightly',
  )
  .describe('Only jobs with these labels: team=payments,env!=prod,nightly');

export const topicsParam = z
  .string()
  .max(1000)
  .regex(
    /^(events|progress|jobs|workers|logs|(job|progress):[a-z][a-z0-9-]{0,62})(,(events|progress|jobs|workers|logs|(job|progress):[a-z][a-z0-9-]{0,62}))*$/,
    'topics are events, progress, jobs, workers, logs, job:NAME and progress:NAME, with commas between them',
  )
  .describe('With commas: events, progress, jobs, workers, logs, job:NAME, progress:NAME. Default: events,progress');

export function isSet(value: z.output<typeof flag> | undefined): boolean {
  return value === 'true' || value === '1' || value === '';
}

export const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe('A whole sentence: what is wrong and what to do'),
    code: z.enum(Object.keys(errorTable) as [string, ...string[]]).describe('Stable; listed in docs/errors.md'),
    facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
    problems: z.array(z.looseObject({ path: z.string(), message: z.string() })).optional(),
  })
  .describe('RFC 9457 problem document');

export const jobProblemSchema = z.looseObject({
  path: z.string().describe('Place in the job file: sinks.0.table'),
  message: z.string(),
  hint: z.string().optional(),
  line: z.number().int().optional(),
  column: z.number().int().optional(),
});

const reasonSchema = z.object({ code: z.string(), message: z.string() }).nullable();

const countersSchema = z
  .object({ read: count, passed: count, filtered: count, skipped: count, dead: count, rowsOut: count })
  .describe('Exact under every fault: read = passed + filtered + skipped + dead');

const jobState = z.enum(['starting', 'running', 'stopping', 'stopped', 'finished', 'failed', 'deleted']);

const figures = {
  lag: z.number().describe('Records behind the end of the logs'),
  recordsPerSecond: z.number(),
  rowsPerSecond: z.number(),
  latencyMsP50: z.number().nullable().describe('Record appended to sink acknowledged, over the last seconds'),
  latencyMsP99: z.number().nullable(),
};

const placeFacts = {
  labels: z.record(z.string(), z.string()).describe('Of the job file'),
  protocol: z.enum(['lanes', 'epochs']),
  sources: z.array(z.looseObject({ name: z.string(), connector: z.string(), topic: z.string() })),
  sinks: z.array(z.looseObject({ connector: z.string(), description: z.string() })),
  topics: z.array(z.string()).describe('Topics that the job reads'),
};

export const jobSummarySchema = z
  .looseObject({
    name: z.string(),
    state: jobState,
    reason: reasonSchema,
    revision: z.number().int(),
    run: z.number().int(),
    submittedAt: time,
    changedAt: time,
    partitionCount: count,
    counters: countersSchema,
    ...placeFacts,
    ...figures,
  })
  .describe('A job without its partitions');

export const jobStatusSchema = z.looseObject({
  ...jobSummarySchema.shape,
  epochs: z.looseObject({}).nullable().describe('A stateful job’s epochs and state'),
});

export const jobViewSchema = z
  .looseObject({
    row: z.looseObject({
      name: z.string(),
      state: jobState,
      reason: reasonSchema,
      revision: z.number().int(),
      run: z.number().int(),
    }),
    lanes: z.array(
      z.looseObject({
        lane: z.string(),
        source: z.string(),
        topic: z.string(),
        partition: count,
        owner: z.string().nullable(),
        state: z.string(),
        committedOffset: offset,
        endOffset: offset,
        lag: z.number(),
        counters: countersSchema,
      }),
    ),
    counters: countersSchema,
    epochs: z.looseObject({}).nullable(),
    schemaChanges: z
      .array(
        z.looseObject({
          source: z.string(),
          kind: z.enum(['new', 'missing', 'retyped']),
          column: z.string(),
          before: z.string().nullable(),
          after: z.string().nullable(),
          partition: count,
          offset,
          message: z.string(),
        }),
      )
      .describe('How records differ from the schemas of sources with onSchemaChange, since the run began'),
    operators: z.array(
      z.looseObject({
        id: z.string().describe('source0, stage0, sink0: as `weir explain --format mermaid` names them'),
        rowsPerSecond: z.number().nullable(),
        busyRatio: z
          .number()
          .nullable()
          .describe('Part of the time: of stages, that threads worked; of sinks, that rows waited to be acknowledged'),
        blockedRatio: z
          .number()
          .nullable()
          .describe('Of sources: part of the time that partitions could not be read on'),
        stateRows: z.number().nullable(),
        stateBytes: z.number().nullable(),
      }),
    ),
    ...placeFacts,
    ...figures,
  })
  .describe('A job in full');

export const jobsSchema = z.object({
  jobs: z.array(z.union([jobSummarySchema, jobViewSchema])),
  next: z.string().nullable().describe('Pass as ?cursor= for the rest; null = that was all'),
});

export const applyOutcomeSchema = z
  .looseObject({
    kind: z.enum(['applied', 'valid']),
    name: z.string(),
    change: z.enum(['created', 'updated', 'started', 'unchanged']).optional(),
    changed: z.boolean(),
    stateCompatible: z.boolean(),
    revision: z.number().int().optional(),
    run: z.number().int().optional(),
    warnings: z.array(z.string()),
  })
  .describe('`valid` answers a dry run');

/** Keys of a job file; what they may hold is checked when they are in the file. */
export const jobPatchSchema = z
  .looseObject(Object.fromEntries(Object.keys(jobSpecSchema.shape).map((key) => [key, z.unknown().optional()])))
  .describe('Keys of the job file: a value replaces, null takes away, objects go on inside, lists are replaced');

export const validationSchema = z.object({
  valid: z.boolean(),
  problems: z.array(jobProblemSchema),
  warnings: z.array(z.string()),
});

export const savepointSchema = z.object({
  name: z.string(),
  job: z.string(),
  run: z.number().int(),
  revision: z.number().int(),
  epoch: z.number().int().describe('The last epoch whose effects it holds'),
  bytes: z.number(),
  createdAt: time,
});

export const operationSchema = z
  .object({
    id: z.string(),
    kind: z.string(),
    job: z.string().nullable(),
    state: z.enum(['running', 'done', 'failed']),
    startedAt: time,
    endedAt: time.nullable(),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
  })
  .describe('What takes longer than a request');

export const offsetsSchema = z.object({
  state: jobState,
  offsets: z.array(
    z.object({
      source: z.string(),
      topic: z.string(),
      partition: count,
      committed: offset.describe('Next offset to process; -1 = the job has not begun there'),
      earliest: offset,
      end: offset,
      lag: z.number(),
    }),
  ),
});

const timestamp = z.union([z.number().int().nonnegative(), z.iso.datetime({ offset: true })]);
export const startPointSchema = z
  .union([
    z.enum(['earliest', 'latest']),
    z.strictObject({ timestamp: timestamp.describe('ms since 1970, or ISO 8601 with a zone') }),
    z.strictObject({ timestampMs: z.number().int().nonnegative() }),
  ])
  .describe('earliest, latest, or the first record at or after a time');

export const replaySchema = z.strictObject({ from: startPointSchema });

const wantedOffset = z.strictObject({
  topic: z.string().min(1),
  partition: count,
  offset: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
  source: z.string().optional().describe('Needed where two sources read the same topic'),
});
export const setOffsetsSchema = z.strictObject({
  offsets: z.array(wantedOffset).min(1).describe('Partitions that are not named stay where they are'),
});

const watermarkMs = z.number().int().nonnegative().max(8.64e15).describe('ms since 1970');
export const importSchema = z.strictObject({
  file: z.string().describe('The job file, YAML or JSON'),
  offsets: z
    .array(wantedOffset)
    .min(1)
    .describe('Next offset to process; partitions of these topics that are not named begin at their beginning'),
  watermark: z
    .strictObject({ currentMs: watermarkMs, formerMs: watermarkMs.nullable() })
    .nullable()
    .default(null)
    .describe('Stateful jobs: what was reached elsewhere, and before that'),
  dropState: z.boolean().default(false).describe('Let a stateful job begin without state; refused otherwise'),
});
export const importedSchema = z.object({
  outcome: applyOutcomeSchema,
  partitions: z.array(
    z.object({
      source: z.string(),
      topic: z.string(),
      partition: count,
      offset,
      earliest: offset,
      end: offset,
      isNew: z.boolean().describe('Not named: read from its beginning'),
    }),
  ),
});

/** What a table's column of type int holds. */
const INT_MAX = 2 ** 31 - 1;
const letterKey = {
  run: z.number().int().positive().max(INT_MAX),
  topic: z.string().min(1),
  partition: count.max(INT_MAX),
  offset: z.number().int(),
};
export const deadLettersSchema = z.object({
  letters: z.array(
    z.object({
      ...letterKey,
      code: z.string(),
      reason: z.string().describe('What the code means'),
      place: z.string(),
      recordTime: time.nullable(),
      key: z.string().nullable().describe('base64'),
      value: z.string().nullable().describe('base64, cut at 1 MiB'),
      valueBytes: count.nullable(),
    }),
  ),
  more: z.boolean(),
});
const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/, 'base64');
export const replayLettersSchema = z.strictObject({
  letters: z
    .array(z.strictObject({ ...letterKey, value: base64.optional().describe('Instead of the stored value, base64') }))
    .min(1)
    .max(1000),
});
export const purgeLettersSchema = z.strictObject({
  letters: z.array(z.strictObject(letterKey)).min(1).max(1000),
});

export const rowsSchema = z.object({
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  rows: z.array(z.array(z.unknown())),
});

export const tappedRowsSchema = z.object({
  ...rowsSchema.shape,
  next: z.string().optional().describe('after of the next request; rows of a table have none'),
  skipped: z.number().int().optional().describe('With after: records left out because more came than are looked at'),
});

export const functionsSchema = z.object({
  functions: z.array(
    z.object({
      name: z.string(),
      aliases: z.array(z.string()),
      group: z.string(),
      usage: z.string(),
      about: z.string(),
      examples: z.array(z.object({ sql: z.string(), result: z.string() })),
    }),
  ),
});

/** Said in words: a schema with a length as great makes testers send as much. What is sent may have 1 MiB in all. */
const CQL_LENGTH_MAX = 100_000;
export const querySchema = z.strictObject({
  cql: z
    .string()
    .min(1)
    .refine((cql) => cql.length <= CQL_LENGTH_MAX, `a query has at most ${CQL_LENGTH_MAX} characters`)
    .describe(`SELECT or DESCRIBE; at most ${CQL_LENGTH_MAX} characters`),
});

const inputRecord = z.union([z.record(z.string(), z.unknown()), z.string(), z.null()]);
export const trySchema = z.strictObject({
  job: z.string().min(1).describe('A job file, YAML or JSON'),
  rows: z
    .record(z.string(), z.array(inputRecord).max(1000))
    .describe('Records by source: a JSON object, text as it stands, or null'),
});
export const tryResultSchema = z.object({
  problems: z.array(jobProblemSchema),
  warnings: z.array(z.string()),
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  rows: z.array(z.array(z.unknown())),
  deadLetters: z.array(z.object({ code: z.string(), count })),
  filtered: count,
});

export const callerSchema = z.object({ name: z.string(), role: z.enum(roles) });
export const tokenSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(tokenRoles),
  createdAt: time,
  expiresAt: time.nullable().describe('null = never'),
  revokedAt: time.nullable(),
});
export const tokensSchema = z.object({ tokens: z.array(tokenSchema) });
export const newTokenSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._@-]{0,62}$/, '1 to 63 of a-z, 0-9, ".", "_", "@" and "-"')
    .describe('Who will have it'),
  role: z.enum(tokenRoles).describe('worker: joins the cluster and does nothing else'),
  expiresIn: z
    .string()
    .regex(/^\d{1,5}(s|m|h|d)$/, 'a duration: 10m, 12h, 90d')
    .optional()
    .describe('Default: never; for workers 10m'),
});
export const createdTokenSchema = z.object({ ...tokenSchema.shape, token: z.string().describe('Shown once') });

export const topicsSchema = z.object({
  topics: z.array(
    z.object({
      name: z.string(),
      partitions: count,
      records: z.number(),
      jobs: z.array(z.string()),
      sinks: z.array(z.string()),
      problem: z.string().nullable(),
    }),
  ),
});
export const topicSchema = z.object({
  name: z.string(),
  partitions: z.array(
    z.object({
      partition: count,
      startOffset: offset,
      endOffset: offset,
      lags: z.array(z.object({ job: z.string(), committedOffset: offset, lag: z.number() })),
    }),
  ),
});
export const recordsSchema = z.object({
  records: z.array(
    z.object({
      partition: count,
      offset,
      timestampMs: time,
      key: z.string().nullable(),
      value: z.string().nullable(),
      valueBytes: count.nullable(),
      headers: z.array(z.array(z.string()).length(2)),
    }),
  ),
  next: z.record(z.string(), offset).describe('By partition: ask for more from here'),
});

export const tablesSchema = z.object({
  tables: z.array(
    z.object({
      keyspace: z.string(),
      table: z.string(),
      columns: z.array(z.object({ name: z.string(), type: z.string() })),
      partitionKey: z.array(z.string()),
      clusteringKey: z.array(z.string()),
      jobs: z.array(z.string()),
    }),
  ),
});

const workerFacts = z.looseObject({
  id: z.string(),
  state: z.enum(['alive', 'draining', 'silent']),
  httpAddress: z.string(),
  threads: count,
  version: z.string(),
  lanes: count,
  rssBytes: z.number(),
  eventLoopDelayMs: z.number(),
  heartbeatAgeMs: z.number(),
});

export const workersSchema = z.object({ workers: z.array(workerFacts) });

export const workerSchema = z.looseObject({
  ...workerFacts.shape,
  partitions: z
    .array(z.looseObject({ job: z.string(), source: z.string(), topic: z.string(), partition: count }))
    .describe('Partitions of jobs without state that it reads'),
  stateful: z
    .array(z.object({ job: z.string(), groups: count, partitions: count }))
    .describe('Stateful jobs: how many key groups of 256 it holds, and how many partitions it reads'),
});

export const clusterEventSchema = z.object({
  seq: count,
  at: time,
  level: z.enum(['info', 'warn', 'error']),
  kind: z.enum(['job', 'worker', 'lane', 'leader', 'audit']),
  job: z.string().nullable(),
  worker: z.string().nullable(),
  code: z.string().nullable(),
  message: z.string(),
});
export const eventsSchema = z.object({ events: z.array(clusterEventSchema) });

export const jobErrorsSchema = z.object({
  errors: z.array(
    z.object({
      code: z.string().nullable().describe('Of docs/errors.md'),
      level: z.enum(['warn', 'error']),
      message: z.string().describe('The newest of them'),
      count: z.number().int(),
      firstAt: time,
      lastAt: time,
      current: z.boolean().describe('Whether the job, or a partition of it, is in this trouble now'),
    }),
  ),
});

export const logsSchema = z.object({
  lines: z.array(
    z.object({
      at: time,
      level: z.enum(['debug', 'info', 'warn', 'error']),
      process: z.string(),
      job: z.string().nullable(),
      message: z.string(),
      fields: z.record(z.string(), z.unknown()),
    }),
  ),
});

export const progressSchema = z.object({
  progress: z
    .array(
      z.looseObject({
        id: z.string(),
        runId: z.string(),
        name: z.string(),
        timestamp: z.string(),
        batchId: z.number().int(),
        batchDuration: z.number(),
        numInputRows: count,
        inputRowsPerSecond: z.number(),
        processedRowsPerSecond: z.number(),
        durationMs: z.record(z.string(), z.number()),
        eventTime: z.record(z.string(), z.string()),
        stateOperators: z.array(z.looseObject({ operatorName: z.string() })),
        sources: z.array(z.looseObject({ description: z.string(), numInputRows: count })),
        sink: z.looseObject({
          description: z.string(),
          numOutputRows: z.number(),
          metrics: z.record(z.string(), z.string()),
        }),
        observedMetrics: z.record(z.string(), z.unknown()),
      }),
    )
    .describe('Oldest first; the names of Spark’s StreamingQueryProgress'),
});

export const runsSchema = z.object({
  schedule: z
    .looseObject({ cron: z.string(), timeZone: z.string() })
    .nullable()
    .describe('null for a job without a schedule'),
  next: time.nullable(),
  runs: z
    .array(
      z.object({
        number: z.number().int(),
        scheduledFor: time.nullable().describe('null: somebody started it'),
        state: z.enum(['waiting', 'running', 'retrying', 'succeeded', 'failed', 'timedOut', 'cancelled', 'skipped']),
        startedAt: time.nullable(),
        endedAt: time.nullable(),
        attempts: z.number().int(),
        retryAt: time.nullable(),
        reason: z.object({ code: z.string(), message: z.string() }).nullable(),
      }),
    )
    .describe('Newest first; the latest 50'),
});

export const revisionsSchema = z.object({
  revisions: z.array(
    z.object({
      revision: z.number().int(),
      definition: z.string(),
      current: z.boolean(),
      appliedAt: time.nullable(),
      source: z.string(),
    }),
  ),
});

export const diffSchema = z.object({
  from: z.number().int(),
  to: z.number().int(),
  same: z.boolean(),
  lines: z.array(z.object({ kind: z.enum(['same', 'removed', 'added']), text: z.string() })),
});

export const planSchema = z.object({
  revision: z.number().int(),
  definition: z.string(),
  source: z.string(),
  plan: z.looseObject({ protocol: z.enum(['lanes', 'epochs']) }),
});

export const checkpointsSchema = z.object({
  checkpoints: z.array(
    z.object({ epoch: z.number().int(), at: time, bytes: z.number(), durationMs: z.number().nullable() }),
  ),
});

export const scaleSchema = z.strictObject({
  workers: z.number().int().positive().max(10_000).nullable().describe('At most so many workers; null = all'),
});

export const clusterSchema = z.looseObject({
  version: z.string(),
  role: z.string(),
  connections: z.object({ log: z.string(), tables: z.string() }),
  jobs: z.record(z.string(), count),
  workers: z.record(z.string(), count),
});

export const readySchema = z.looseObject({ status: z.enum(['ready', 'not ready']), role: z.string() });

export const submissionSchema = z
  .looseObject({
    action: z.string(),
    serverSparkVersion: z.string(),
    success: z.boolean(),
    submissionId: z.string().optional(),
    message: z.string().optional(),
    driverState: z
      .enum(['SUBMITTED', 'RUNNING', 'FINISHED', 'RELAUNCHING', 'UNKNOWN', 'KILLED', 'FAILED', 'ERROR'])
      .optional(),
  })
  .describe('As Spark’s standalone REST server answers');
export const submissionRequestSchema = z
  .looseObject({
    action: z.string().optional(),
    appResource: z.string().optional(),
    mainClass: z.string().optional(),
    appArgs: z.array(z.string()).optional(),
    sparkProperties: z.record(z.string(), z.string()).optional(),
    environmentVariables: z.record(z.string(), z.string()).optional(),
  })
  .describe(
    'appResource is `job:NAME` (a job that is there) or `data:…` with a job file; or sparkProperties["spark.weir.job"] is the text of a job file',
  );
