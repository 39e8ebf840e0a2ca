/** The command tree: what looks at jobs and what they keep. */
import type { LetterOptions } from '../commands/dead-letters.ts';
import type { CompactPlaceOptions } from '../commands/compact.ts';
import type { ExportOptions } from '../commands/export.ts';
import type { GetOptions } from '../commands/get.ts';
import type { LogsOptions } from '../commands/logs.ts';
import type { OffsetsOptions } from '../commands/offsets.ts';
import type { ConsumeOptions } from '../commands/consume.ts';
import type { TailOptions } from '../commands/tail.ts';
import type { EventsOptions } from '../commands/watch.ts';
import type { GlobalOptions } from '../settings.ts';
import type { Add } from './add.ts';

/** Commands that look. */
export function addLookCommands(add: Add): void {
  const look = async (): Promise<typeof import('../commands/look.ts')> => await import('../commands/look.ts');
  add<GetOptions>(
    'get <what> [name]',
    'list jobs, workers, partitions, checkpoints, savepoints, batches, revisions, runs, errors, sources, topics or tables',
    async ([what = '', name], options) => await (await import('../commands/get.ts')).get(what, name, options),
  )
    .option('-l, --selector <labels>', 'jobs with these labels: team=payments,env!=prod')
    .option('-w, --watch', 'go on as things change');
  add('runs <job>', 'runs of a job with a schedule: the same as get runs', async ([job = ''], options) => {
    await (await import('../commands/get.ts')).get('runs', job, options);
  });
  add(
    'describe <kind> <name>',
    'show a job, worker or topic in full: describe job NAME',
    async ([kind = '', name = ''], options) => {
      await (await look()).describe(kind, name, options);
    },
  );
  add<GlobalOptions & { readonly revision?: string }>(
    'file <job>',
    'print the file of a job, as it was submitted',
    async ([job = ''], options) => {
      await (await look()).file(job, options);
    },
  ).option('--revision <n>', 'as it was then; default: as it is');
  add('query <cql>', 'ask the tables: SELECT, DESCRIBE KEYSPACES, DESCRIBE TABLES', async ([cql = ''], options) => {
    await (await look()).query(cql, options);
  });
  add<ExportOptions>(
    'export <what>',
    'write the rows of a table (keyspace.table) or of a SELECT to a file or to PostgreSQL',
    async ([what = ''], options) => await (await import('../commands/export.ts')).exportRows(what, options),
  )
    .option('--to <place>', 'rows.parquet, rows.csv, rows.ndjson or postgres://user@host/database')
    .option('--table <name>', 'table of PostgreSQL whose rows are replaced; default: the same name');
  add<CompactPlaceOptions>(
    'compact <where>',
    'merge the small files that jobs have written: to a directory, to s3://bucket/prefix, or those of a job',
    async ([where = ''], options) => await (await import('../commands/compact.ts')).compact(where, options),
  )
    .option('--below <size>', 'files are merged until they are as large', '16MB')
    .option('--job <name>', 'only the files of this job')
    .option('--dry-run', 'say what would be merged');
  add<LogsOptions>(
    'logs [what]',
    'what the processes wrote last, in one stream; of the master, of a worker or about a job: logs NAME',
    async ([what], options) => {
      await (await import('../commands/logs.ts')).logs(what, options);
    },
  )
    .option('-f, --follow', 'go on as lines are written')
    .option('--tail <lines>', 'only the last lines', '200')
    .option('--since <duration>', 'only what is not older: 5m')
    .option('--level <level>', 'only this level and graver ones: debug, info, warn or error')
    .option('--worker <name>', 'only what this worker wrote, and what the master says of it');
  const watch = async (): Promise<typeof import('../commands/watch.ts')> => await import('../commands/watch.ts');
  add<GlobalOptions & { readonly once?: boolean }>('top', 'jobs and workers by what they do', async (_, options) => {
    await (await watch()).top(options);
  }).option('--once', 'print once and end');
  add<TailOptions>(
    'tail <job>',
    'rows at a place of a job: the newest, or as they come',
    async ([job = ''], options) => {
      await (await import('../commands/tail.ts')).tail(job, options);
    },
  )
    .option('--stage <n>', 'as they leave this stage (weir explain counts them)')
    .option('--operator <n>', 'within the stage: as they leave this operator')
    .option('--sink <n>', 'as they stand in the table of this sink')
    .option('--where <sql>', 'only rows that this is true for, of the newest 1000: "age > 30"')
    .option('--limit <n>', 'so many of the newest', '20')
    .option('-f, --follow', 'go on as rows come')
    .option('--rows <n>', 'the same, and end after so many rows');
  add<ConsumeOptions>(
    'consume <topic>',
    'records of a topic that jobs read or write',
    async ([topic = ''], options) => {
      await (await import('../commands/consume.ts')).consume(topic, options);
    },
  )
    .option('--from <place>', 'earliest, latest, an offset or a time: 2024-05-01T12:00:00Z', 'latest')
    .option('--partition <n>', 'only this one')
    .option('--limit <n>', 'so many', '20')
    .option('-f, --follow', 'go on as records come')
    .option('--records <n>', 'the same, and end after so many records');
  add<EventsOptions>('events', 'what happened in the cluster', async (_, options) => {
    await (await watch()).events(options);
  })
    .option('-w, --watch', 'go on as things happen')
    .option('--job <name>', 'only of this job')
    .option('--last <n>', 'so many that happened before', '50');
  add(
    'doctor',
    'look for what is wrong',
    async (_, options) => await (await import('../commands/doctor.ts')).doctor(options),
  );
  add<GlobalOptions & { readonly file?: readonly string[] }>(
    'diff [file...]',
    'what applying job files would change; 10 when something would',
    async (files, options) =>
      await (await import('../commands/diff.ts')).diff([...files, ...(options.file ?? [])], options),
  ).option('-f, --file <file...>', 'the same as naming files');
}

/** Commands about what jobs keep. */
export function addStateCommands(add: Add): void {
  const state = async (): Promise<typeof import('../commands/state.ts')> => await import('../commands/state.ts');
  add('step <job...>', 'run what was appended since, in jobs with "trigger: manual"', async (names, options) => {
    await (await state()).step(names, options);
  });
  add(
    'savepoint <action> <job> [name]',
    'create, list, restore or delete kept checkpoints of a stateful job',
    async ([action = '', job = '', name], options) => await (await state()).savepoint(action, job, name, options),
  );
  add<GlobalOptions & { readonly to?: string }>(
    'rollback <job>',
    'go back to an earlier revision of a job, as a new revision',
    async ([job = ''], options) => await (await state()).rollback(job, options),
  ).option('--to <revision>', 'the revision; default: the one before');
  add<OffsetsOptions>(
    'offsets <action> <job> [place...]',
    'get, set or reset where a job stands; set and reset need it stopped',
    async ([action = '', job = '', ...places], options) =>
      await (await import('../commands/offsets.ts')).offsets(action, job, places, options),
  )
    .option('--to <point>', 'reset: earliest, latest, initial (as the file says) or a time')
    .option('-y, --yes', 'do not ask: a stateful job loses its state');
  add<LetterOptions>(
    'dlq <action> <job> [place...]',
    'list, show, replay or purge the records that a job could not process',
    async ([action = '', job = '', ...places], options) =>
      await (await import('../commands/dead-letters.ts')).deadLetters(action, job, places, options),
  )
    .option('--limit <n>', 'list: so many', '50')
    .option('--topic <name>', 'only of this topic')
    .option('--code <code>', 'only of this reason: FIELD_MISSING')
    .option('--all', 'all that the filters leave')
    .option('--value <file>', 'replay: this value instead of the stored one')
    .option('--purge', 'replay: delete what was sent');
}
