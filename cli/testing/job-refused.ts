import type { JobProblem } from '../../core/job/problem.ts';

/** The job file was refused. */
export class JobRefused extends Error {
  override readonly name = 'JobRefused';
  readonly problems: readonly JobProblem[];

  constructor(problems: readonly JobProblem[]) {
    super(problems.map((problem) => problem.message).join('; '));
    this.problems = problems;
  }
}
