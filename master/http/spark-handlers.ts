/**
 * The submission interface of Spark's standalone master (deploy/rest/RestSubmissionServer.scala), so that what drives
 * Spark drives Weir: `spark-submit --status`, Airflow's Spark operator. A submission is a job; its id is made of digits,
 * as those tools expect, and is the same at every master.
 */
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
import { loadJobFile } from '../../core/job/file.ts';
import type { JobState } from '../../core/states.ts';
import { crc32c } from '../../core/crc32c.ts';
import type { CodePolicy, JobService } from '../service.ts';
import type { JobView } from '../views.ts';
import type { Answer, Handlers } from './call.ts';
import { codeOf, ok } from './call.ts';

/** Name of the property that may hold the text of a job file. */
export const SPARK_JOB_PROPERTY = 'spark.weir.job';
const JOB_PREFIX = 'job:';
const SPARK_API_VERSION = '4.1.1';

/** Spark's driver states (deploy/master/DriverState.scala). */
const driverStates: Record<JobState, string> = {
  starting: 'SUBMITTED',
  running: 'RUNNING',
  stopping: 'RUNNING',
  stopped: 'KILLED',
  finished: 'FINISHED',
  failed: 'FAILED',
  deleted: 'KILLED',
};

/** `driver-20260131235959-1234567890`: the time of submission and a hash of the name. */
export function submissionId({ row }: Pick<JobView, 'row'>): string {
  const time = new Date(row.submittedAt).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14);
  return `driver-${time}-${crc32c(Buffer.from(row.name))}`;
}

export function sparkHandlers(
  service: JobService,
): Handlers<'sparkCreate' | 'sparkStatus' | 'sparkKill' | 'sparkReady'> {
  const find = (id: string): JobView | undefined =>
    service.jobs().find((view) => submissionId(view) === id || view.row.name === id);
  const answer = (action: string, facts: object): Answer =>
    ok({ action, serverSparkVersion: SPARK_API_VERSION, ...facts });
  return {
    sparkCreate: async ({ body, caller }) => {
      const action = 'CreateSubmissionResponse';
      try {
        const name = await create(service, body, codeOf(caller));
        const view = service.job(name);
        const id = submissionId(view);
        return answer(action, { submissionId: id, success: true, message: `Job ${name} was submitted as ${id}` });
      } catch (error) {
        // Who may not is told so by the status, as at every other door.
        if (!isWeirError(error) || error.code === 'FORBIDDEN') throw error;
        return answer(action, { success: false, message: messageOf(error) });
      }
    },
    sparkStatus: ({ params }) => {
      const action = 'SubmissionStatusResponse';
      const id = params['id'] ?? '';
      const view = find(id);
      if (view === undefined)
        return answer(action, { submissionId: id, success: false, message: `There is no submission ${id}.` });
      const { state, reason } = view.row;
      return answer(action, {
        submissionId: submissionId(view),
        success: true,
        driverState: driverStates[state],
        workerId: view.lanes.find(({ owner }) => owner !== null)?.owner ?? view.epochs?.workers[0]?.id ?? '',
        ...(reason === null ? {} : { message: reason.message }),
      });
    },
    sparkKill: async ({ params }) => {
      const action = 'KillSubmissionResponse';
      const id = params['id'] ?? '';
      const view = find(id);
      if (view === undefined)
        return answer(action, { submissionId: id, success: false, message: `There is no submission ${id}.` });
      await service.stop(view.row.name);
      return answer(action, { submissionId: submissionId(view), success: true, message: `Job ${view.row.name} stops` });
    },
    sparkReady: () => answer('ReadyzResponse', { success: true, message: '' }),
  };
}

interface SubmissionRequest {
  readonly appResource?: string | undefined;
  readonly sparkProperties?: Readonly<Record<string, string>> | undefined;
}

/** The name of the job that now runs. Throws: USAGE, JOB_INVALID and what the service throws. */
async function create(
  service: JobService,
  { appResource = '', sparkProperties = {} }: SubmissionRequest,
  code: CodePolicy,
): Promise<string> {
  if (appResource.startsWith(JOB_PREFIX)) {
    const name = appResource.slice(JOB_PREFIX.length);
    await service.start(name);
    return name;
  }
  const property = sparkProperties[SPARK_JOB_PROPERTY];
  const text = property ?? textOfDataUrl(appResource);
  if (text === undefined)
    throw new WeirError(
      'USAGE',
      `appResource takes job:NAME or a data: URL with a job file; or the property ${SPARK_JOB_PROPERTY} holds the file. ` +
        '"weir spark-submit FILE" does that.',
    );
  const outcome = await service.apply(text, { code });
  if (outcome.kind !== 'refused') return outcome.name;
  const { line, column, message } = outcome.problems[0] ?? { message: 'it has mistakes' };
  const place = line === undefined ? '' : `line ${line}, column ${column ?? 1}: `;
  throw new WeirError(
    'JOB_INVALID',
    `The job file ${loadJobFile(text).spec?.name ?? ''} is refused: ${place}${message}.`,
  );
}

function textOfDataUrl(url: string): string | undefined {
  const [, base64, data] = /^data:[^,;]*(?:;charset=[\w-]+)?(;base64)?,(.*)$/s.exec(url) ?? [];
  if (data === undefined) return undefined;
  return base64 === undefined ? decodeURIComponent(data) : Buffer.from(data, 'base64').toString();
}
