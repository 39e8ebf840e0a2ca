/** Durable facts of a cluster in the embedded process. */
import { WeirError } from '../../core/errors.ts';
import type { EpochHead, EpochPlan, LeaseRow, SavepointRow } from '../../core/epoch/types.ts';
import { EPOCH_FORMAT_VERSION, PLAN_SLOTS } from '../../core/epoch/types.ts';
import { assert } from '../../core/assert.ts';
import type { Epoch, JobName, Run } from '../../core/ids.ts';
import { epoch, jobName, partition, run as runOf, topicId } from '../../core/ids.ts';
import type { LanePosition } from '../../core/lane/position.ts';
import type { CasOutcome, JobRow, LaneKey, LaneRow, MetaStore } from '../../core/meta.ts';
import { META_FORMAT_VERSION } from '../../core/meta.ts';
import type { LaneRequest } from '../../proto/gen/embedded.ts';
import { parseRow, plansInOrder } from '../../core/stored-rows.ts';
import type { EmbeddedConnection } from './client.ts';
import { EMBEDDED_PROTOCOL_VERSION } from './status.ts';

const UNAVAILABLE = 'STORE_UNAVAILABLE';
/** A lease lasts 2 s; an attempt to renew it must leave room for others. ms */
const LEASE_TIMEOUT_MS = 700;
/** Plans per request: each may list many partitions. */
const PLANS_PAGE = 256;

export class EmbeddedMetaStore implements MetaStore {
  readonly #connection: EmbeddedConnection;

  constructor(connection: EmbeddedConnection) {
    this.#connection = connection;
  }

  /** The tables are made when the embedded process starts; this sees that it answers. */
  async prepare(): Promise<void> {
    const { protocolVersion } = await this.#connection.call((client) => client.info, {}, UNAVAILABLE);
    if (protocolVersion === EMBEDDED_PROTOCOL_VERSION) return;
    throw new WeirError(
      'VERSION_MISMATCH',
      `The embedded process at ${this.#connection.address} speaks version ${protocolVersion} of the protocol, and this process ` +
        `version ${EMBEDDED_PROTOCOL_VERSION}. Start both from the same Weir.`,
    );
  }

  async listJobs(): Promise<JobName[]> {
    const { names } = await this.#connection.call((client) => client.listJobs, {}, UNAVAILABLE);
    return names.map(jobName);
  }

  async readJob(name: JobName): Promise<JobRow | undefined> {
    return parseJob((await this.#connection.call((client) => client.readJob, { name }, UNAVAILABLE)).row);
  }

  readOwnership(name: JobName): Promise<JobRow | undefined> {
    return this.readJob(name);
  }

  casJob(expectedVer: number, next: JobRow): Promise<CasOutcome<JobRow>> {
    const request = { name: next.name, expectedVer, next: JSON.stringify(next) };
    return this.#cas(parseJob, () => this.#connection.call((client) => client.casJob, request, UNAVAILABLE));
  }

  async putDefinition(hash: string, text: string): Promise<void> {
    await this.#connection.call((client) => client.putDefinition, { hash, text }, UNAVAILABLE);
  }

  async getDefinition(hash: string): Promise<string | undefined> {
    const { found, text } = await this.#connection.call((client) => client.getDefinition, { hash }, UNAVAILABLE);
    return found ? text : undefined;
  }

  async readLane(key: LaneKey): Promise<LaneRow | undefined> {
    const { lanes } = await this.#connection.call(
      (client) => client.readLane,
      { ...keyOf(key), nextOffset: 0, position: '' },
      UNAVAILABLE,
    );
    return lanes.map(laneOf)[0];
  }

  async readLanes(job: JobName, run: Run): Promise<LaneRow[]> {
    const { lanes } = await this.#connection.call((client) => client.readLanes, { job, run }, UNAVAILABLE);
    return lanes.map(laneOf);
  }

  async writeLane(row: LaneRow): Promise<void> {
    const { position } = row;
    const request = { ...keyOf(row), nextOffset: position.nextOffset, position: JSON.stringify(position) };
    await this.#connection.call((client) => client.writeLane, request, UNAVAILABLE);
  }

  async readEpochs(job: JobName, run: Run): Promise<EpochHead | undefined> {
    const { row } = await this.#connection.call((client) => client.readEpochs, { job, run }, UNAVAILABLE);
    return parseHead(row);
  }

  casEpochs(expectedVer: number, next: EpochHead, plans: readonly EpochPlan[]): Promise<CasOutcome<EpochHead>> {
    assert(next.ver === expectedVer + 1, () => `version ${next.ver} cannot follow ${expectedVer}`);
    const request = {
      job: next.job,
      run: next.run,
      expectedVer,
      next: JSON.stringify(next),
      plans: plans.map((plan) => ({
        slot: plan.epoch % PLAN_SLOTS,
        epoch: plan.epoch,
        plan: JSON.stringify(plan),
      })),
    };
    return this.#cas(parseHead, () => this.#connection.call((client) => client.casEpochs, request, UNAVAILABLE));
  }

  async readPlans(job: JobName, run: Run, from: Epoch, to: Epoch): Promise<EpochPlan[]> {
    const plans: EpochPlan[] = [];
    for (let first: number = from; first <= to; first += PLANS_PAGE) {
      const page = { job, run, from: epoch(first), to: epoch(Math.min(to, first + PLANS_PAGE - 1)) };
      const { rows } = await this.#connection.call((client) => client.readPlans, page, UNAVAILABLE);
      const found = rows.flatMap(
        (row) => parseRow<EpochPlan>(row, `plan of an epoch of job ${job}`, EPOCH_FORMAT_VERSION) ?? [],
      );
      plans.push(...plansInOrder(found, page));
    }
    return plans;
  }

  async readLease(): Promise<LeaseRow | undefined> {
    return parseLease(
      (await this.#connection.call((client) => client.readLease, {}, UNAVAILABLE, LEASE_TIMEOUT_MS)).row,
    );
  }

  casLease(expectedVer: number, next: LeaseRow): Promise<CasOutcome<LeaseRow>> {
    assert(next.ver === expectedVer + 1, () => `version ${next.ver} cannot follow ${expectedVer}`);
    const request = { expectedVer, next: JSON.stringify(next) };
    return this.#cas(parseLease, () =>
      this.#connection.call((client) => client.casLease, request, UNAVAILABLE, LEASE_TIMEOUT_MS),
    );
  }

  async putSavepoint(row: SavepointRow): Promise<void> {
    const request = { job: row.job, name: row.name, row: JSON.stringify(row) };
    await this.#connection.call((client) => client.putSavepoint, request, UNAVAILABLE);
  }

  async getSavepoint(job: JobName, name: string): Promise<SavepointRow | undefined> {
    const { row } = await this.#connection.call((client) => client.getSavepoint, { job, name }, UNAVAILABLE);
    return parseSavepoint(row);
  }

  async listSavepoints(job: JobName): Promise<SavepointRow[]> {
    const { rows } = await this.#connection.call((client) => client.listSavepoints, { name: job }, UNAVAILABLE);
    return rows.flatMap((row) => parseSavepoint(row) ?? []);
  }

  async deleteSavepoint(job: JobName, name: string): Promise<void> {
    await this.#connection.call((client) => client.deleteSavepoint, { job, name }, UNAVAILABLE);
  }

  async now(): Promise<number> {
    return (await this.#connection.call((client) => client.now, {}, UNAVAILABLE)).nowMs;
  }

  /** The connection is not the store's to close. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  async #cas<T>(
    parse: (text: string) => T | undefined,
    send: () => Promise<{ readonly applied: boolean; readonly current: string }>,
  ): Promise<CasOutcome<T>> {
    try {
      const { applied, current } = await send();
      return applied ? { kind: 'applied' } : { kind: 'rejected', current: parse(current) };
    } catch (error) {
      // The connection may have broken after the change was made.
      if (error instanceof WeirError && error.code === UNAVAILABLE) return { kind: 'unknown', cause: error };
      throw error;
    }
  }
}

function parseJob(text: string): JobRow | undefined {
  return parseRow<JobRow>(text, 'row of a job', META_FORMAT_VERSION);
}

function parseHead(text: string): EpochHead | undefined {
  return parseRow<EpochHead>(text, 'head of a stateful job', EPOCH_FORMAT_VERSION);
}

function parseLease(text: string): LeaseRow | undefined {
  return parseRow<LeaseRow>(text, "leader's lease", META_FORMAT_VERSION);
}

function parseSavepoint(text: string): SavepointRow | undefined {
  return parseRow<SavepointRow>(text, 'row of a savepoint', EPOCH_FORMAT_VERSION);
}

function keyOf(key: LaneKey): Pick<LaneRequest, 'job' | 'run' | 'source' | 'topicId' | 'partition'> {
  return { job: key.job, run: key.run, source: key.source, topicId: key.topicId, partition: key.partition };
}

function laneOf(lane: LaneRequest): LaneRow {
  return {
    job: jobName(lane.job),
    run: runOf(lane.run),
    source: lane.source,
    topicId: topicId(lane.topicId),
    partition: partition(lane.partition),
    position: JSON.parse(lane.position) as LanePosition,
  };
}
