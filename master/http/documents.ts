/** The short forms of what the master knows, as REST answers them. */
import type { SavepointRow } from '../../core/epoch/types.ts';
import type { JobView } from '../views.ts';

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
    laneCount: lanes.length,
    ...figures,
  };
}

/** {@link statusDocument} without epochs: a thousand of them fit into one answer. */
export function summaryDocument(view: JobView): Record<string, unknown> {
  const { epochs: _, schemaChanges: __, ...rest } = statusDocument(view);
  return rest;
}
