/** The short forms of what the master knows, as REST answers them. */
import type { SavepointRow } from '../../core/epoch/types.ts';
import { WeirError } from '../../core/errors.ts';
import type { JobView, LaneView, WorkerView } from '../views.ts';

/** A savepoint without what only recovery needs. */
export interface SavepointView {
  readonly name: string;
  readonly job: string;
  readonly run: number;
  readonly revision: number;
  /** The last epoch whose effects it holds. */
  readonly epoch: number;
  readonly bytes: number;
  /** ms since 1970. */
  readonly createdAt: number;
}

export function savepointDocument({ name, job, run, revision, head, bytes, createdAt }: SavepointRow): SavepointView {
  return { name, job, run, revision, epoch: head.committed, bytes, createdAt };
}

/** A job without its partitions and operators, for sensors and scripts. */
export function statusDocument(view: JobView): Record<string, unknown> {
  const { row, lanes, operators: _, ...figures } = view;
  const { name, state, reason, revision, run, submittedAt, changedAt, workersMax = null } = row;
  return {
    name,
    state,
    reason,
    revision,
    run,
    submittedAt,
    changedAt,
    workersMax,
    partitionCount: lanes.length + Object.keys(view.epochs?.positions ?? {}).length,
    ...figures,
  };
}

/** {@link statusDocument} without epochs: a thousand of them fit into one answer. */
export function summaryDocument(view: JobView): Record<string, unknown> {
  const { epochs: _, schemaChanges: __, ...rest } = statusDocument(view);
  return rest;
}

/** A worker with what it reads. */
export interface WorkerDocument extends WorkerView {
  readonly partitions: readonly (LaneView & { readonly job: string })[];
  /** Stateful jobs: how many key groups of 256 it holds, and how many partitions it reads. */
  readonly stateful: readonly { readonly job: string; readonly groups: number; readonly partitions: number }[];
}

export function workerDocument(worker: WorkerView, jobs: readonly JobView[]): WorkerDocument {
  const partitions = jobs.flatMap(({ row, lanes }) =>
    lanes.filter(({ owner }) => owner === worker.id).map((lane) => ({ job: row.name, ...lane })),
  );
  const stateful = jobs.flatMap(({ row, epochs }) =>
    (epochs?.workers ?? [])
      .filter(({ id }) => id === worker.id)
      .map((part) => ({ job: row.name, groups: part.groups, partitions: part.partitions })),
  );
  return { ...worker, partitions, stateful };
}

/** By its id, or by its name where only one has it: `w1` of `w1-3f2a9c01`. Throws: NOT_FOUND, CONFLICT. */
export function workerCalled(workers: readonly WorkerView[], text: string): WorkerView {
  const found = workers.filter(({ id }) => id === text || id.replace(/-[0-9a-f]{8}$/, '') === text);
  const [worker, ...others] = found;
  if (worker === undefined)
    throw new WeirError('NOT_FOUND', `There is no worker ${text}; "weir get workers" lists them.`);
  if (others.length === 0) return worker;
  throw new WeirError(
    'CONFLICT',
    `${found.length} workers are called ${text}; name one by its id: ${found.map(({ id }) => id).join(', ')}.`,
  );
}
