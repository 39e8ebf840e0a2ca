/** `weir apply`, `stop`, `cancel`, `start`, `delete`: commands that change jobs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../../core/errors.ts';
import { loadJobFile } from '../../core/job/file.ts';
import type { Labels } from '../../core/job/labels.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import type { JobState } from '../../core/states.ts';
import type { ApplyOutcome } from '../../master/service.ts';
import type { JobView } from '../../master/views.ts';
import type { JobAction } from '../client.ts';
import { MasterClient } from '../client.ts';
import { exitCodes } from '../exit.ts';
import type { JobFileText } from '../job-files.ts';
import { readJobFiles, renderJobProblems } from '../job-files.ts';
import { withSettings } from '../job-settings.ts';
import { jobPath, timeoutMs } from '../names.ts';
import { print, printJson, tell } from '../output.ts';
import { ProgressLine } from '../progress-line.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';
import type { SparkSettings } from '../spark/properties.ts';
import { settingsOf } from '../spark/properties.ts';
import { formatLag } from './job-tables.ts';
import type { PruneOptions } from './prune.ts';
import { jobsToPrune } from './prune.ts';

/** How long `apply` looks for a reason why a job does not run. */
const REASON_WAIT_MS = 1500;

export interface WaitOptions extends GlobalOptions {
  readonly wait?: boolean;
  readonly timeout: string;
}

export interface ApplyOptions extends WaitOptions, PruneOptions {
  readonly dryRun?: boolean;
  readonly from?: string;
  readonly name?: string;
  readonly set?: readonly string[];
  /** As Spark has it: `KEY=VALUE`. */
  readonly conf?: readonly string[];
  readonly paused?: boolean;
}

interface Checked extends JobFileText {
  readonly name: string;
  readonly labels: Labels;
  /** What `--wait` waits for. */
  readonly goal: JobState;
}

/** Applies every file or, when one has mistakes, none. Returns the exit code. */
export async function apply(paths: readonly string[], options: ApplyOptions): Promise<number> {
  const format = outputFormat(options, ['table', 'name', 'json']);
  if (paths.length === 0) throw new WeirError('USAGE', 'Name job files, or folders with job files in them.');
  const conf = settingsOf(options.conf ?? []);
  const paused = options.paused === true;
  if (paused && options.wait === true)
    throw new WeirError(
      'USAGE',
      'With --paused no job begins to run, so --wait would wait for nothing; name one of them.',
    );
  const files = check(asAsked(readJobFiles(paths), options, conf));
  if (files === null) return exitCodes.invalid;
  const client = new MasterClient(target(options));
  const start = { ...(options.from === undefined ? {} : { start: options.from }), paused };
  const dryRun = options.dryRun === true;
  // Of several files none is applied before all are known to be good.
  if (files.length > 1 && !dryRun && (await applyAll(client, files, { dryRun: true, ...start })) === null)
    return exitCodes.invalid;
  const gone = await jobsToPrune(client, files, options);
  const outcomes = await applyAll(client, files, { dryRun, ...start });
  if (outcomes === null) return exitCodes.invalid;
  if (format === 'json') printJson(outcomes);
  for (const outcome of outcomes) report(outcome, format !== 'json');
  if (dryRun) {
    for (const name of gone) tell(`${name} would be deleted`);
    return exitCodes.ok;
  }
  for (const name of gone) await removeJob(client, name, options.timeout);
  const { workers } = conf;
  if (workers !== undefined)
    for (const { name } of files) await client.request('POST', `${jobPath(name)}/scale`, { workers });
  if (options.wait !== true) {
    await Promise.all(files.map(async (file) => await warnOfReason(client, file.name)));
    return exitCodes.ok;
  }
  const reached = await Promise.all(
    files.map(async (file) => await waitFor(client, file.name, [file.goal], options.timeout)),
  );
  for (const view of reached) tell(`${view.row.name} is ${view.row.state}`);
  return exitCodes.ok;
}

/** The files with what the command line says instead. Throws: USAGE. */
function asAsked(files: readonly JobFileText[], options: ApplyOptions, conf: SparkSettings): readonly JobFileText[] {
  const name = options.name ?? conf.name;
  if (name !== undefined && files.length > 1)
    throw new WeirError('USAGE', `--name ${name} is the name of one job; there are ${files.length} files.`);
  const settings = [
    ...(name === undefined ? [] : [`name=${JSON.stringify(name)}`]),
    ...conf.settings,
    ...(options.set ?? []),
  ];
  if (settings.length === 0) return files;
  return files.map((file) => ({ ...file, text: withSettings(file.text, settings) }));
}

function check(files: readonly JobFileText[]): Checked[] | null {
  const checked: Checked[] = [];
  let good = true;
  for (const file of files) {
    const { spec, problems } = loadJobFile(file.text);
    if (spec === null) good = showProblems(file, problems);
    else {
      const goal = spec.trigger === 'availableNow' ? 'finished' : 'running';
      checked.push({ ...file, name: spec.name, labels: spec.labels ?? {}, goal });
    }
  }
  return good ? checked : null;
}

function showProblems(file: JobFileText, problems: readonly JobProblem[]): false {
  tell(renderJobProblems(file, problems));
  return false;
}

async function applyAll(
  client: MasterClient,
  files: readonly Checked[],
  options: { readonly dryRun: boolean; readonly start?: string; readonly paused?: boolean },
): Promise<ApplyOutcome[] | null> {
  const outcomes: ApplyOutcome[] = [];
  let good = true;
  for (const file of files) {
    const outcome = await client.apply(file.name, file.text, options);
    if (outcome.kind === 'refused') good = showProblems(file, outcome.problems);
    else outcomes.push(outcome);
  }
  return good ? outcomes : null;
}

function report(outcome: ApplyOutcome, names: boolean): void {
  if (outcome.kind === 'refused') return;
  if (names) print(outcome.name);
  for (const warning of outcome.warnings) tell(`warning: ${outcome.name}: ${warning}`);
  if (outcome.kind === 'valid') tell(`${outcome.name} would ${outcome.changed ? 'change' : 'stay as it is'}`);
  else tell(`${outcome.name} ${outcome.change} (revision ${outcome.revision}, run ${outcome.run})`);
}

/** Says why a job that was just applied does not run, if that shows soon: whoever does not wait would not hear of it. */
async function warnOfReason(client: MasterClient, name: string): Promise<void> {
  const deadline = performance.now() + REASON_WAIT_MS;
  for (let pauseMs = 20; performance.now() < deadline; pauseMs = Math.min(200, pauseMs * 1.5)) {
    let view: JobView;
    try {
      view = await client.job(name);
    } catch {
      // The job is applied; whether it can be looked at now changes nothing about that.
      return;
    }
    const reason = reasonOf(view);
    if (reason !== null) {
      tell(`warning: ${name} ${view.row.state === 'failed' ? 'failed' : 'waits'}: ${reason}`);
      return;
    }
    if (view.row.state !== 'starting' && view.row.state !== 'running') return;
    if (view.row.state === 'running' && view.lanes.every(({ state }) => state === 'running')) return;
    await sleep(pauseMs);
  }
}

/** Why a job, or one of its lanes, waits or failed. */
export function reasonOf({ row, lanes }: JobView): string | null {
  return row.reason?.message ?? lanes.find(({ message }) => message !== null)?.message ?? null;
}

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}

const goals: Record<JobAction, readonly JobState[]> = {
  stop: ['stopped', 'finished', 'failed'],
  pause: ['stopped', 'finished', 'failed'],
  cancel: ['stopped', 'finished', 'failed'],
  start: ['running', 'finished'],
  resume: ['running', 'finished'],
};

/** `weir stop|pause|cancel|start|resume NAME…`; waits until it is so, unless told not to. */
export async function act(action: JobAction, names: readonly string[], options: WaitOptions): Promise<void> {
  outputFormat(options, ['table', 'name']);
  const client = new MasterClient(target(options));
  for (const name of names) await client.act(name, action);
  for (const name of names) {
    const view =
      options.wait === false ? await client.job(name) : await waitFor(client, name, goals[action], options.timeout);
    print(name);
    tell(`${name} is ${view.row.state}`);
  }
}

/** `weir delete NAME…`: a running job is stopped first. */
export async function remove(names: readonly string[], options: WaitOptions): Promise<void> {
  outputFormat(options, ['table', 'name']);
  const client = new MasterClient(target(options));
  for (const name of names) {
    await removeJob(client, name, options.timeout);
    print(name);
  }
}

async function removeJob(client: MasterClient, name: string, timeout: string): Promise<void> {
  const { row } = await client.job(name);
  if (!goals.stop.includes(row.state)) {
    await client.act(name, 'stop');
    await waitFor(client, name, goals.stop, timeout);
  }
  await client.remove(name);
  tell(`${name} deleted; its tables and topics stay`);
}

/** Throws: TIMED_OUT, and a plain error with the reason when the job failed. */
async function waitFor(
  client: MasterClient,
  name: string,
  states: readonly JobState[],
  timeout: string,
): Promise<JobView> {
  const deadline = performance.now() + timeoutMs(timeout);
  using line = new ProgressLine();
  for (let pauseMs = 20; ; pauseMs = Math.min(500, pauseMs * 1.5)) {
    const view = await client.job(name);
    if (states.includes(view.row.state)) return view;
    line.show(waitingText(view));
    if (view.row.state === 'failed') throw jobFailed(view);
    if (performance.now() > deadline) {
      const look = `"weir describe job ${name}" shows its lanes.`;
      const reason = reasonOf(view);
      throw new WeirError(
        'TIMED_OUT',
        `Job ${name} is still ${view.row.state} after ${timeout}${reason === null ? '; ' : `: ${sentence(reason)} `}${look}`,
      );
    }
    await sleep(pauseMs);
  }
}

/** What a job does that somebody waits for, in one line. */
export function waitingText(view: JobView): string {
  const { row, lanes, lag } = view;
  const running = lanes.filter(({ state }) => state === 'running').length;
  const parts = lanes.length === 0 ? '' : `, ${running} of ${lanes.length} partitions running`;
  return `${row.name} is ${row.state}${parts}, lag ${formatLag(lag)}`;
}

function jobFailed(view: JobView): Error {
  return new Error(`Job ${view.row.name} failed: ${view.row.reason?.message ?? 'its row gives no reason'}`);
}
