/** How much a thread is asked to do again in one message. */

/** More would keep the epochs of running jobs waiting behind it. */
const STEP_BYTES_MAX = 512 * 1024;
const STEP_TASKS_MAX = 64;

/** Tasks in steps of a bounded number and, where one task alone is not larger, of bounded bytes. Their order stays. */
export function inSteps<T>(tasks: readonly T[], bytesOf: (task: T) => number): T[][] {
  const steps: T[][] = [];
  let size = 0;
  for (const task of tasks) {
    const bytes = bytesOf(task);
    const last = steps.at(-1);
    if (last === undefined || last.length >= STEP_TASKS_MAX || size + bytes > STEP_BYTES_MAX) {
      steps.push([task]);
      size = bytes;
    } else {
      last.push(task);
      size += bytes;
    }
  }
  return steps;
}
