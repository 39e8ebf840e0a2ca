/** A stateful job within the master: makes and ends the coordinators of its runs, and says where a run begins. */
import { must } from '../core/assert.ts';
import type { Clock, Rng } from '../core/clock.ts';
import { isWeirError, WeirError } from '../core/errors.ts';
import { changeHead } from '../core/epoch/change-head.ts';
import type { StageChange } from '../core/epoch/manifest.ts';
import { changedManifest, encodeManifest } from '../core/epoch/manifest.ts';
import type { EpochHead, SnapshotRef } from '../core/epoch/types.ts';
import type { Epoch, Fence, JobName, Run, WorkerId } from '../core/ids.ts';
import { epoch as epochOf } from '../core/ids.ts';
import type { JobRow, MetaStore } from '../core/meta.ts';
import type { Connections, Failpoints, Log } from '../core/ports.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';
import { compareState } from '../engine/plan/state-compat.ts';
import type { EpochOrder, EpochReport } from '../proto/gen/control.ts';
import type { EpochWorker } from './epochs-placement.ts';
import type { EpochsView } from './epochs-progress.ts';
import { viewAtRest } from './epochs-progress.ts';
import { answersOf, keepsAnswers } from './epochs-answers.ts';
import { deleteSnapshots, readManifest } from './epochs-snapshots.ts';
import { staticBlob } from '../core/epoch/static-blob.ts';
import type { Checkpoint, EpochChange, RunBegin } from './epochs-parts.ts';
import { repeatsEpochs, storeRepeats } from './epochs-repeats.ts';
import { EpochCoordinator } from './epochs.ts';
import type { MoveTurns } from './move-turns.ts';

export interface EpochJobParts {
  readonly name: JobName;
  readonly store: MetaStore;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly failpoints: Failpoints;
  readonly fence: Fence;
  readonly planOf: (definition: string) => Promise<JobPlan>;
  readonly send: (worker: WorkerId, order: EpochOrder) => void;
  readonly turns: MoveTurns;
  /** Something happened that {@link EpochJob.take} tells. */
  readonly onChange: () => void;
}

interface Current {
  readonly run: Run;
  readonly definition: string;
  readonly coordinator: EpochCoordinator;
  stopped: boolean;
  stopping: boolean;
}

export class EpochJob {
  readonly #parts: EpochJobParts;
  /** Attempts of this leader by run: a coordinator made anew must not repeat one. */
  readonly #attempts = new Map<Run, Map<Epoch, number>>();
  #current: Current | null = null;
  #change: EpochChange | null = null;
  #running = false;
  #left: EpochsView | null = null;

  constructor(parts: EpochJobParts) {
    this.#parts = parts;
  }

  /** Epochs have been ordered since the coordinator began. */
  get running(): boolean {
    return this.#running && this.#current?.stopping !== true;
  }

  get waiting(): { readonly code: string; readonly message: string } | null {
    return this.#current?.coordinator.waiting ?? null;
  }

  /** Of a job that does not run: as it was left. */
  view(): EpochsView | null {
    return this.#current?.coordinator.view() ?? this.#left;
  }

  /** Partitions that this worker reads. */
  partitionsOf(worker: WorkerId): number {
    if (this.#current === null) return 0;
    return this.view()?.workers.find(({ id }) => id === worker)?.partitions ?? 0;
  }

  /** For people, while nothing runs. Throws: STORE_UNAVAILABLE. */
  async readHead(row: JobRow, plan: EpochsPlan): Promise<void> {
    const head = await this.#parts.store.readEpochs(row.name, row.run);
    this.#left ??= viewAtRest(plan, head ?? null);
  }

  /**
   * The coordinator of the row's run; made when there is none or another run's. One that was stopping when its job was
   * started again comes to its end first.
   */
  follow(row: JobRow, plan: EpochsPlan, workers: readonly EpochWorker[]): void {
    const current = this.#current;
    if (current !== null && current.run === row.run && current.definition === row.definition) {
      if (!current.stopped || row.state === 'stopping') return;
      this.#leave(current);
    } else if (current !== null) void current.coordinator.close(`run ${current.run} is over`);
    const { connections, store, clock, rng, log, failpoints, name, fence, send, turns, onChange } = this.#parts;
    const attempts = this.#attempts.get(row.run) ?? new Map<Epoch, number>();
    this.#attempts.set(row.run, attempts);
    this.#running = false;
    this.#change = null;
    const coordinator = new EpochCoordinator({
      store,
      blobs: connections.blobs(),
      clock,
      rng,
      log,
      failpoints,
      job: name,
      run: row.run,
      definition: row.definition,
      plan,
      token: fence,
      begin: () => this.#begin(row, plan),
      tables: (connector) => connections.tables(connector, {}),
      source: ({ connector, options }) => connections.source(connector, options),
      send,
      turns,
      attempts,
      onChange: (change) => {
        if (this.#current?.coordinator !== coordinator) return;
        if (change.kind === 'running') this.#running = true;
        else this.#change = change;
        onChange();
      },
    });
    this.#current = { run: row.run, definition: row.definition, coordinator, stopped: false, stopping: false };
    coordinator.setWorkers(workers);
    coordinator.open();
  }

  /** What the coordinator came to, once. After `fenced` another master leads: nothing more is done here. */
  take(): EpochChange | null {
    const change = this.#change;
    if (change === null || change.kind === 'fenced') return change;
    this.#change = null;
    // It has ended: the next start makes another.
    if (this.#current !== null) this.#leave(this.#current);
    return change;
  }

  setWorkers(workers: readonly EpochWorker[]): void {
    this.#current?.coordinator.setWorkers(workers);
  }

  hear(worker: WorkerId, report: EpochReport): void {
    this.#current?.coordinator.hear(worker, report);
  }

  involves(worker: WorkerId): boolean {
    return this.#current?.coordinator.involves(worker) ?? false;
  }

  /** Throws: CONFLICT when the job does not run. */
  async step(): Promise<{ readonly epochs: number }> {
    return await this.#here().step();
  }

  /** A snapshot of now. Throws: CONFLICT when the job does not run. */
  async checkpoint(): Promise<Checkpoint> {
    return await this.#here().checkpoint();
  }

  /** Begins to stop gracefully; true once that is done. */
  stopSoon(onStopped: () => void): boolean {
    const current = this.#current;
    if (current === null) return true;
    if (current.stopped) {
      this.#leave(current);
      return true;
    }
    if (!current.stopping) {
      current.stopping = true;
      void current.coordinator.stop().then(() => {
        current.stopped = true;
        onStopped();
      });
    }
    return false;
  }

  /** Gracefully, waiting for it. */
  async stop(): Promise<void> {
    const current = this.#current;
    if (current === null) return;
    await current.coordinator.stop();
    this.#leave(current);
  }

  /** Ends what runs here, at once. */
  async close(reason: string): Promise<void> {
    const current = this.#current;
    if (current === null) return;
    this.#leave(current);
    await current.coordinator.close(reason);
  }

  #leave(current: Current): void {
    this.#left = { ...current.coordinator.view(), workers: [], waiting: null };
    if (this.#current === current) this.#current = null;
  }

  #here(): EpochCoordinator {
    if (this.#current === null)
      throw new WeirError(
        'CONFLICT',
        `job ${this.#parts.name} does not run; 'weir start ${this.#parts.name}' starts it`,
      );
    return this.#current.coordinator;
  }

  /**
   * Where a new run begins. The run before is fenced first, so that nobody changes it after it was read; write times go
   * on above its own.
   */
  async #begin(row: JobRow, plan: EpochsPlan): Promise<RunBegin> {
    const { start } = row;
    let former: EpochHead | undefined;
    // A run that ended before it began has no head.
    for (let before = row.run - 1; before >= 1 && former === undefined; before--)
      former = await this.#fenced(before as Run);
    const aboveUs = former?.epochTsUs ?? 0;
    const garbage = snapshotsOf(former);
    if (start.kind === 'savepoint') {
      const { store, name } = this.#parts;
      const savepoint = await store.getSavepoint(name, start.name);
      if (savepoint === undefined)
        throw new WeirError('NOT_FOUND', `job ${name} cannot begin with its savepoint ${start.name}: it was deleted`);
      const ref = must(savepoint.head.snapshot, () => `savepoint ${start.name} of job ${name} names no snapshot`);
      return this.#beginWith(row, plan, ref, Math.max(aboveUs, savepoint.head.epochTsUs), garbage);
    }
    if (start.kind === 'offsets')
      return { kind: 'positions', positions: start.offsets, watermark: start.watermark, aboveUs, garbage };
    if (start.kind !== 'continue') return { kind: 'offsets', at: start.kind, aboveUs, garbage };
    if (former === undefined && start.offsets !== undefined)
      return { kind: 'positions', positions: start.offsets, watermark: start.watermark, aboveUs };
    if (former === undefined) return { kind: 'offsets', at: start.otherwise, aboveUs };
    return this.#continue(row, plan, former, garbage);
  }

  /** After the newest snapshot of a former run that is whole: what came since is read and written once more. */
  async #continue(row: JobRow, plan: EpochsPlan, former: EpochHead, garbage: readonly string[]): Promise<RunBegin> {
    const aboveUs = former.epochTsUs;
    for (const ref of [former.snapshot, former.formerSnapshot, former.base]) {
      if (ref === null) continue;
      try {
        const begin = await this.#beginWith(row, plan, ref, aboveUs, garbage);
        return { ...begin, repeats: await this.#repeats(row, plan, former, ref.epoch) };
      } catch (error) {
        if (!isWeirError(error, 'STATE_DAMAGED')) throw error;
        const { log, name } = this.#parts;
        log.warn({ job: name, code: error.code }, `a snapshot is damaged, what was before is used: ${error.message}`);
        if (ref.manifest === former.base?.manifest) throw error;
      }
    }
    const repeats = await this.#repeats(row, plan, former, epochOf(-1));
    return { kind: 'positions', positions: former.starts, aboveUs, repeats };
  }

  async #repeats(row: JobRow, plan: EpochsPlan, former: EpochHead, last: Epoch): Promise<string | undefined> {
    if (!repeatsEpochs(plan)) return undefined;
    const { store, connections, rng } = this.#parts;
    const id = `${row.name}/${row.run}/repeats/${rng.uuid().slice(0, 8)}`;
    return await storeRepeats({ store, blobs: connections.blobs() }, former, last, id);
  }

  /** With a snapshot's state. A changed job reads its blobs by a manifest of its own. */
  async #beginWith(
    row: JobRow,
    plan: EpochsPlan,
    ref: SnapshotRef,
    aboveUs: number,
    snapshots: readonly string[],
  ): Promise<RunBegin> {
    const blobs = this.#parts.connections.blobs();
    const manifest = await readManifest(blobs, ref.manifest);
    let snapshot = ref;
    if (manifest.definition !== row.definition) {
      const before = await this.#parts.planOf(manifest.definition);
      const changes = before.protocol === 'epochs' ? changesAfter(before, plan) : new Map<number, StageChange>();
      const bytes = encodeManifest(changedManifest(manifest, row.definition, changes));
      const id = `${row.name}/${row.run}/manifest/base-${this.#parts.rng.uuid().slice(0, 8)}`;
      await blobs.put(id, bytes);
      snapshot = { epoch: ref.epoch, manifest: id };
    }
    const garbage = snapshots.filter((id) => id !== snapshot.manifest);
    return { kind: 'state', epoch: ref.epoch, at: manifest.at, snapshot, aboveUs, garbage };
  }

  /**
   * Deletes what the runs of a deleted job keep, but for its savepoints; best effort: what cannot be deleted now stays.
   * Throws: STATE_DAMAGED, STORE_UNAVAILABLE.
   */
  async deleteState(row: JobRow): Promise<void> {
    const { store, connections, name } = this.#parts;
    await this.close(`job ${name} was deleted`);
    const blobs = connections.blobs();
    const manifests = new Set<string>();
    const others: string[] = [];
    for (let run = 1; run <= row.run; run++) {
      const head = await store.readEpochs(name, run as Run);
      if (head === undefined) continue;
      for (const ref of [head.snapshot, head.formerSnapshot, head.base]) if (ref !== null) manifests.add(ref.manifest);
      if (head.placement !== null) others.push(head.placement);
      if (head.repeats !== undefined && head.repeats !== null) others.push(head.repeats);
      if (head.planned <= (head.base?.epoch ?? -1)) continue;
      const plans = await store.readPlans(name, head.run, head.planned, head.planned).catch(() => []);
      for (const [table, version] of Object.entries(plans[0]?.statics ?? {}))
        others.push(staticBlob(name, head.run, table, version));
      others.push(...(await this.#answers(row, head)));
    }
    await blobs.delete(others);
    await deleteSnapshots({ store, blobs, job: name }, [...manifests], []);
  }

  /** Of the last epochs of a run, as far as they are known. */
  async #answers({ definition }: JobRow, { job, run, planned, formerSnapshot, base }: EpochHead): Promise<string[]> {
    const plan = await this.#parts.planOf(definition).catch(() => null);
    if (plan?.protocol !== 'epochs' || !keepsAnswers(plan)) return [];
    const first = epochOf((formerSnapshot ?? base)?.epoch ?? -1) + 1;
    const epochs = await this.#parts.store.readPlans(job, run, epochOf(first), planned).catch(() => []);
    return answersOf(job, plan, epochs);
  }

  async #fenced(run: Run): Promise<EpochHead | undefined> {
    const { store, rng, fence, name } = this.#parts;
    for (;;) {
      const head = await store.readEpochs(name, run);
      if (head === undefined) return undefined;
      if (head.fence > fence)
        throw new WeirError('FENCED', `job ${name} is led by another master (token ${head.fence})`);
      const next: EpochHead = { ...head, ver: head.ver + 1, nonce: rng.uuid(), fence };
      const outcome = await changeHead(this.#parts, head.ver, next, []);
      if (outcome.kind === 'applied') return next;
      must(outcome.current, () => `the head of run ${run} of job ${name} is gone`);
    }
  }
}

function snapshotsOf(head: EpochHead | undefined): string[] {
  return [head?.snapshot, head?.formerSnapshot].flatMap((ref) =>
    ref === null || ref === undefined ? [] : [ref.manifest],
  );
}

/** What a change does to the state that the job has, for people. Throws: STATE_INCOMPATIBLE with the reasons. */
export function requireCompatible(before: EpochsPlan, after: EpochsPlan): readonly string[] {
  const outcome = compareState(before, after);
  if (outcome.kind === 'incompatible') throw incompatible(after.job, outcome.reasons);
  return outcome.kind === 'same' ? [] : outcome.notes;
}

/** By stage of `before`. Throws: STATE_INCOMPATIBLE. */
function changesAfter(before: EpochsPlan, after: EpochsPlan): ReadonlyMap<number, StageChange> {
  const outcome = compareState(before, after);
  if (outcome.kind === 'incompatible') throw incompatible(after.job, outcome.reasons);
  if (outcome.kind === 'same') return new Map();
  return new Map(
    outcome.migrations
      .filter(({ from }) => from >= 0)
      .map(({ from, to, aggregates }): [number, StageChange] => [from, { to, aggregates }]),
  );
}

function incompatible(job: JobName, reasons: readonly string[]): WeirError {
  return new WeirError(
    'STATE_INCOMPATIBLE',
    `job ${job} cannot go on with the state it has: ${reasons.join('; ')}. Submit it with --from earliest or ` +
      '--from latest to begin with empty state, or under another name.',
  );
}
