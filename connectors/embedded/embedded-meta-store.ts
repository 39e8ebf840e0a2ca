/** Durable facts of a cluster in the embedded process. */
import { WeirError } from '../../core/errors.ts';
import type { JobName, Run } from '../../core/ids.ts';
import { jobName, partition, run as runOf, topicId } from '../../core/ids.ts';
import type { LanePosition } from '../../core/lane/position.ts';
import type { CasOutcome, JobRow, LaneKey, LaneRow, MetaStore } from '../../core/meta.ts';
import { META_FORMAT_VERSION } from '../../core/meta.ts';
import type { CasJobRequest, LaneRequest } from '../../proto/gen/embedded.ts';
import type { EmbeddedConnection } from './client.ts';
import { EMBEDDED_PROTOCOL_VERSION } from './status.ts';

const UNAVAILABLE = 'STORE_UNAVAILABLE';

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
    return this.#cas({ name: next.name, expectedVer, next: JSON.stringify(next) });
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

  /** The connection is not the store's to close. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  async #cas(request: CasJobRequest): Promise<CasOutcome<JobRow>> {
    try {
      const { applied, current } = await this.#connection.call((client) => client.casJob, request, UNAVAILABLE);
      return applied ? { kind: 'applied' } : { kind: 'rejected', current: parseJob(current) };
    } catch (error) {
      // The connection may have broken after the change was made.
      if (error instanceof WeirError && error.code === UNAVAILABLE) return { kind: 'unknown', cause: error };
      throw error;
    }
  }
}

function parseJob(text: string): JobRow | undefined {
  if (text === '') return undefined;
  const row = JSON.parse(text) as JobRow;
  if (row.formatVersion > META_FORMAT_VERSION) {
    throw new WeirError(
      'VERSION_MISMATCH',
      `The job ${row.name} was written by a newer Weir (format ${row.formatVersion}; this one reads up to ${META_FORMAT_VERSION}). Upgrade this process.`,
    );
  }
  return row;
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
