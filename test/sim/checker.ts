/**
 * What must hold, whatever happens: looked at with every change of a table, a position or a job's row, and once more in
 * the end, against an expectation computed from the log alone.
 */
import type { JobRow, LaneRow } from '../../core/meta.ts';
import type { LaneCounters } from '../../core/lane/position.ts';
import { zeroCounters } from '../../core/lane/position.ts';
import type { LaneId } from '../../core/ids.ts';
import { laneId, parseLaneId, run as asRun } from '../../core/ids.ts';
import { OWNERSHIP_TERM_MS } from '../../core/lane/permit.ts';
import type { GeneratedRecord } from '../support/generator.ts';
import type { SimNode, Simulation } from './kernel.ts';
import type { Producer } from './producer.ts';
import { DEAD_LETTERS, LARGEST_REV, LATEST, RAW, SHARED, SIM_JOB, SIM_SOURCE, SIM_TOPIC } from './sim-job.ts';
import type { SimLogServer } from './sim-log.ts';
import type { MetaWatcher, SimMetaServer } from './sim-meta-store.ts';
import type { RowWrite, SimTableServer, StoredRow, TableWatcher } from './sim-tables.ts';
import { decodeInteger, isLive, numberOf, textOf } from './sim-tables.ts';

/** What a run's write times follow. */
interface RunFacts {
  readonly rev: number;
  readonly stride: number;
  readonly runStart: number;
}

/** Positions a run may have begun at, with the time bound there; and how far its commits were checked. */
interface RunLane {
  readonly starts: Map<number, number>;
  /** The start all commits go back to; known from the first commit on. */
  path: number | null;
  checkedTo: number;
}

/** The right to send, as a checker sees it: when the read that gave it was sent. */
interface Confirmation {
  readonly sentAt: number;
  readonly generation: number;
}

export class Checker implements MetaWatcher, TableWatcher {
  readonly #sim: Simulation;
  readonly #log: SimLogServer;
  readonly #meta: SimMetaServer;
  readonly #tables: SimTableServer;
  readonly #producer: Producer;
  readonly #workerOf: (node: SimNode) => string | undefined;
  /** Revision literal by definition hash. */
  readonly revs = new Map<string, number>();
  readonly #runs = new Map<number, RunFacts>();
  readonly #floors = new Map<string, number>();
  readonly #lanes = new Map<string, RunLane>();
  readonly #confirmed = new Map<string, Confirmation>();
  readonly #newestSender = new Map<LaneId, { generation: number; node: SimNode }>();
  readonly #shown = new Map<string, { readonly rev: number; readonly offset: number; readonly timestamp: number }>();
  /** Rows that show cells of two distant runs at the moment. */
  readonly #mixed = new Set<string>();
  /** Dead letters that are there, by partition and offset. */
  readonly #lettered = new Set<string>();
  /** Times a key of the latest-row table went back to an older offset because a new run began below what was written. */
  offsetsBackAtRunChange = 0;
  /** Times cells of two runs that are no neighbours mixed for a while. */
  tiesOfDistantRuns = 0;
  commits = 0;
  writes = 0;

  constructor(
    sim: Simulation,
    log: SimLogServer,
    meta: SimMetaServer,
    tables: SimTableServer,
    producer: Producer,
    workerOf: (node: SimNode) => string | undefined,
  ) {
    this.#sim = sim;
    this.#log = log;
    this.#meta = meta;
    this.#tables = tables;
    this.#producer = producer;
    this.#workerOf = workerOf;
    meta.watcher = this;
    tables.watcher = this;
  }

  #check(condition: boolean, message: () => string): void {
    if (!condition) this.#sim.fail(message());
  }

  // ------------------------------------------------------------------------------------------------- the job's row

  jobChanged(row: JobRow, before: JobRow | undefined): void {
    this.#sim.note(`job ${row.ver} ${row.nonce}`);
    const rev = this.revs.get(row.definition) ?? 0;
    this.#runs.set(row.run, { rev, stride: row.stride, runStart: row.runStart });
    if (before === undefined) return;
    if (row.run !== before.run && row.start.kind === 'continue') this.#rememberFloor(row);
    this.#check(row.run === before.run || row.run === before.run + 1, () => `run ${row.run} follows run ${before.run}`);
    this.#check(row.stride >= before.stride, () => `the stride shrinks from ${before.stride} to ${row.stride}`);
    if (row.run === before.run) {
      this.#check(
        row.runStart === before.runStart && row.stride === before.stride && row.definition === before.definition,
        () => `run ${row.run} changed`,
      );
    }
    const ordinals = Object.values(row.lanes).map((lane) => lane.ordinal);
    this.#check(new Set(ordinals).size === ordinals.length, () => `two lanes share an ordinal: ${ordinals.join()}`);
    for (const [id, lane] of Object.entries(row.lanes)) {
      const was = before.lanes[id as LaneId];
      if (was === undefined) continue;
      this.#check(lane.ordinal === was.ordinal, () => `lane ${id} changed its ordinal`);
      this.#check(lane.generation >= was.generation, () => `lane ${id} went back to generation ${lane.generation}`);
      if (lane.owner !== was.owner)
        this.#check(
          lane.generation > was.generation,
          () => `lane ${id} has a new owner in generation ${lane.generation}`,
        );
    }
  }

  /** Where the lanes of a run that goes on may begin at the earliest: what was committed when it was made. */
  #rememberFloor(row: JobRow): void {
    for (const id of Object.keys(row.lanes) as LaneId[]) {
      const coordinates = parseLaneId(id);
      for (let run = row.run - 1; run > 0; run--) {
        const committed = this.#meta.lane({ job: row.name, run: asRun(run), ...coordinates });
        if (committed === undefined) continue;
        this.#floors.set(`${row.run} ${coordinates.partition}`, committed.position.nextOffset);
        break;
      }
    }
  }

  // ------------------------------------------------------------------------------------------------- one writer

  ownershipRead(node: SimNode, row: JobRow, sentAt: number): void {
    const worker = this.#workerOf(node);
    if (worker === undefined || (row.state !== 'starting' && row.state !== 'running')) return;
    const rev = this.revs.get(row.definition) ?? 0;
    for (const [id, lane] of Object.entries(row.lanes)) {
      if (lane.owner !== worker) continue;
      const key = `${worker} ${id} ${rev}`;
      const known = this.#confirmed.get(key);
      if (known === undefined || sentAt > known.sentAt)
        this.#confirmed.set(key, { sentAt, generation: lane.generation });
    }
  }

  /** Nothing is sent without a read, less than 3 s old, that names the sender; nor by an owner that has a successor. */
  sent(node: SimNode, rows: readonly RowWrite[]): void {
    this.writes += rows.length;
    const seen = new Set<string>();
    for (const row of rows) {
      const isLetter = row.table === DEAD_LETTERS;
      const partition = integerOf(row, isLetter ? 'partition' : 'part');
      const rev = isLetter ? (this.#runs.get(integerOf(row, 'run'))?.rev ?? 0) : LARGEST_REV - integerOf(row, 'rev');
      const key = `${partition} ${rev}`;
      if (!seen.has(key)) this.#checkSender(node, partition, rev);
      seen.add(key);
    }
  }

  #checkSender(node: SimNode, partition: number, rev: number): void {
    const id = laneId({ source: SIM_SOURCE, topicId: this.#log.topic(SIM_TOPIC).id, partition: partition as never });
    const worker = this.#workerOf(node) ?? '?';
    const confirmation = this.#confirmed.get(`${worker} ${id} ${rev}`);
    this.#check(
      confirmation !== undefined,
      () => `${worker} writes rows of partition ${partition}, revision ${rev}, and was never its owner`,
    );
    if (confirmation === undefined) return;
    const age = this.#sim.now - confirmation.sentAt;
    this.#check(
      age < OWNERSHIP_TERM_MS,
      () =>
        `${worker} writes rows of partition ${partition} ${age.toFixed(0)} ms after its ownership was last confirmed`,
    );
    const newest = this.#newestSender.get(id);
    this.#check(
      newest === undefined || newest.node === node || confirmation.generation > newest.generation,
      () =>
        `${worker} of generation ${confirmation.generation} writes rows of partition ${partition} after ${newest?.node.name} of generation ${newest?.generation} began`,
    );
    if (newest === undefined || confirmation.generation >= newest.generation)
      this.#newestSender.set(id, { generation: confirmation.generation, node });
  }

  // ------------------------------------------------------------------------------------------------- rows

  applied(write: RowWrite, row: StoredRow): void {
    this.#sim.note(`${write.table} ${write.key} ${write.timestamp}`);
    if (write.table === DEAD_LETTERS) {
      const [partition, offset] = [numberOf(row, 'partition'), numberOf(row, 'offset')];
      this.#check(
        this.#producer.at(partition, offset)?.fate === 'dead',
        () => `a dead letter for partition ${partition}, offset ${offset}, which is fine`,
      );
      this.#lettered.add(`${partition} ${offset}`);
      return;
    }
    const [partition, offset, rev] = [numberOf(row, 'part'), numberOf(row, 'off'), LARGEST_REV - numberOf(row, 'rev')];
    const record = this.#producer.at(partition, offset);
    this.#check(
      record !== undefined,
      () => `${write.table} shows partition ${partition}, offset ${offset}, where no committed record is`,
    );
    if (record === undefined) return;
    const name = `${write.table} ${write.key}`;
    const before = this.#shown.get(name) ?? { rev: 0, offset: -1, timestamp: Number.NEGATIVE_INFINITY };
    const writtenRev = LARGEST_REV - integerOf(write, 'rev');
    if (!this.#isWhole(row, record)) {
      if (write.timestamp === before.timestamp && this.#areDistantRuns(writtenRev, before.rev)) this.#mixed.add(name);
      if (this.#mixed.has(name)) {
        this.tiesOfDistantRuns++;
        return;
      }
    }
    this.#mixed.delete(name);
    this.#checkWhole(write.table, row, record);
    if (write.table !== SHARED) {
      // A former run's later record may come over a newer run's earlier one: it stays until the newer run gets there.
      this.#check(
        // By run: of two changes that people ask for at once, either may come first.
        this.#runOfRev(rev) >= this.#runOfRev(before.rev) || offset > before.offset,
        () => `${name}: revision ${rev} over revision ${before.rev}`,
      );
      this.#check(
        rev !== before.rev || offset >= before.offset,
        () => `${name} goes back from offset ${before.offset} to ${offset}`,
      );
      if (offset < before.offset) this.offsetsBackAtRunChange++;
    }
    this.#shown.set(name, { rev, offset, timestamp: Math.max(write.timestamp, before.timestamp) });
  }

  /**
   * Neighbouring runs never write at the same time, every second one may: a row that the run in between did not write
   * can show cells of both, until the newer run writes its last record of that key.
   */
  #areDistantRuns(rev: number, other: number): boolean {
    const distance = this.#runOfRev(rev) - this.#runOfRev(other);
    return distance !== 0 && distance % 2 === 0;
  }

  #runOfRev(rev: number): number {
    for (const [run, facts] of this.#runs) if (facts.rev === rev) return run;
    return 0;
  }

  /** All cells of a row come from one record. */
  #checkWhole(table: string, row: StoredRow, record: GeneratedRecord): void {
    this.#check(record.fate === 'passed', () => `${table} holds record ${record.id}, which is ${record.fate}`);
    this.#check(
      this.#isWhole(row, record),
      () => `${table} mixes records: ${valuesOf(row)} instead of ${[record.id, record.k, record.g, record.v].join()}`,
    );
  }

  #isWhole(row: StoredRow, record: GeneratedRecord): boolean {
    return valuesOf(row) === [record.id, record.k, record.g, record.v].join();
  }

  // ------------------------------------------------------------------------------------------------- positions

  laneWritten(row: LaneRow): void {
    const { position, partition } = row;
    const name = `run ${row.run} partition ${partition}`;
    this.#sim.note(`lane ${name} ${position.nextOffset} ${position.bound}`);
    const facts = this.#runs.get(row.run);
    this.#check(facts !== undefined, () => `${name} has a position and no run`);
    if (facts === undefined) return;
    const lane = this.#laneOf(row.run, partition);
    const { nextOffset, bound, counters } = position;
    this.#check(
      nextOffset <= this.#log.lastStableOffset(SIM_TOPIC, partition),
      () => `${name} stands at ${nextOffset}, beyond the log`,
    );
    if (counters.read === 0) {
      // A start, decided and not begun: the first commit says which one was taken. Or past batches without records.
      const floor = this.#floors.get(`${row.run} ${partition}`) ?? 0;
      this.#check(
        nextOffset >= floor,
        () => `${name} begins at ${nextOffset}, below ${floor}, which was committed when the run was made`,
      );
      if (this.#pathOf(lane, facts, partition, position) === null) lane.starts.set(nextOffset, bound);
      return;
    }
    this.commits++;
    const path = this.#pathOf(lane, facts, partition, position);
    this.#check(
      path !== null,
      () =>
        `${name} stands at ${JSON.stringify(position)}, which is no function of the position (starts: ${[...lane.starts.keys()].join()})`,
    );
    if (path === null) return;
    this.#check(
      lane.path === null || lane.path === path,
      () => `${name} goes on from two starts: ${lane.path} and ${path}`,
    );
    lane.path = path;
    this.#checkInSink(name, facts, partition, Math.max(path, lane.checkedTo), nextOffset);
    lane.checkedTo = Math.max(lane.checkedTo, nextOffset);
  }

  #laneOf(run: number, partition: number): RunLane {
    const key = `${run} ${partition}`;
    const lane = this.#lanes.get(key) ?? { starts: new Map<number, number>(), path: null, checkedTo: 0 };
    this.#lanes.set(key, lane);
    return lane;
  }

  /** The start from which reading up to the position gives exactly its counters and its bound. */
  #pathOf(lane: RunLane, facts: RunFacts, partition: number, position: LaneRow['position']): number | null {
    const candidates = lane.path === null ? [...lane.starts] : [[lane.path, lane.starts.get(lane.path) ?? 0] as const];
    for (const [start, startBound] of candidates) {
      if (start > position.nextOffset) continue;
      const bound = this.#boundAt(facts, this.#runOf(facts), partition, start, startBound, position.nextOffset);
      if (
        bound === position.bound &&
        sameCounters(this.#countersBetween(partition, start, position.nextOffset), position.counters)
      )
        return start;
    }
    return null;
  }

  #runOf(facts: RunFacts): number {
    for (const [run, candidate] of this.#runs) if (candidate === facts) return run;
    return 0;
  }

  /** The rule of core/lane/timestamps.ts once more, in its own words. */
  #boundAt(facts: RunFacts, run: number, partition: number, start: number, startBound: number, end: number): number {
    let bound = startBound;
    for (const batch of this.#log.partition(SIM_TOPIC, partition).visible) {
      if (batch.nextOffset <= start || batch.nextOffset > end) continue;
      const recordTime = batch.maxTimestampMs < 0 ? 0 : batch.maxTimestampMs * 1000 + run * facts.stride;
      const earliest = Math.max(bound, recordTime, facts.runStart);
      const base = earliest % facts.stride === 0 ? earliest : earliest - (earliest % facts.stride) + facts.stride;
      bound = base + (batch.nextOffset - batch.baseOffset) * facts.stride;
    }
    return bound;
  }

  #countersBetween(partition: number, from: number, to: number): LaneCounters {
    const counters = { ...zeroCounters };
    for (const { offset, record } of this.#producer.records(partition)) {
      if (offset < from || offset >= to) continue;
      counters.read++;
      counters[record.fate]++;
      if (record.fate === 'passed') counters.rowsOut++;
    }
    return counters;
  }

  /** Everything that a commit covers is visible, by its run or a later one, and no key shows anything older. */
  #checkInSink(name: string, facts: RunFacts, partition: number, from: number, to: number): void {
    for (const { offset, record } of this.#producer.records(partition)) {
      if (offset < from || offset >= to) continue;
      if (record.fate === 'dead') {
        this.#check(
          this.#lettered.has(`${partition} ${offset}`),
          () => `${name} has committed offset ${offset}, its dead letter is not there`,
        );
      }
      if (record.fate !== 'passed') continue;
      const rev = this.#rawRev(partition, offset);
      this.#check(
        rev !== undefined && this.#runOfRev(rev) >= this.#runOfRev(facts.rev),
        () =>
          `${name} has committed offset ${offset}, the sink shows ${rev === undefined ? 'nothing' : `revision ${rev}`}`,
      );
      const latest = this.#shown.get(`${LATEST} ${hexOf(record.k)}`);
      const isOlder =
        latest === undefined ||
        (latest.offset < offset && this.#runOfRev(latest.rev) <= this.#runOfRev(facts.rev)) ||
        (latest.offset === offset && this.#runOfRev(latest.rev) < this.#runOfRev(facts.rev));
      this.#check(
        !isOlder,
        () =>
          `${name} has committed offset ${offset}, key ${record.k} shows offset ${latest?.offset} of revision ${latest?.rev}`,
      );
    }
  }

  // ------------------------------------------------------------------------------------------------- in the end

  /** What still keeps the job from being done; null = everything is committed and every lane has a running owner. */
  unfinished(): string | null {
    const row = this.#meta.job(SIM_JOB);
    if (row === undefined) return 'there is no job';
    if (row.state !== 'running')
      return `the job is ${row.state}${row.reason === null ? '' : `: ${row.reason.message}`}`;
    const partitions = this.#log.topic(SIM_TOPIC).partitions.length;
    const lanes = Object.entries(row.lanes);
    if (lanes.length !== partitions) return `${lanes.length} lanes for ${partitions} partitions`;
    for (const [id, lane] of lanes) {
      if (lane.owner === null) return `lane ${id} has no owner`;
      if (lane.previousOwner !== null) return `lane ${id} is still being handed over`;
      const coordinates = parseLaneId(id as LaneId);
      const end = this.#log.lastStableOffset(SIM_TOPIC, coordinates.partition);
      const committed = this.#meta.lane({ job: SIM_JOB, run: row.run, ...coordinates })?.position.nextOffset;
      if (committed !== end) return `lane ${id} (owner ${lane.owner}) stands at ${committed} of ${end}`;
    }
    return null;
  }

  /** The tables against the log, when everything has been committed. */
  checkOutcome(): void {
    const row = this.#meta.job(SIM_JOB);
    if (row === undefined) return;
    const facts = this.#runs.get(row.run) as RunFacts;
    const expectedIds = new Set<string>();
    const latest = new Map<string, number>();
    const dead = new Set<string>();
    const partitions = this.#log.topic(SIM_TOPIC).partitions.length;
    const groups = new Set<number>();
    for (let partition = 0; partition < partitions; partition++) {
      const start = this.#lanes.get(`${row.run} ${partition}`)?.path ?? Number.POSITIVE_INFINITY;
      for (const { offset, record } of this.#producer.records(partition)) {
        if (record.fate === 'dead') dead.add(`${partition} ${offset}`);
        if (record.fate !== 'passed') continue;
        groups.add(record.g);
        expectedIds.add(record.id);
        latest.set(hexOf(record.k), offset);
        const rev = this.#rawRev(partition, offset);
        if (offset >= start)
          this.#check(
            rev === facts.rev,
            () => `partition ${partition}, offset ${offset} shows revision ${rev}, not ${facts.rev}`,
          );
      }
    }
    const ids = new Set(
      [...this.#tables.rows(RAW).values()].filter(isLive).map((stored) => textOf(stored, 'id') ?? ''),
    );
    this.#sameSet('ids', ids, expectedIds);
    this.#sameSet('dead letters', this.#lettered, dead);
    this.#sameSet('keys', new Set(this.#tables.rows(LATEST).keys()), new Set(latest.keys()));
    this.#check(
      this.#tables.rows(SHARED).size === groups.size,
      () => `${this.#tables.rows(SHARED).size} groups instead of ${groups.size}`,
    );
    for (const table of [RAW, LATEST, SHARED]) {
      for (const stored of this.#tables.rows(table).values()) {
        const record = this.#producer.at(numberOf(stored, 'part'), numberOf(stored, 'off'));
        if (record !== undefined) this.#checkWhole(table, stored, record);
      }
    }
    for (const [key, stored] of this.#tables.rows(LATEST)) {
      const shown = numberOf(stored, 'off');
      this.#check(
        shown === latest.get(key),
        () => `key ${textOf(stored, 'k')} shows offset ${shown}, its last record is at ${latest.get(key)}`,
      );
    }
  }

  #rawRev(partition: number, offset: number): number | undefined {
    const row = this.#tables.rows(RAW).get(`${hexOfInt(partition)}|${hexOfLong(offset)}`);
    return row === undefined ? undefined : LARGEST_REV - numberOf(row, 'rev');
  }

  #sameSet(what: string, found: ReadonlySet<string>, expected: ReadonlySet<string>): void {
    const missing = [...expected].filter((entry) => !found.has(entry));
    const extra = [...found].filter((entry) => !expected.has(entry));
    this.#check(missing.length === 0, () => `${missing.length} ${what} missing: ${missing.slice(0, 5).join(', ')}`);
    this.#check(extra.length === 0, () => `${extra.length} ${what} too many: ${extra.slice(0, 5).join(', ')}`);
  }
}

function valuesOf(row: StoredRow): string {
  return [textOf(row, 'id'), textOf(row, 'k'), numberOf(row, 'g'), numberOf(row, 'v')].join();
}

function sameCounters(a: LaneCounters, b: LaneCounters): boolean {
  return (
    a.read === b.read &&
    a.passed === b.passed &&
    a.filtered === b.filtered &&
    a.skipped === b.skipped &&
    a.dead === b.dead &&
    a.rowsOut === b.rowsOut
  );
}

function integerOf(row: RowWrite, name: string): number {
  const value = row.values[row.shape.columns.findIndex((column) => column.name === name)];
  return value === null || value === undefined ? Number.NaN : decodeInteger(value);
}

function hexOf(text: string): string {
  return Buffer.from(text).toString('hex');
}

function hexOfInt(value: number): string {
  return value.toString(16).padStart(8, '0');
}

function hexOfLong(value: number): string {
  return value.toString(16).padStart(16, '0');
}
