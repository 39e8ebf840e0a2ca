/**
 * Holds a simulated life of stateful jobs against what must be: while it goes on, the durable facts (contiguous plans,
 * commits in order, fences that only grow, ranges that meet) and counts that never go back; at its end, every table.
 */
import type { EpochHead, EpochPlan } from '../../../core/epoch/types.ts';
import { staticBlob } from '../../../core/epoch/static-blob.ts';
import type { EpochsPlan } from '../../../engine/plan/epoch-plan.ts';
import { answersOf, keepsAnswers } from '../../../master/epochs-answers.ts';
import { answersInPart } from '../../../worker/lookups/epoch-lookups.ts';
import type { Simulation } from '../kernel.ts';
import type { SimBlobServer } from '../sim-blobs.ts';
import type { SimMetaServer } from '../sim-meta-store.ts';
import type { RowWrite, SimTableServer, StoredRow } from '../sim-tables.ts';
import { decodeInteger, isLive, numberOf } from '../sim-tables.ts';
import type { PlannedEpoch, RunFacts, SimEpochJob } from './jobs.ts';
import { jobNameOf, NAMES, readBy, variantOf } from './jobs.ts';
import type { EpochProducer } from './producer.ts';
import { FED } from './producer.ts';

export class EpochChecker {
  commits = 0;
  writes = 0;
  late = 0;
  readonly #sim: Simulation;
  readonly #meta: SimMetaServer;
  readonly #tables: SimTableServer;
  readonly #blobs: SimBlobServer;
  readonly #producer: EpochProducer;
  readonly #jobs: readonly SimEpochJob[];
  readonly #lastPlan = new Map<string, EpochPlan>();
  /** Not committed yet, by `job/run/epoch`. */
  readonly #underWay = new Map<string, { readonly plan: EpochPlan; readonly epoch: PlannedEpoch }>();
  readonly #counts = new Map<string, number>();
  /** Run and state by job. */
  readonly #standing = new Map<string, string>();
  /** Rows behind the feed when the job was last started, by job. */
  readonly #there = new Map<string, number>();
  readonly #definitions = new Map<string, string>();
  readonly #runs = new Map<string, (RunFacts & { readonly epochs: PlannedEpoch[] })[]>();
  /** Called with the heads of jobs as they become durable. */
  onHead: (head: EpochHead) => void = () => undefined;

  constructor(
    sim: Simulation,
    meta: SimMetaServer,
    tables: SimTableServer,
    blobs: SimBlobServer,
    producer: EpochProducer,
    jobs: readonly SimEpochJob[],
  ) {
    this.#blobs = blobs;
    this.#sim = sim;
    this.#meta = meta;
    this.#tables = tables;
    this.#producer = producer;
    this.#jobs = jobs;
    meta.watcher = {
      jobChanged: (row) => {
        this.#definitions.set(`${row.name}/${row.run}`, row.definition);
        if (row.state === 'failed') sim.fail(`job ${row.name} failed: ${row.reason?.message ?? '?'}`);
        const before = this.#standing.get(row.name);
        const standing = `${row.run} ${row.state}`;
        this.#standing.set(row.name, standing);
        if (row.state === 'starting' && before !== standing) this.#there.set(row.name, this.#fed());
      },
      laneWritten: () => undefined,
      ownershipRead: () => undefined,
      epochsChanged: (head, plans, before) => this.#headChanged(head, plans, before),
    };
    tables.watcher = { sent: () => undefined, applied: (write, row) => this.#applied(write, row) };
  }

  #headChanged(head: EpochHead, plans: readonly EpochPlan[], before: EpochHead | undefined): void {
    const fail = (what: string): void => this.#sim.fail(`head of ${head.job}, run ${head.run}: ${what}`);
    if (head.committed > head.planned) fail(`epoch ${head.committed} is committed, ${head.planned} is planned`);
    if (before === undefined) this.#begun(head);
    for (const plan of plans) this.#planned(head, plan, fail);
    this.onHead(head);
    if (before === undefined) return;
    if (head.fence < before.fence) fail(`fence ${before.fence} became ${head.fence}`);
    if (head.committed < before.committed) fail(`commit ${before.committed} became ${head.committed}`);
    if (head.planned < before.planned) fail(`plan ${before.planned} became ${head.planned}`);
    if ((head.watermarkUs ?? -Infinity) < (before.watermarkUs ?? -Infinity)) fail('the watermark went back');
    if (head.ends !== null && before.ends === null) this.#fixed(head, head.ends, fail);
    this.commits += head.committed - before.committed;
    for (let epoch = before.committed + 1; epoch <= head.committed; epoch++) this.#committed(head, epoch);
  }

  /** What its records were joined with is fixed now: no replay may see anything else. */
  #committed({ job, run }: EpochHead, number: number): void {
    const key = `${job}/${run}/${number}`;
    const known = this.#underWay.get(key);
    this.#underWay.delete(key);
    const text = this.#meta.definition(this.#definitions.get(`${job}/${run}`) ?? '');
    if (known === undefined || text === undefined) return;
    const { plan } = JSON.parse(text) as { readonly plan: EpochsPlan };
    if (!keepsAnswers(plan)) return;
    const lanes = Object.keys(known.plan.ranges).map((lane) => {
      const ranges = Object.fromEntries(Object.entries(known.plan.ranges).filter(([other]) => other === lane));
      return [placeOf(lane), this.#answers(job, answersOf(job, plan, [{ ...known.plan, ranges }]))] as const;
    });
    known.epoch.teams = new Map(lanes);
  }

  /** Rows of the table that the job `look` asks: the team by `k`. */
  #answers(job: string, ids: readonly string[]): ReadonlyMap<number, string> {
    const teams = new Map<number, string>();
    for (const id of ids) {
      const parts = this.#blobs.parts.get(id);
      if (parts === undefined) this.#sim.fail(`job ${job}: nothing was kept of what ${id} was told`);
      for (const part of parts?.values() ?? []) {
        const { bytes, ends } = answersInPart(part, id).rows;
        ends.forEach((end, index) => {
          const document = decoder.decode(bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
          const { c0: k, c1: team } = JSON.parse(document) as { readonly c0: number; readonly c1: string };
          if ((teams.get(k) ?? team) !== team)
            this.#sim.fail(`job ${job}: ${id} says ${team} and ${teams.get(k)} of ${k}`);
          teams.set(k, team);
        });
      }
    }
    return teams;
  }

  /** An execution reads all that was behind its feeds when it was started. */
  #fixed({ job }: EpochHead, ends: NonNullable<EpochHead['ends']>, fail: (what: string) => void): void {
    for (const [lane, end] of Object.entries(ends)) {
      const there = this.#there.get(job) ?? 0;
      if (placeOf(lane) === `${FED}/0` && end < there) fail(`it ends at ${end} of ${there} rows that were there`);
    }
  }

  #fed(): number {
    return this.#producer.records.filter(({ topic }) => topic === FED).length;
  }

  /** A run goes on from a snapshot of the one before, and may read again what came after it: rows are written anew. */
  #begun({ job, run, positions }: EpochHead): void {
    const starts = Object.entries(positions).map(([lane, at]) => [placeOf(lane), at] as const);
    const variant = variantOf(this.#definitions.get(`${job}/${run}`) ?? '');
    this.#runs.set(job, [...(this.#runs.get(job) ?? []), { variant, starts: new Map(starts), epochs: [] }]);
    if (job === 'sim-agg') this.#counts.clear();
  }

  get runs(): number {
    return [...this.#runs.values()].reduce((sum, runs) => sum + runs.length, 0);
  }

  #planned(head: EpochHead, plan: EpochPlan, fail: (what: string) => void): void {
    const key = `${head.job}/${head.run}`;
    const last = this.#lastPlan.get(key);
    if (last !== undefined) {
      if (plan.epoch !== last.epoch + 1) fail(`epoch ${plan.epoch} is planned after ${last.epoch}`);
      if (plan.epochTsUs - (plan.room ?? 0) < last.epochTsUs + 1024)
        fail(`epoch ${plan.epoch} is too close to the one before`);
      if (plan.lateUs !== last.evictUs) fail(`epoch ${plan.epoch}: late rows are not judged by the watermark before`);
    }
    for (const [lane, { from, to }] of Object.entries(plan.ranges)) {
      const end = this.#ends.get(`${key}/${lane}`) ?? from;
      if (from !== end) fail(`epoch ${plan.epoch} reads ${lane} from ${from}, the one before ended at ${end}`);
      if (to <= from) fail(`epoch ${plan.epoch} reads ${lane} from ${from} to ${to}`);
      this.#ends.set(`${key}/${lane}`, to);
    }
    this.#lastPlan.set(key, plan);
    const epoch = this.#epochOf(head, plan);
    this.#runs.get(head.job)?.at(-1)?.epochs.push(epoch);
    this.#underWay.set(`${key}/${plan.epoch}`, { plan, epoch });
  }

  #epochOf({ job, run }: EpochHead, { ranges, statics }: EpochPlan): PlannedEpoch {
    const places = Object.entries(ranges).map(([lane, range]) => [placeOf(lane), range] as const);
    const version = statics[NAMES];
    if (version === undefined) return { ranges: new Map(places), names: null, teams: null };
    const bytes = this.#blobs.blobs.get(staticBlob(job, run, NAMES, version));
    if (bytes === undefined)
      this.#sim.fail(`job ${job}: a plan names version ${version} of a table, which is not there`);
    const rows = JSON.parse(decoder.decode(bytes ?? encoder.encode('[]'))) as [number, string][];
    return { ranges: new Map(places), names: new Map(rows), teams: null };
  }

  readonly #ends = new Map<string, number>();

  /** Counts of a group only grow: a row that shows fewer than before was overwritten by an older one. */
  #applied(write: RowWrite, row: StoredRow): void {
    this.writes++;
    if (write.table !== 'sim.agg' || !isLive(row)) return;
    const n = numberOf(row, 'n');
    const key = `${write.table} ${write.key}`;
    const before = this.#counts.get(key) ?? 0;
    if (n < before) this.#sim.fail(`${key} went back from ${before} to ${n}`);
    this.#counts.set(key, n);
  }

  /** Why the jobs are not done yet, or null. */
  unfinished(ends: ReadonlyMap<string, number>): string | null {
    for (const job of this.#jobs) {
      const row = this.#meta.job(jobNameOf(job));
      if (row === undefined) return `job ${job.name} was never accepted`;
      // An execution that has read everything is finished.
      if (row.state !== 'running' && row.state !== 'finished') return `job ${job.name} is ${row.state}`;
      const head = this.#meta.head(row.name, row.run);
      if (head === undefined) return `job ${job.name} has no head`;
      if (head.committed < head.planned) return `job ${job.name}: epoch ${head.committed + 1} is not committed`;
      const positions = new Map(Object.entries(head.positions).map(([lane, at]) => [placeOf(lane), at]));
      for (const [place, end] of ends) {
        if (!readBy(job).some((topic) => place.startsWith(`${topic}/`))) continue;
        const position = positions.get(place);
        if (position === undefined || position < end)
          return `job ${job.name}: ${place} stands at ${position} of ${end}`;
      }
    }
    return null;
  }

  /** Every table against everything produced. `finalMs`: everything up to there is final. */
  checkTables(watermarkMs: number): void {
    for (const job of this.#jobs) {
      const row = this.#meta.job(jobNameOf(job));
      const head = row === undefined ? undefined : this.#meta.head(row.name, row.run);
      const late = Object.values(head?.late ?? {}).reduce((sum, count) => sum + count, 0);
      this.late += late;
      if (late > 0) this.#sim.fail(`job ${job.name} dropped ${late} rows as late`);
      const runs = this.#runs.get(jobNameOf(job)) ?? [];
      const { records } = this.#producer;
      const unsure = job.unsure?.(records, runs) ?? new Set();
      const sure = ([key]: readonly [string, string]): boolean => !unsure.has(key);
      const expected = new Map([...job.expected(records, watermarkMs, runs)].filter(sure));
      const actual = new Map([...this.#actual(job)].filter(sure));
      const wrong: string[] = [];
      for (const [key, values] of expected)
        if (actual.get(key) !== values) wrong.push(`${key} is ${actual.get(key) ?? 'missing'}, not ${values}`);
      for (const [key, values] of actual) if (!expected.has(key)) wrong.push(`${key} is there: ${values}`);
      if (wrong.length > 0)
        this.#sim.fail(
          `table ${job.table}: ${wrong.length} of ${expected.size} rows are wrong: ${wrong.slice(0, 5).join('; ')}`,
        );
    }
  }

  #actual(job: SimEpochJob): Map<string, string> {
    const rows = new Map<string, string>();
    for (const row of this.#tables.rows(job.table).values()) {
      if (!isLive(row)) continue;
      const text = (name: string): string => valueText(row, name);
      rows.set(job.key.map(text).join('|'), job.columns.map(text).join('|'));
    }
    return rows;
  }
}

/** `source/partition` of a lane: sources are named like their topics. */
function placeOf(lane: string): string {
  const [source, , partition] = lane.split('/');
  return `${source}/${partition}`;
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

function valueText(row: StoredRow, name: string): string {
  const column = row.shape.columns.findIndex((candidate) => candidate.name === name);
  const kind = row.shape.columns[column]?.type.kind;
  const cell = row.cells.get(column);
  const value =
    column < row.shape.primaryKeyCount
      ? row.keyValues[column]
      : cell !== undefined && cell.timestamp > row.deletedAt
        ? cell.value
        : null;
  if (value === null || value === undefined) return 'null';
  return kind === 'text' ? decoder.decode(value) : String(decodeInteger(value));
}
