/** `weir compact PATH|JOB`: small files of jobs as fewer and larger ones, by hand. */
import { existsSync } from 'node:fs';
import type { Compacted } from '../../connectors/files/compact-place.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { WeirError } from '../../core/errors.ts';
import { size, sizeBytes } from '../../core/job/options.ts';
import type { SinkSettings } from '../../core/row-sink.ts';
import { MasterClient } from '../client.ts';
import { jobPath } from '../names.ts';
import { formatTable, print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';

export interface CompactPlaceOptions extends GlobalOptions {
  readonly below?: string;
  readonly job?: string;
  readonly dryRun?: boolean;
}

/** As much as a job file may say: a merge holds about twice as much in memory. */
const BELOW_MAX = 256 * 2 ** 20;

/** A place whose files are merged, of all jobs that wrote there or of one. */
interface Where {
  readonly settings: SinkSettings;
  readonly job: string | undefined;
}

/**
 * `what`: a directory, `s3://bucket/prefix`, or the name of a job of the cluster, whose file says where it writes.
 *
 * Throws: USAGE; CONFIG_INVALID without credentials of a bucket; NOT_FOUND where no job has written, and for a job that is
 * not there; what the place throws.
 */
export async function compact(what: string, options: CompactPlaceOptions): Promise<void> {
  const format = outputFormat(options, ['table', 'json']);
  const { below = '16MB', dryRun = false } = options;
  const bytes = sizeBytes(below);
  if (!size.safeParse(below).success || bytes > BELOW_MAX)
    throw new WeirError('USAGE', `--below is a size up to 256MB, such as 64MB, and not ${below}.`);
  const done: Compacted[] = [];
  for (const where of await placesOf(what, options)) done.push(...(await merged(where, bytes, dryRun)));
  if (format === 'json') return printJson({ dryRun, merged: done });
  if (done.length === 0) return tell('nothing to merge');
  const rows = done.map(({ job: of, suffix, replaced, files }) => [of, suffix, String(replaced), String(files)]);
  print(formatTable(['JOB', 'FILES', dryRun ? 'WOULD BE REPLACED' : 'REPLACED', 'BY'], rows));
}

/** A name of a job has neither slashes nor dots, and a directory of that name comes before it. */
async function placesOf(what: string, options: CompactPlaceOptions): Promise<readonly Where[]> {
  if (/[/\\.]/.test(what) || existsSync(what)) return [{ settings: { path: what }, job: options.job }];
  const client = new MasterClient(target(options));
  const { source } = await client.request<{ readonly source: string }>('GET', `${jobPath(what)}/plan`);
  const { loadJobFile } = await import('../../core/job/file.ts');
  const sinks = loadJobFile(source).spec?.sinks.filter((sink) => sink.connector === 'files') ?? [];
  if (sinks.length === 0) throw new WeirError('USAGE', `Job ${what} writes no files; name one with the sink files.`);
  return sinks.map(({ path, endpoint, region }) => ({
    settings: { path, ...(endpoint === undefined ? {} : { endpoint }), ...(region === undefined ? {} : { region }) },
    job: what,
  }));
}

async function merged({ settings, job }: Where, below: number, dryRun: boolean): Promise<readonly Compacted[]> {
  const [{ FilesSinks }, { compactPlace }, { fileFailure }, { jobsIn }] = await Promise.all([
    import('../../connectors/files/files-sinks.ts'),
    import('../../connectors/files/compact-place.ts'),
    import('../../connectors/files/failures.ts'),
    import('../../connectors/files/files-log.ts'),
  ]);
  const requireHost = (): Promise<void> => Promise.resolve();
  const parts = { clock: systemClock, rng: systemRng, env: process.env, anywhere: true, requireHost };
  const place = await new FilesSinks(parts).placeOf(settings);
  try {
    const jobs = await jobsIn(place);
    if (jobs.length === 0 || (job !== undefined && !jobs.includes(job)))
      throw new WeirError(
        'NOT_FOUND',
        jobs.length === 0
          ? `No job has written files to ${place.description}, as far as this machine sees it.`
          : `Job ${job ?? ''} has written no files to ${place.description}; those that have: ${jobs.join(', ')}.`,
      );
    const only = job === undefined ? {} : { job };
    return await compactPlace(place, { ...only, below, dryRun, clock: systemClock, rng: systemRng });
  } catch (error) {
    throw fileFailure(error, `files ${place.description}`);
  }
}
