/** Small files of a place, merged by hand: for every job that writes there, whether it runs or not. */
import type { Clock, Rng } from '../../core/clock.ts';
import type { CompactorParts } from './compactor.ts';
import { Compactor } from './compactor.ts';
import type { FilePlace } from './file-place.ts';
import { committedFiles, jobsIn } from './files-log.ts';
import type { FileKind } from './merge-files.ts';

/** Names of files end with one of these; others are not merged. */
const kinds: readonly (FileKind & { readonly suffix: string })[] = [
  { format: 'parquet', gzip: false, suffix: '.parquet' },
  ...(['csv', 'ndjson'] as const).flatMap((format) => [
    { format, gzip: false, suffix: `.${format}` },
    { format, gzip: true, suffix: `.${format}.gz` },
  ]),
];

export interface Compacted {
  readonly job: string;
  /** What the names of the files end with. */
  readonly suffix: string;
  /** Small files that others took the place of, or would. */
  readonly replaced: number;
  /** Those others. */
  readonly files: number;
}

export interface CompactOptions {
  /** Bytes; smaller files are merged until they are as large. */
  readonly below: number;
  /** Says what would be merged, and changes nothing. */
  readonly dryRun: boolean;
  /** Only this job's files. */
  readonly job?: string;
  readonly clock: Clock;
  readonly rng: Rng;
}

/**
 * Merges until nothing is left to merge; in a bucket, where replaced files stay for a round, one round of 1000 files. Beside
 * a job that writes or merges there every row counts once at every moment; of two that merge at once one wins, and the
 * other leaves the rest to its next call. Called when all is merged it changes nothing. Throws what the place throws.
 */
export async function compactPlace(place: FilePlace, options: CompactOptions): Promise<readonly Compacted[]> {
  const { below, dryRun, clock, rng } = options;
  const done: Compacted[] = [];
  for (const job of await jobsIn(place)) {
    if (options.job !== undefined && options.job !== job) continue;
    const names = (await committedFiles(place, job)).map(({ name }) => name);
    for (const { suffix, ...kind } of kinds) {
      if (!names.some((name) => name.endsWith(suffix))) continue;
      const parts = { job, place, kind, suffix, below, everyMs: 0, clock, rng };
      const { replaced, files } = dryRun ? await new Compactor(parts).preview() : await merged(parts);
      if (replaced > 0) done.push({ job, suffix, replaced, files });
    }
  }
  return done;
}

async function merged(parts: CompactorParts): Promise<{ readonly replaced: number; readonly files: number }> {
  const sum = { replaced: 0, files: 0 };
  for (let before = -1; before < sum.replaced;) {
    before = sum.replaced;
    const compactor = new Compactor({
      ...parts,
      onMerged: (replaced, files) => {
        sum.replaced += replaced;
        sum.files += files;
      },
    });
    await compactor.round();
    await compactor.close();
    if (!parts.place.moves) break;
  }
  return sum;
}
