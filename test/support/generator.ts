/**
 * Test records as a pure function of (seed, partition, sequence number): nothing about them has to be stored, what a
 * job should have made of them is computed again. Used by the simulator and by the fault tests on real servers.
 */
import { assert } from '../../core/assert.ts';

/** What a job does with a record: rows, dropped by WHERE, a dead letter, or skipped for its missing value. */
export type RecordFate = 'passed' | 'filtered' | 'dead' | 'skipped';

export interface GeneratorConfig {
  readonly seed: number;
  /** Keys per partition. A key belongs to one partition: its last record is the one with the largest offset. */
  readonly keysPerPartition: number;
  /** Distinct values of `g`, which every partition uses. */
  readonly groups: number;
  /** Per mille of records that are not JSON. */
  readonly badPerMille: number;
  /** Per mille of records without a value. */
  readonly nullPerMille: number;
}

export const defaultGenerator: GeneratorConfig = {
  seed: 1,
  keysPerPartition: 7,
  groups: 5,
  badPerMille: 20,
  nullPerMille: 20,
};

/** Records whose `v` is a multiple of it are dropped by the jobs under test: `WHERE v % 5 <> 0`. */
export const FILTER_MODULUS = 5;

export interface GeneratedRecord {
  /** `<partition>-<seq>`. */
  readonly id: string;
  readonly partition: number;
  readonly seq: number;
  /** `<partition>:<number>`; also the Kafka key. */
  readonly k: string;
  readonly g: number;
  readonly v: number;
  /** Event time, ms: sequence numbers a second apart, up to 30 s out of order. */
  readonly ts: number;
  readonly fate: RecordFate;
}

export function generate(config: GeneratorConfig, partition: number, seq: number): GeneratedRecord {
  const first = mix(config.seed, partition, seq, 1);
  const second = mix(config.seed, partition, seq, 2);
  const v = first % 1000;
  const lot = second % 1000;
  const fate: RecordFate =
    lot < config.badPerMille
      ? 'dead'
      : lot < config.badPerMille + config.nullPerMille
        ? 'skipped'
        : v % FILTER_MODULUS === 0
          ? 'filtered'
          : 'passed';
  return {
    id: `${partition}-${seq}`,
    partition,
    seq,
    k: `${partition}:${mix(config.seed, partition, seq, 3) % config.keysPerPartition}`,
    g: mix(config.seed, partition, seq, 4) % config.groups,
    v,
    ts: 1_700_000_000_000 + seq * 1000 + (mix(config.seed, partition, seq, 5) % 60_000) - 30_000,
    fate,
  };
}

/** The Kafka value of a record; null for one without a value. `padding` bytes make it as long as real ones. */
export function valueOf(record: GeneratedRecord, padding = 0): string | null {
  if (record.fate === 'skipped') return null;
  if (record.fate === 'dead') return `{"id":"${record.id}","v":`;
  const { id, k, g, v, ts } = record;
  return JSON.stringify(padding > 0 ? { id, k, g, v, ts, pad: 'x'.repeat(padding) } : { id, k, g, v, ts });
}

/** What some records should have come to. The 64-bit xor of hashed ids notices one swapped for another. */
export interface Totals {
  count: number;
  sum: number;
  xorHigh: number;
  xorLow: number;
}

export function emptyTotals(): Totals {
  return { count: 0, sum: 0, xorHigh: 0, xorLow: 0 };
}

/** Adds one row in place. */
export function addToTotals(totals: Totals, id: string, v: number): void {
  totals.count++;
  totals.sum += v;
  totals.xorHigh = (totals.xorHigh ^ hashId(id, 0x2c1b3c6d)) >>> 0;
  totals.xorLow = (totals.xorLow ^ hashId(id, 0x297a2d39)) >>> 0;
}

export interface Expectation {
  /** Ids of records that must be in a table keyed by record. */
  readonly ids: Set<string>;
  /** Totals of passed records by key. */
  readonly byKey: Map<string, Totals>;
  /** Sequence number of the last passed record by key: what a table keyed by `k` must show. */
  readonly lastByKey: Map<string, number>;
  /** Sequence numbers of dead letters by partition. */
  readonly dead: Map<number, number[]>;
  readonly counters: Record<RecordFate | 'read', number>;
}

function emptyExpectation(): Expectation {
  return {
    ids: new Set(),
    byKey: new Map(),
    lastByKey: new Map(),
    dead: new Map(),
    counters: { read: 0, passed: 0, filtered: 0, dead: 0, skipped: 0 },
  };
}

/** Folds one record in. Records of one partition in the order of their sequence numbers. */
function expectRecord(expectation: Expectation, record: GeneratedRecord): void {
  expectation.counters.read++;
  expectation.counters[record.fate]++;
  if (record.fate === 'dead') {
    const list = expectation.dead.get(record.partition) ?? [];
    list.push(record.seq);
    expectation.dead.set(record.partition, list);
  }
  if (record.fate !== 'passed') return;
  expectation.ids.add(record.id);
  const totals = expectation.byKey.get(record.k) ?? emptyTotals();
  addToTotals(totals, record.id, record.v);
  expectation.byKey.set(record.k, totals);
  assert((expectation.lastByKey.get(record.k) ?? -1) < record.seq, () => `record ${record.id} folded out of order`);
  expectation.lastByKey.set(record.k, record.seq);
}

/** What the first `counts[partition]` records of each partition should come to. */
export function expectationOf(config: GeneratorConfig, counts: readonly number[]): Expectation {
  const expectation = emptyExpectation();
  for (const [partition, count] of counts.entries()) {
    for (let seq = 0; seq < count; seq++) expectRecord(expectation, generate(config, partition, seq));
  }
  return expectation;
}

/** 32 bits of a hash of an id; two seeds give independent halves. */
function hashId(id: string, seed: number): number {
  let hash = seed;
  for (let index = 0; index < id.length; index++) {
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x5bd1e995);
    hash ^= hash >>> 13;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function mix(seed: number, partition: number, seq: number, salt: number): number {
  let hash = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(partition + 1, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f) ^ Math.imul(seq + 1, 0x165667b1);
  hash = Math.imul(hash ^ (hash >>> 13), 0x9e3779b1) ^ Math.imul(salt, 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 16), 0x846ca68b);
  return (hash ^ (hash >>> 14)) >>> 0;
}
