/** `weir compact PATH`: small files of jobs as fewer and larger ones, by hand. */
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { WeirError } from '../../core/errors.ts';
import { size, sizeBytes } from '../../core/job/options.ts';
import { formatTable, print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat } from '../settings.ts';

export interface CompactPlaceOptions extends GlobalOptions {
  readonly below?: string;
  readonly job?: string;
  readonly dryRun?: boolean;
}

/** As much as a job file may say: a merge holds about twice as much in memory. */
const BELOW_MAX = 256 * 2 ** 20;

/** Throws: USAGE; CONFIG_INVALID without credentials of a bucket; NOT_FOUND where no job has written; what the place throws. */
export async function compact(path: string, options: CompactPlaceOptions): Promise<void> {
  const format = outputFormat(options, ['table', 'json']);
  const { below = '16MB', job, dryRun = false } = options;
  const bytes = sizeBytes(below);
  if (!size.safeParse(below).success || bytes > BELOW_MAX)
    throw new WeirError('USAGE', `--below is a size up to 256MB, such as 64MB, and not ${below}.`);
  const [{ FilesSinks }, { compactPlace }, { fileFailure }, { jobsIn }] = await Promise.all([
    import('../../connectors/files/files-sinks.ts'),
    import('../../connectors/files/compact-place.ts'),
    import('../../connectors/files/failures.ts'),
    import('../../connectors/files/files-log.ts'),
  ]);
  const requireHost = (): Promise<void> => Promise.resolve();
  const parts = { clock: systemClock, rng: systemRng, env: process.env, anywhere: true, requireHost };
  const place = await new FilesSinks(parts).placeOf({ path });
  try {
    const jobs = await jobsIn(place);
    if (jobs.length === 0 || (job !== undefined && !jobs.includes(job)))
      throw new WeirError(
        'NOT_FOUND',
        jobs.length === 0
          ? `No job has written files to ${place.description}.`
          : `Job ${job ?? ''} has written no files to ${place.description}; those that have: ${jobs.join(', ')}.`,
      );
    const only = job === undefined ? {} : { job };
    const done = await compactPlace(place, { ...only, below: bytes, dryRun, clock: systemClock, rng: systemRng });
    if (format === 'json') return printJson({ dryRun, merged: done });
    if (done.length === 0) return tell('nothing to merge');
    const rows = done.map(({ job: of, suffix, replaced, files }) => [of, suffix, String(replaced), String(files)]);
    print(formatTable(['JOB', 'FILES', dryRun ? 'WOULD BE REPLACED' : 'REPLACED', 'BY'], rows));
  } catch (error) {
    throw fileFailure(error, `files ${place.description}`);
  }
}
