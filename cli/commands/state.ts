/** `weir step`, `weir savepoint`, `weir rollback`: commands of stateful jobs. */
import { WeirError } from '../../core/errors.ts';
import type { SavepointView } from '../../master/http/documents.ts';
import { MasterClient } from '../client.ts';
import { jobPath } from '../names.ts';
import { formatAge, formatCount, formatTable, print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';

/** `weir step JOB…`: what was appended since, in jobs with `trigger: manual`. */
export async function step(names: readonly string[], options: GlobalOptions): Promise<void> {
  const format = outputFormat(options, ['table', 'json', 'name']);
  const client = new MasterClient(target(options));
  for (const name of names) {
    const { epochs } = await client.step(name);
    if (format === 'json') printJson({ name, epochs });
    else print(name);
    tell(`${name} ran ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}`);
  }
}

/** `weir savepoint create|list|restore|delete JOB [NAME]`. Throws: USAGE. */
export async function savepoint(
  action: string,
  job: string,
  name: string | undefined,
  options: GlobalOptions,
): Promise<void> {
  const client = new MasterClient(target(options));
  if (action === 'list') return showList(await client.savepoints(job), options);
  if (action === 'create') {
    const made = await client.createSavepoint(job, name ?? nameByTime(new Date()));
    if (outputFormat(options, ['table', 'json', 'name']) === 'json') return printJson(made);
    print(made.name);
    return tell(
      `savepoint ${made.name} of ${job} holds what epoch ${made.epoch} left, ${formatCount(made.bytes)} bytes`,
    );
  }
  if (action === 'delete') {
    if (name === undefined) throw new WeirError('USAGE', `Name the savepoint: weir savepoint delete ${job} NAME.`);
    await client.deleteSavepoint(job, name);
    print(name);
    return tell(`savepoint ${name} of ${job} deleted`);
  }
  if (action === 'restore') {
    if (name === undefined) throw new WeirError('USAGE', `Name the savepoint: weir savepoint restore ${job} NAME.`);
    const { source } = await client.request<{ readonly source: string }>('GET', `${jobPath(job)}/plan`);
    const outcome = await client.apply(job, source, { dryRun: false, start: `savepoint:${name}` });
    if (outcome.kind !== 'applied')
      throw new WeirError('CONFLICT', `Job ${job} cannot begin with savepoint ${name}: its file is refused by now.`);
    print(job);
    return tell(`${job} begins run ${outcome.run} with savepoint ${name}`);
  }
  throw new WeirError('USAGE', `There is no weir savepoint ${action}; there are create, list, restore and delete.`);
}

/** `weir rollback JOB [--to REVISION]`. Throws: USAGE. */
export async function rollback(job: string, options: GlobalOptions & { readonly to?: string }): Promise<void> {
  const to = options.to === undefined ? undefined : Number(options.to);
  if (to !== undefined && !(Number.isSafeInteger(to) && to >= 1))
    throw new WeirError('USAGE', `--to is ${options.to}; it takes the number of a revision.`);
  const client = new MasterClient(target(options));
  const { row: before } = await client.job(job);
  const warnings = await client.rollback(job, to);
  const { row } = await client.job(job);
  print(job);
  for (const warning of warnings) tell(`warning: ${job}: ${warning}`);
  if (row.revision === before.revision)
    return tell(`${job} is as revision ${to ?? row.revision} says; nothing changed`);
  const source = to ?? before.former?.[0]?.revision ?? row.revision;
  tell(`${job} is at revision ${row.revision}, which says what revision ${source} said; it was at ${before.revision}`);
}

function showList(savepoints: readonly SavepointView[], options: GlobalOptions): void {
  const format = outputFormat(options, ['table', 'json', 'name']);
  if (format === 'json') return printJson({ savepoints });
  if (format === 'name') {
    for (const { name } of savepoints) print(name);
    return;
  }
  if (savepoints.length === 0) return tell('no savepoints');
  const rows = savepoints.map(({ name, revision, run, epoch, bytes, createdAt }) => [
    name,
    String(revision),
    String(run),
    String(epoch),
    formatCount(bytes),
    formatAge(Date.now() - createdAt),
  ]);
  print(formatTable(['NAME', 'REVISION', 'RUN', 'EPOCH', 'BYTES', 'AGE'], rows));
}

/** `20260131-235959`: sorts by time. */
function nameByTime(now: Date): string {
  return now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
}
