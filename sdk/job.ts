/** Jobs written in TypeScript: `export default defineJob({ … })` in a file under jobs/. */
import { WeirError } from '../core/errors.ts';
import type { JobSpec, JobSpecInput } from '../core/job/spec.ts';
import { jobSpecSchema } from '../core/job/spec.ts';

/** What a job file says, without the two lines every file begins with. */
export type JobDefinition = Omit<JobSpecInput, 'apiVersion' | 'kind' | '$schema'>;

/** Checks a job's definition and fills in the defaults. Throws: JOB_INVALID with every mistake. */
export function defineJob(definition: JobDefinition): JobSpec {
  const checked = jobSpecSchema.safeParse({ apiVersion: 'weir/v1', kind: 'Job', ...definition });
  if (checked.success) return checked.data;
  const mistakes = checked.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new WeirError('JOB_INVALID', `The job ${definition.name} has mistakes: ${mistakes.join('; ')}.`);
}
