/** `weir restart|scale|drain|wait`: what changes how jobs run, and waiting for it. */
import { WeirError, isWeirError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { jobTransitions } from '../../core/states.ts';
import type { Operation } from '../../master/operations.ts';
import { MasterClient } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { print, tell } from '../output.ts';
import { ProgressLine } from '../progress-line.ts';
import { jobPath, timeoutMs } from '../names.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';
import { waitingText } from './jobs.ts';

/** The master answers a wait after so long at the latest. */
const WAIT_STEP_S = 20;
/** Where somebody watches. */
const SHOWN_STEP_S = 1;

/** `weir restart JOB… [--failed-only]`. Returns the exit code. */
export async function restart(
  names: readonly string[],
  options: GlobalOptions & { readonly failedOnly?: boolean; readonly timeout: string },
): Promise<number> {
  outputFormat(options, ['table', 'name']);
  const deadline = performance.now() + timeoutMs(options.timeout);
  const client = new MasterClient(target(options));
  const query = options.failedOnly === true ? '?failedOnly=true' : '';
  const begun = await Promise.all(
    names.map(async (name) => await client.request<Operation>('POST', `${jobPath(name)}/restart${query}`)),
  );
  for (const [index, operation] of begun.entries()) {
    const name = names[index] ?? '';
    const done = await ended(client, operation, name, deadline);
    if (done.error !== null) throw new WeirError(done.error.code as ErrorCode, done.error.message);
    print(name);
    tell(`${name} was restarted`);
  }
  return exitCodes.ok;
}

async function ended(client: MasterClient, begun: Operation, name: string, deadline: number): Promise<Operation> {
  for (let now = begun; ;) {
    if (now.state !== 'running') return now;
    if (performance.now() > deadline) throw new WeirError('TIMED_OUT', `Job ${name} has not restarted yet.`);
    now = await client.request<Operation>('GET', `/v1/operations/${begun.id}?wait=5s`);
  }
}

/** `weir scale JOB --parallelism N|all`. Throws: USAGE. */
export async function scale(name: string, options: GlobalOptions & { readonly parallelism?: string }): Promise<void> {
  outputFormat(options, ['table', 'name']);
  const { parallelism } = options;
  const workers = parallelism === 'all' ? null : Number(parallelism);
  if (parallelism === undefined || (workers !== null && !(Number.isSafeInteger(workers) && workers >= 1)))
    throw new WeirError('USAGE', 'weir scale takes --parallelism with a number of workers from 1, or all.');
  await new MasterClient(target(options)).request('POST', `${jobPath(name)}/scale`, { workers });
  print(name);
  tell(`${name} may use ${workers === null ? 'all workers' : `${workers} ${workers === 1 ? 'worker' : 'workers'}`}`);
}

/** `weir drain worker ID`. Throws: USAGE, NOT_FOUND. */
export async function drain(kind: string, id: string, options: GlobalOptions): Promise<void> {
  outputFormat(options, ['table', 'name']);
  if (kind !== 'worker')
    throw new WeirError('USAGE', `There is nothing called ${kind} to drain; write "weir drain worker ID".`);
  await new MasterClient(target(options)).request('POST', `/v1/workers/${encodeURIComponent(id)}/drain`);
  print(id);
  tell(`${id} is draining: what it has moves to other workers`);
}

export interface WaitForOptions extends GlobalOptions {
  readonly for: readonly string[];
  readonly timeout: string;
}

/** One state or several with commas, as REST takes them. Throws: USAGE for one that no job can be in. */
function requireStates(text: string): void {
  const known = Object.keys(jobTransitions).filter((state) => state !== 'deleted');
  for (const state of text.split(','))
    if (!known.includes(state))
      throw new WeirError('USAGE', `No job is ever ${state}; there are the states ${known.join(', ')}.`);
}

/** `weir wait JOB… --for state=RUNNING [--for lag=0] [--timeout 60s]`. Throws: TIMED_OUT, USAGE, NOT_FOUND. */
export async function wait(names: readonly string[], options: WaitForOptions): Promise<void> {
  outputFormat(options, ['table', 'name']);
  const query = new URLSearchParams();
  for (const condition of options.for) {
    const [, key, value] = /^(state|lag)=(.+)$/.exec(condition) ?? [];
    if (key === undefined || value === undefined || (key === 'lag' && !/^\d+$/.test(value)))
      throw new WeirError('USAGE', `--for ${condition} is none; write --for state=running or --for lag=0.`);
    if (key === 'state') requireStates(value.toLowerCase());
    query.set(key, value.toLowerCase());
  }
  const deadline = performance.now() + timeoutMs(options.timeout);
  const client = new MasterClient(target(options));
  for (const name of names) {
    using line = new ProgressLine();
    for (;;) {
      // Told apart from a job that has not got there yet.
      line.show(waitingText(await client.job(name)));
      const leftS = Math.ceil((deadline - performance.now()) / 1000);
      const stepS = line.shows ? SHOWN_STEP_S : WAIT_STEP_S;
      query.set('timeout', `${Math.max(0, Math.min(stepS, leftS))}s`);
      try {
        await client.request('GET', `${jobPath(name)}/wait?${query.toString()}`);
        break;
      } catch (error) {
        if (!isWeirError(error, 'NOT_FOUND')) throw error;
        if (performance.now() < deadline) continue;
        throw new WeirError('TIMED_OUT', `${error.message.replace(/\.$/, '')}, after ${options.timeout}.`);
      }
    }
    print(name);
  }
}
