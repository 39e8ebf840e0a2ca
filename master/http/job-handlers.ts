/** Routes about jobs: listing, applying, looking, acting. */
import type { Clock } from '../../core/clock.ts';
import { durationMs } from '../../core/duration.ts';
import { WeirError } from '../../core/errors.ts';
import { loadJobFile } from '../../core/job/file.ts';
import { matchesLabels, parseSelector } from '../../core/job/labels.ts';
import type { JobPlan } from '../../engine/plan/job-plan.ts';
import type { JobState } from '../../core/states.ts';
import { errorsOf } from '../job-errors.ts';
import type { OffsetDesk, RestartFrom } from '../offset-desk.ts';
import type { Operations } from '../operations.ts';
import type { ApplyOutcome, CodePolicy, JobService, StartOptions } from '../service.ts';
import type { JobView } from '../views.ts';
import type { ClusterWatch } from '../watch.ts';
import type { Answer, Handlers } from './call.ts';
import { codeOf, ok } from './call.ts';
import { savepointDocument, statusDocument, summaryDocument } from './documents.ts';
import { PROBLEM_TYPE, problem, refusedJob } from './problems.ts';
import { isSet } from './schemas.ts';

export interface JobHandlerParts {
  readonly service: JobService;
  readonly watch: ClusterWatch;
  readonly operations: Operations;
  readonly offsets: OffsetDesk;
  readonly clock: Clock;
}

type JobRoutes =
  | 'listJobs'
  | 'submitJob'
  | 'applyJob'
  | 'patchJob'
  | 'importJob'
  | 'validateJob'
  | 'getJob'
  | 'getStatus'
  | 'waitForJob'
  | 'getPlan'
  | 'explainJob'
  | 'getRuns'
  | 'getRevisions'
  | 'diffRevisions'
  | 'diffJob'
  | 'getErrors'
  | 'getProgress'
  | 'removeJob'
  | 'stopJob'
  | 'pauseJob'
  | 'cancelJob'
  | 'startJob'
  | 'resumeJob'
  | 'restartJob'
  | 'scaleJob'
  | 'stepJob'
  | 'rollbackJob'
  | 'replayJob'
  | 'getOperation'
  | 'getOffsets'
  | 'setOffsets'
  | 'resetOffsets'
  | 'listSavepoints'
  | 'createSavepoint'
  | 'deleteSavepoint'
  | 'getCheckpoints';

const SAVEPOINT_PREFIX = 'savepoint:';
const WAIT_MS_MAX = 60_000;
const WAIT_STEP_MS = 50;
const RESTART_MS_MAX = 120_000;
const PROGRESS_DEFAULT = 20;
const CHECKPOINTS_DEFAULT = 50;
/** All that are kept. */
const EVENTS_LOOKED_AT = 2000;

const atRest: readonly JobState[] = ['stopped', 'finished', 'failed'];

export function jobHandlers(parts: JobHandlerParts): Handlers<JobRoutes> {
  const { service, watch, operations, offsets } = parts;
  const nameOf = (params: Readonly<Record<string, string>>): string => params['name'] ?? '';
  const act = async (params: Readonly<Record<string, string>>, action: (name: string) => Promise<unknown>) => {
    const name = nameOf(params);
    await action(name);
    return ok(statusDocument(service.job(name)), 202);
  };
  const offsetsOf = async (name: string): Promise<Answer> =>
    ok({ state: service.job(name).row.state, offsets: await offsets.get(name) });
  return {
    listJobs: ({ query }) => ok(listJobs(service.jobs(), query)),
    submitJob: async ({ body, query, caller }) =>
      await submit(service, body, { ...applyOptions(query), code: codeOf(caller) }),
    applyJob: async ({ body, query, params, request, caller }) => {
      const expected = expectedRevision(request.headers['if-match'], service, nameOf(params));
      const options = { ...applyOptions(query), ...expected, name: nameOf(params), code: codeOf(caller) };
      return outcomeAnswer(await service.apply(body, options));
    },
    importJob: async ({ body: { file, ...request }, query, params, caller }) => {
      const options = { dryRun: isSet(query.dryRun), name: nameOf(params), code: codeOf(caller) };
      const { outcome, partitions } = await service.importJob(file, request, options);
      const answer = outcomeAnswer(outcome);
      return outcome.kind === 'refused' ? answer : { ...answer, body: { outcome: answer.body, partitions } };
    },
    patchJob: async ({ body, query, params, request, caller }) => {
      const name = nameOf(params);
      const expected = expectedRevision(request.headers['if-match'], service, name);
      const current = await service.definition(name);
      const { patchJobFile } = await import('../../core/job/patch.ts');
      const file = patchJobFile(current.source, body);
      // The patch is of the file that was read: who changed it since must not be overwritten.
      const options = {
        expectedRevision: current.revision,
        ...applyOptions(query),
        ...expected,
        name,
        code: codeOf(caller),
      };
      return outcomeAnswer(await service.apply(file, options));
    },
    validateJob: async ({ body }) => {
      const checked = await service.check(body);
      return checked.kind === 'refused'
        ? ok({ valid: false, problems: checked.problems, warnings: [] })
        : ok({ valid: true, problems: [], warnings: checked.plan.warnings });
    },
    getJob: ({ params }) => ok(service.job(nameOf(params))),
    getStatus: ({ params }) => ok(statusDocument(service.job(nameOf(params)))),
    waitForJob: async ({ params, query, request }) =>
      await waitFor(parts, nameOf(params), query, () => request.raw.destroyed),
    getPlan: async ({ params, query }) => ok(await service.definition(nameOf(params), numberOf(query.revision))),
    explainJob: async ({ params, query }) => {
      const { plan } = await service.definition(nameOf(params), numberOf(query.revision));
      return { status: 200, body: `${await explain(plan, query.format)}\n`, type: 'text/plain; charset=utf-8' };
    },
    getRuns: async ({ params }) => ok(await service.runs(nameOf(params))),
    getRevisions: async ({ params }) => ok({ revisions: await revisions(service, nameOf(params)) }),
    diffRevisions: async ({ params, query }) => {
      const name = nameOf(params);
      const { row } = service.job(name);
      const from = await service.definition(name, numberOf(query.from) ?? row.former?.[0]?.revision ?? row.revision);
      const to = await service.definition(name, numberOf(query.to));
      return ok(await diffDocument(from, to));
    },
    diffJob: async ({ params, body }) => {
      const current = await service.definition(nameOf(params));
      return ok(await diffDocument(current, { revision: current.revision + 1, source: body }));
    },
    getErrors: ({ params }) => {
      const view = service.job(nameOf(params));
      return ok({ errors: errorsOf(view, watch.lastEvents(EVENTS_LOOKED_AT, view.row.name)) });
    },
    getProgress: ({ params, query }) => {
      const { row } = service.job(nameOf(params));
      return ok({ progress: watch.progressOf(row.name, numberOf(query.last) ?? PROGRESS_DEFAULT) });
    },
    removeJob: async ({ params }) => {
      await service.remove(nameOf(params));
      return { status: 204 };
    },
    stopJob: async ({ params }) => await act(params, (name) => service.stop(name)),
    pauseJob: async ({ params }) => await act(params, (name) => service.stop(name)),
    cancelJob: async ({ params }) => await act(params, (name) => service.cancel(name)),
    startJob: async ({ params }) => await act(params, (name) => service.start(name)),
    resumeJob: async ({ params }) => await act(params, (name) => service.start(name)),
    restartJob: ({ params, query }) => {
      const name = service.job(nameOf(params)).row.name;
      return ok(
        operations.begin('restart', name, () => restart(parts, name, isSet(query.failedOnly))),
        202,
      );
    },
    scaleJob: async ({ params, body }) => await act(params, (name) => service.scale(name, body.workers)),
    stepJob: async ({ params }) => ok(await service.step(nameOf(params))),
    rollbackJob: async ({ params, query, caller }) => {
      const { notes } = await service.rollback(nameOf(params), numberOf(query.to), codeOf(caller));
      return ok({ ...statusDocument(service.job(nameOf(params))), warnings: notes }, 202);
    },
    replayJob: async ({ params, body }) => {
      await offsets.restartFrom(nameOf(params), restartFrom(body.from), { start: true });
      return ok(statusDocument(service.job(nameOf(params))), 202);
    },
    getOperation: async ({ params, query }) => ok(await operations.get(params['id'] ?? '', waitMs(query.wait))),
    getOffsets: async ({ params }) => await offsetsOf(nameOf(params)),
    setOffsets: async ({ params, body }) => {
      await offsets.set(nameOf(params), body.offsets);
      return await offsetsOf(nameOf(params));
    },
    resetOffsets: async ({ params, query }) => {
      await offsets.restartFrom(nameOf(params), resetPoint(query.to ?? 'earliest'), { start: false });
      return await offsetsOf(nameOf(params));
    },
    listSavepoints: async ({ params }) => {
      const name = nameOf(params);
      // Those of a deleted job are there still, so the job itself is not asked for.
      if (!/^[a-z][a-z0-9-]{0,62}$/.test(name))
        throw new WeirError('USAGE', 'That is no name of a job: small letters, digits and hyphens, up to 63.');
      return ok({ savepoints: (await service.savepoints(name)).map(savepointDocument) });
    },
    createSavepoint: async ({ params }) => {
      const made = savepointDocument(await service.createSavepoint(nameOf(params), params['savepoint'] ?? ''));
      const message = `Savepoint ${made.name} of job ${made.job} was made.`;
      watch.note({ level: 'info', kind: 'job', job: made.job, message });
      return ok(made, 201);
    },
    deleteSavepoint: async ({ params }) => {
      await service.deleteSavepoint(nameOf(params), params['savepoint'] ?? '');
      return { status: 204 };
    },
    getCheckpoints: ({ params, query }) => {
      const { row } = service.job(nameOf(params));
      return ok({ checkpoints: watch.checkpointsOf(row.name, numberOf(query.last) ?? CHECKPOINTS_DEFAULT) });
    },
  };
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

// -------------------------------------------------------------------------------------------------------------- lists

interface ListQuery {
  readonly state?: string | undefined;
  readonly label?: string | undefined;
  readonly fields?: 'summary' | 'full' | undefined;
  readonly limit?: string | undefined;
  readonly cursor?: string | undefined;
}

/** By name; the cursor is the last name of the page before. */
function listJobs(views: readonly JobView[], { state, label, fields, limit, cursor }: ListQuery): unknown {
  const states = state?.split(',');
  const selector = label === undefined ? [] : parseSelector(label);
  const all = views
    .filter(
      ({ row, labels }) =>
        (states === undefined || states.includes(row.state)) &&
        (cursor === undefined || row.name > cursor) &&
        matchesLabels(selector, labels),
    )
    .toSorted((a, b) => (a.row.name < b.row.name ? -1 : 1));
  const page = limit === undefined ? all : all.slice(0, Math.max(1, Number(limit)));
  const jobs = fields === 'summary' ? page.map(summaryDocument) : page;
  return { jobs, next: page.length < all.length ? (page.at(-1)?.row.name ?? null) : null };
}

async function revisions(service: JobService, name: string): Promise<unknown[]> {
  const { row } = service.job(name);
  const known = [row.revision, ...(row.former ?? []).map((former) => former.revision)];
  return await Promise.all(
    known.map(async (revision) => {
      const { definition, source } = await service.definition(name, revision);
      const current = revision === row.revision;
      return { revision, definition, current, appliedAt: current && row.run === 1 ? row.submittedAt : null, source };
    }),
  );
}

interface FileOfRevision {
  readonly revision: number;
  readonly source: string;
}

async function diffDocument(from: FileOfRevision, to: FileOfRevision): Promise<unknown> {
  const { diffLines } = await import('../../core/job/text-diff.ts');
  const lines = diffLines(from.source, to.source);
  return { from: from.revision, to: to.revision, same: lines.every(({ kind }) => kind === 'same'), lines };
}

// -------------------------------------------------------------------------------------------------------------- apply

interface ApplyQuery {
  readonly dryRun?: 'true' | 'false' | '1' | '0' | '' | undefined;
  readonly start?: string | undefined;
  readonly paused?: 'true' | 'false' | '1' | '0' | '' | undefined;
}

function applyOptions({ dryRun, start, paused }: ApplyQuery): StartOptions & { readonly dryRun: boolean } {
  return { ...startOption(start), dryRun: isSet(dryRun), ...(isSet(paused) ? { paused: true } : {}) };
}

/** A job of that name with another definition is left alone; with the same one it is as if submitted now. */
async function submit(
  service: JobService,
  text: string,
  options: StartOptions & { readonly dryRun: boolean; readonly code: CodePolicy },
): Promise<Answer> {
  const name = loadJobFile(text).spec?.name;
  const there = service.jobs().find(({ row }) => row.name === name);
  if (there !== undefined) {
    const tried = await service.apply(text, { ...options, dryRun: true });
    if (tried.kind === 'valid' && tried.changed)
      throw new WeirError(
        'CONFLICT',
        `There is a job ${name} already, at revision ${there.row.revision}; PUT /v1/jobs/${name} changes it.`,
      );
  }
  const expected = there === undefined ? { expectedRevision: 0 } : {};
  const answer = outcomeAnswer(await service.apply(text, { ...options, ...expected }));
  return name === undefined || answer.status !== 201
    ? answer
    : { ...answer, headers: { ...answer.headers, location: `/v1/jobs/${name}` } };
}

/** A refused file is 422; what was applied says so with its revision as ETag. */
export function outcomeAnswer(outcome: ApplyOutcome): Answer {
  if (outcome.kind === 'refused') return { status: 422, body: refusedJob(outcome.problems), type: PROBLEM_TYPE };
  if (outcome.kind === 'valid') return ok({ ...outcome, stateCompatible: true });
  const changed = outcome.change === 'created' || outcome.change === 'updated';
  return {
    status: outcome.change === 'created' ? 201 : 200,
    body: { ...outcome, changed, stateCompatible: true },
    headers: { etag: `"${outcome.revision}"` },
  };
}

function expectedRevision(
  header: string | undefined,
  service: JobService,
  name: string,
): { readonly expectedRevision?: number } {
  if (header === undefined) return {};
  if (header.trim() === '*') return { expectedRevision: service.job(name).row.revision };
  const number = /^(?:W\/)?"?(\d{1,15})"?$/.exec(header.trim())?.[1];
  if (number === undefined)
    throw new WeirError('USAGE', `If-Match takes the revision that the job must be at, as "3", not ${header}.`);
  return { expectedRevision: Number(number) };
}

function startOption(start: string | undefined): StartOptions {
  if (start === undefined) return {};
  if (start === 'earliest' || start === 'latest' || start === 'continue') return { start };
  return { start: { savepoint: start.slice(SAVEPOINT_PREFIX.length) } };
}

// ------------------------------------------------------------------------------------------------------------ waiting

interface WaitQuery {
  readonly state?: string | undefined;
  readonly lag?: string | undefined;
  readonly timeout?: string | undefined;
}

async function waitFor(
  { service, clock }: JobHandlerParts,
  name: string,
  query: WaitQuery,
  gone: () => boolean,
): Promise<Answer> {
  const wanted = (query.state ?? (query.lag === undefined ? 'running' : '')).split(',').filter((state) => state !== '');
  const lag = numberOf(query.lag);
  const deadline = clock.mono() + waitMs(query.timeout);
  for (;;) {
    const view = service.job(name);
    const there = wanted.length === 0 || wanted.includes(view.row.state);
    if (there && (lag === undefined || (isKnownLag(view) && view.lag <= lag))) return ok(statusDocument(view));
    if (clock.mono() >= deadline || gone()) {
      const behind =
        lag === undefined
          ? ''
          : ` and ${isKnownLag(view) ? `${view.lag} records` : 'an unknown number of records'} behind`;
      const goal = [
        ...(wanted.length === 0 ? [] : [wanted.join(' or ')]),
        ...(lag === undefined ? [] : [`at most ${lag} behind`]),
      ];
      const detail = `Job ${name} is ${view.row.state}${behind}, not ${goal.join(' and ')}.`;
      return { status: 404, body: problem('NOT_FOUND', detail), type: PROBLEM_TYPE };
    }
    await clock.sleep(WAIT_STEP_MS);
  }
}

/** A partition that nobody has reported on yet may be behind by anything. */
function isKnownLag({ lanes, epochs }: JobView): boolean {
  return epochs === null
    ? lanes.length > 0 && lanes.every(({ lag }) => lag >= 0)
    : epochs.lastProgress !== null || epochs.planned >= 0;
}

function waitMs(text: string | undefined): number {
  return text === undefined ? 0 : Math.min(WAIT_MS_MAX, durationMs(text));
}

/** Throws: TIMED_OUT when the job does not come to rest. */
/** Text for people is made by code that is loaded when somebody asks for some. */
async function explain(plan: JobPlan, format: 'text' | 'mermaid' | 'dot' = 'text'): Promise<string> {
  if (format === 'text') return (await import('../../engine/plan/explain.ts')).explainJob(plan);
  const { explainDot, explainMermaid } = await import('../../engine/plan/explain-chart.ts');
  return format === 'dot' ? explainDot(plan) : explainMermaid(plan);
}

async function restart({ service, clock }: JobHandlerParts, name: string, failedOnly: boolean): Promise<void> {
  const { state } = service.job(name).row;
  if (failedOnly && state !== 'failed') return;
  if (!atRest.includes(state)) await service.stop(name);
  for (const deadline = clock.mono() + RESTART_MS_MAX; !atRest.includes(service.job(name).row.state);) {
    if (clock.mono() > deadline)
      throw new WeirError(
        'TIMED_OUT',
        `Job ${name} is still ${service.job(name).row.state}; it was not started again.`,
      );
    await clock.sleep(WAIT_STEP_MS);
  }
  await service.start(name);
}

// ------------------------------------------------------------------------------------------------------------ offsets

type FromBody = 'earliest' | 'latest' | { readonly timestamp: number | string } | { readonly timestampMs: number };

function restartFrom(from: FromBody): RestartFrom {
  if (typeof from === 'string') return from;
  const time = 'timestamp' in from ? from.timestamp : from.timestampMs;
  return { timestampMs: typeof time === 'number' ? time : Date.parse(time) };
}

function resetPoint(text: string): RestartFrom {
  if (text === 'earliest' || text === 'latest' || text === 'initial') return text;
  return { timestampMs: /^\d+$/.test(text) ? Number(text) : Date.parse(text) };
}
