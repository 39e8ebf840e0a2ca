import type { JobName, Run } from '../ids.ts';

/**
 * Name of the blob with one version of a static table's rows: JSON, an array of rows. The master puts it there before a
 * plan names the version.
 */
export function staticBlob(job: JobName, run: Run, table: string, version: number): string {
  return `${job}/${run}/static/${table}/${version}`;
}
