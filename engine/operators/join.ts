import { must } from '../../core/assert.ts';
import type { Expr } from '../../core/ast.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column, ColumnBatch } from '../column-batch.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import type { StatePlan } from '../plan/epoch-plan.ts';
import { timeZoneOf } from '../scan/time-zone.ts';
import { Runtime } from '../sql/runtime/runtime.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { putByte, putVarint } from '../state/bytes-out.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import { KeyEncoder } from '../state/key-encoder.ts';
import { Filter } from './filter.ts';
import { foldConstants } from './fold-constants.ts';
import { gather, gatherOrigins } from './gather.ts';
import { checkFormat } from './group-format.ts';
import { GroupStates } from './group-states.ts';
import { splitJoinCondition } from './join-condition.ts';
import { equalsNothing } from './join-keys.ts';
import { type JoinExpiry, JoinSide, NO_KEY, timeReader } from './join-side.ts';
import type { FailureLog, Rows } from './operator.ts';
import { noOrigins } from './picked-rows.ts';
import type { StateInput, StateOperator, StateOutput } from './state-operator.ts';

type JoinPlan = Extract<StatePlan, { kind: 'join' }>;

const FORMAT = 1;
const LEFT = 0;
const RIGHT = 1;
type SideIndex = typeof LEFT | typeof RIGHT;
const NO_ROW = -1;
/** Pairs that the condition is tried on at once. */
const PAIRS_MAX = 1 << 15;

/**
 * Stream with stream, by hash, symmetric. Both sides keep their rows; the epoch's left rows meet the right ones kept
 * from before, are kept themselves, and then the epoch's right rows meet all left ones: every pair comes out exactly
 * once. Equal rows are rows of their own. A key that is NULL equals nothing unless its equality is null-safe.
 *
 * - Outer: a row that met none comes out with NULLs when it is evicted, or at once when its own columns alone rule out
 *   any match (then it is not kept).
 * - Semi: a left row comes out at its first match, and is forgotten. Anti: a left row that is evicted unmatched comes
 *   out; a matched one is forgotten.
 * - Eviction, after the epoch's rows: an equality of event times (or windows) makes a row final when that time (the
 *   window's end) is at or below the watermark; bounds `left − right` in [lower, upper] when the earliest time that
 *   the other side may still bring, just above the watermark, is out of bounds for it. Rows that are late have been
 *   dropped before they arrive here.
 *
 * (Spark: StreamingSymmetricHashJoinExec; its state watermarks are whole milliseconds, ours microseconds.)
 */
export class Join extends GroupStates implements StateOperator {
  readonly output: Schema;
  readonly #plan: JoinPlan;
  readonly #runtime: Runtime;
  readonly #sides: readonly [JoinSide, JoinSide];
  /** What a side's own columns must satisfy, and what a pair must. */
  readonly #alone: readonly [Filter | null, Filter | null];
  readonly #both: Filter | null;
  readonly #encoder: KeyEncoder;
  readonly #key = new ByteBuffer();
  readonly #keys = new KeyDictionary();
  #evicted = 0;

  constructor(plan: JoinPlan, inputs: readonly Schema[]) {
    super();
    this.#plan = plan;
    const left = must(inputs[LEFT], () => 'a join has no left input');
    const right = must(inputs[RIGHT], () => 'a join has no right input');
    this.#encoder = new KeyEncoder(left.slice(0, plan.keyCount).map(({ type }) => type));
    const own = [left.slice(plan.keyCount), right.slice(plan.keyCount)] as const;
    this.output = outputOf(plan, ...own);
    this.#sides = [new JoinSide(own[LEFT], expiryOf(plan, LEFT)), new JoinSide(own[RIGHT], expiryOf(plan, RIGHT))];
    const zone = must(timeZoneOf(plan.timeZone), () => `the plan names the unknown time zone ${plan.timeZone}`);
    this.#runtime = new Runtime(zone);
    const condition = splitJoinCondition(plan.residual, own[LEFT].length);
    const compile = (expr: Expr | null): Filter | null =>
      expr === null ? null : new Filter(foldConstants(expr, zone), this.#runtime);
    this.#alone = [compile(condition.left), compile(condition.right)];
    this.#both = compile(condition.both);
  }

  fold(inputs: readonly StateInput[], env: EpochEnv, failures: FailureLog): StateOutput {
    const out = new Output();
    this.#evicted = 0;
    for (const side of [LEFT, RIGHT] as const) {
      const arrived = new Arrivals();
      for (const input of inputs) if (input.port === side) this.#arrive(side, input, arrived, out, failures);
      this.#meet(side, arrived, out, failures);
    }
    const watermark = env.evictUs - this.#plan.watermarkLagUs;
    for (const side of [LEFT, RIGHT] as const) this.#evict(side, watermark, out);
    return this.#finish(out);
  }

  /** Takes an input's rows in and finds the pairs that they make with rows kept on the other side. */
  #arrive(side: SideIndex, input: StateInput, arrived: Arrivals, out: Output, failures: FailureLog): void {
    const { batch, groups } = input;
    const { keyCount } = this.#plan;
    const own: ColumnBatch = { ...batch, columns: batch.columns.slice(keyCount) };
    const here = this.#sides[side];
    const there = this.#sides[1 - side] as JoinSide;
    const mayMatch = this.#mayMatch(side, own, failures);
    const hasNoKey = equalsNothing(batch.columns, this.#plan.nullSafe);
    const timeOf = this.#boundTime(side, own.columns);
    const finalAtOf = here.finalAt(own.columns);
    const tried = new Tried(side, own);
    this.#encoder.bind(batch.columns);
    here.rows.bind(own.columns);
    for (let row = 0; row < batch.rowCount; row++) {
      const record = batch.origins.record[row] as number;
      if (failures.size > 0 && failures.has(record)) continue;
      const group = groups[row] as number;
      const time = timeOf === null ? 0 : timeOf(row);
      const finalAt = finalAtOf(row);
      const isPossible = mayMatch === null || mayMatch[row] === 1;
      if (!isPossible || Number.isNaN(time) || hasNoKey(row)) {
        if (!this.#showsUnmatched(side)) continue;
        const id = here.rows.add(row);
        here.begin(id, time);
        // Without a time it would never come out later.
        if (isPossible && !Number.isNaN(finalAt)) arrived.add(id, NO_KEY, group, record, finalAt);
        else out.addAlone(side, id, group);
        continue;
      }
      this.#key.clear();
      this.#encoder.encode(row, this.#key);
      const key = this.#keys.add(this.#key.bytes, 0, this.#key.length);
      const id = here.rows.add(row);
      here.begin(id, time);
      const place = arrived.add(id, key, group, record, finalAt);
      for (let other = there.firstOf(key); other >= 0; other = there.nextOf(other)) {
        if (timeOf !== null && !this.#isWithin(side === LEFT ? time - there.timeOf(other) : there.timeOf(other) - time))
          continue;
        if (this.#both === null) {
          arrived.addPair(place, other);
          continue;
        }
        tried.add(place, row, other);
        if (tried.count >= PAIRS_MAX) this.#try(tried, arrived, failures);
      }
    }
    if (tried.count > 0) this.#try(tried, arrived, failures);
  }

  /** Judges pairs by the condition over both sides. */
  #try(tried: Tried, arrived: Arrivals, failures: FailureLog): void {
    const { batch, side, count } = tried;
    const rows = Int32Array.from(tried.rows);
    const here = batch.columns.map((column) => gather(column, rows, count));
    const there = (this.#sides[1 - side] as JoinSide).rows.gather(tried.others, count);
    const columns = side === LEFT ? [...here, ...there] : [...there, ...here];
    const passed = this.#filter(
      must(this.#both, () => 'a join without a condition tries pairs'),
      { rowCount: count, columns, origins: gatherOrigins(batch.origins, rows, count) },
      failures,
    );
    for (let index = 0; index < passed.count; index++) {
      const pair = passed.selection === null ? index : (passed.selection[index] as number);
      arrived.addPair(tried.places[pair] as number, tried.others[pair] as number);
    }
    tried.clear();
  }

  /** Brings out the pairs that the epoch's rows of a side made, and keeps the rows. */
  #meet(side: SideIndex, arrived: Arrivals, out: Output, failures: FailureLog): void {
    const here = this.#sides[side];
    const there = this.#sides[1 - side] as JoinSide;
    const { type } = this.#plan;
    const isOneSided = type === 'semi' || type === 'anti';
    const tracksHere = this.#tracksMatches(side);
    const tracksThere = this.#tracksMatches((1 - side) as SideIndex);
    for (let index = 0; index < arrived.pairCount; index++) {
      const place = arrived.places[index] as number;
      const other = arrived.others[index] as number;
      if (failures.size > 0 && failures.has(arrived.records[place] as number)) continue;
      const id = arrived.ids[place] as number;
      const group = arrived.groups[place] as number;
      const isFirstHere = tracksHere && here.match(id);
      const isFirstThere = tracksThere && there.match(other);
      if (!isOneSided) {
        out.add(side === LEFT ? id : other, side === LEFT ? other : id, group);
      } else if (side === LEFT) {
        if (isFirstHere && type === 'semi') out.add(id, NO_ROW, group);
      } else if (isFirstThere) {
        if (type === 'semi') out.add(other, NO_ROW, group);
        there.release(other);
        out.drop(LEFT, other);
      }
    }
    arrived.ids.forEach((id, place) => {
      const isFailed = failures.size > 0 && failures.has(arrived.records[place] as number);
      const isDone = isOneSided && side === LEFT && here.isMatched(id);
      if (isFailed || isDone) {
        out.drop(side, id);
        out.touch(arrived.keys[place] as number);
        return;
      }
      const group = arrived.groups[place] as number;
      here.keep(id, arrived.keys[place] as number, group, arrived.finalAt[place] as number);
      this.changed.add(group);
    });
  }

  #evict(side: SideIndex, watermark: number, out: Output): void {
    if (watermark === -Infinity) return;
    const here = this.#sides[side];
    const shows = this.#showsUnmatched(side);
    for (let id = here.takeFinal(watermark); id >= 0; id = here.takeFinal(watermark)) {
      const group = here.byGroup.groupOf(id);
      out.touch(here.keyOf(id));
      here.release(id);
      this.changed.add(group);
      this.#evicted++;
      if (shows && !here.isMatched(id)) out.addAlone(side, id, group);
      else out.drop(side, id);
    }
  }

  #finish(out: Output): StateOutput {
    const [left, right] = this.#sides;
    const count = out.groups.length;
    const isOneSided = this.#plan.type === 'semi' || this.#plan.type === 'anti';
    const columns = left.rows.gather(out.left, count);
    if (!isOneSided) columns.push(...right.rows.gather(out.right, count));
    for (const id of out.dropped[LEFT]) left.rows.remove(id);
    for (const id of out.dropped[RIGHT]) right.rows.remove(id);
    for (const key of out.touched) this.#forget(key);
    const batch = { rowCount: count, columns, origins: noOrigins(count) };
    return { batch, groups: Uint8Array.from(out.groups), changes: null };
  }

  /** Forgets a key that no row has any more. */
  #forget(key: number): void {
    const [left, right] = this.#sides;
    if (this.#keys.has(key) && left.firstOf(key) < 0 && right.firstOf(key) < 0) this.#keys.remove(key);
  }

  /** Whether rows of a side come out without a partner. */
  #showsUnmatched(side: SideIndex): boolean {
    const { type } = this.#plan;
    return type === 'full' || (side === LEFT ? type === 'left' || type === 'anti' : type === 'right');
  }

  /** Whether it matters that a row of a side has met another one. */
  #tracksMatches(side: SideIndex): boolean {
    return this.#showsUnmatched(side) || (side === LEFT && this.#plan.type === 'semi');
  }

  /** 1 = the row's own columns allow a match. null = those of all rows do. */
  #mayMatch(side: SideIndex, own: ColumnBatch, failures: FailureLog): Uint8Array | null {
    const filter = this.#alone[side];
    if (filter === null) return null;
    const passed = this.#filter(filter, own, failures);
    if (passed.selection === null) return null;
    const mayMatch = new Uint8Array(own.rowCount);
    for (let index = 0; index < passed.count; index++) mayMatch[passed.selection[index] as number] = 1;
    return mayMatch;
  }

  #filter(filter: Filter, batch: ColumnBatch, failures: FailureLog): Rows {
    this.#runtime.reset(batch.origins);
    const rows: Rows = { batch, selection: null, count: batch.rowCount };
    return filter.apply(rows, { runtime: this.#runtime, failures, epoch: null });
  }

  /** Reads the time that the condition bounds; NaN = NULL, which is within no bounds. null = it bounds none. */
  #boundTime(side: SideIndex, columns: readonly Column[]): ((row: number) => number) | null {
    const { bounds } = this.#plan;
    return bounds === null ? null : timeReader(columns, side === LEFT ? bounds.left : bounds.right);
  }

  #isWithin(difference: number): boolean {
    const { lowerUs, upperUs } = must(this.#plan.bounds, () => 'the join has no bounds');
    return (lowerUs === null || difference >= lowerUs) && (upperUs === null || difference <= upperUs);
  }

  groups(): readonly number[] {
    const groups = new Set(this.#sides.flatMap((side) => side.byGroup.groups()));
    return [...groups].toSorted((a, b) => a - b);
  }

  /**
   * Format; then for the left and the right side the number of rows and for each, in order: its key (0 = none, n = the
   * n-th key of this state, which follows with its length where it is a new one), whether it has met another row, and
   * its length and bytes.
   */
  encodeGroup(group: number): Uint8Array | null {
    if (this.#sides.every(({ byGroup }) => byGroup.sizeOf(group) === 0)) return null;
    const out = new ByteBuffer();
    putByte(out, FORMAT);
    const places = new Map<number, number>();
    for (const side of this.#sides) {
      putVarint(out, side.byGroup.sizeOf(group));
      for (let id = side.byGroup.first(group); id >= 0; id = side.byGroup.next(id)) {
        this.#encodeKey(side.keyOf(id), places, out);
        putByte(out, side.isMatched(id) ? 1 : 0);
        putVarint(out, side.rows.length[id] as number);
        side.rows.encode(id, out);
      }
    }
    return out.copy();
  }

  #encodeKey(key: number, places: Map<number, number>, out: ByteBuffer): void {
    if (key === NO_KEY) {
      putVarint(out, 0);
      return;
    }
    const known = places.get(key);
    putVarint(out, known ?? places.size + 1);
    if (known !== undefined) return;
    places.set(key, places.size + 1);
    const from = this.#keys.start[key] as number;
    const size = this.#keys.length[key] as number;
    putVarint(out, size);
    out.append(this.#keys.data, from, from + size);
  }

  restoreGroup(group: number, bytes: Uint8Array | null): void {
    this.dropGroup(group);
    if (bytes === null) return;
    const reader = new ByteReader().reset(bytes);
    checkFormat(reader, FORMAT);
    const keys: number[] = [];
    for (const side of [LEFT, RIGHT] as const) this.#restoreSide(side, group, reader, keys);
  }

  #restoreSide(index: SideIndex, group: number, reader: ByteReader, keys: number[]): void {
    const side = this.#sides[index];
    const count = reader.varint();
    const ids: number[] = [];
    const rows: { readonly key: number; readonly isMatched: boolean }[] = [];
    for (let row = 0; row < count; row++) {
      const place = reader.varint();
      if (place > keys.length) {
        const size = reader.varint();
        const from = reader.skip(size);
        keys.push(this.#keys.add(reader.bytes, from, from + size));
      }
      const isMatched = reader.byte() === 1;
      const size = reader.varint();
      const from = reader.skip(size);
      ids.push(side.rows.addBytes(reader.bytes, from, from + size));
      rows.push({ key: place === 0 ? NO_KEY : (keys[place - 1] as number), isMatched });
    }
    const columns = side.rows.gather(ids, count);
    const timeOf = this.#boundTime(index, columns);
    const finalAtOf = side.finalAt(columns);
    ids.forEach((id, row) => {
      const { key, isMatched } = rows[row] as (typeof rows)[number];
      side.begin(id, timeOf === null ? 0 : timeOf(row));
      if (isMatched) side.match(id);
      side.keep(id, key, group, finalAtOf(row));
    });
  }

  dropGroup(group: number): void {
    for (const side of this.#sides) {
      for (const id of side.byGroup.idsOf(group)) {
        const key = side.keyOf(id);
        side.release(id);
        side.rows.remove(id);
        if (key !== NO_KEY) this.#forget(key);
      }
    }
    this.changed.delete(group);
  }

  figures(): StateFigures {
    const [left, right] = this.#sides;
    return {
      rows: left.size + right.size,
      bytes: left.bytes + right.bytes + this.#keys.bytes,
      evicted: this.#evicted,
    };
  }
}

function outputOf({ type }: JoinPlan, left: Schema, right: Schema): Schema {
  if (type === 'semi' || type === 'anti') return left;
  const nullable = (schema: Schema): Schema => schema.map((field) => ({ ...field, nullable: true }));
  return [
    ...(type === 'right' || type === 'full' ? nullable(left) : left),
    ...(type === 'left' || type === 'full' ? nullable(right) : right),
  ];
}

/** When the rows of a side are final. */
function expiryOf({ equalTime, bounds, leftTime, rightTime }: JoinPlan, side: SideIndex): JoinExpiry | null {
  const own = side === LEFT ? leftTime : rightTime;
  if (equalTime && own !== null) return { column: own.column, shiftUs: 0, inclusive: true };
  if (bounds === null) return null;
  // Partners still to come are later than the watermark W: left − right > left's time − … falls below lower once
  // left < W + lower, and right < W − upper on the other side.
  if (side === LEFT)
    return bounds.lowerUs === null ? null : { column: bounds.left, shiftUs: -bounds.lowerUs, inclusive: false };
  return bounds.upperUs === null ? null : { column: bounds.right, shiftUs: bounds.upperUs, inclusive: false };
}

/** One side's rows of the epoch that may match or are kept until they are final, and the pairs they make. */
class Arrivals {
  readonly ids: number[] = [];
  readonly keys: number[] = [];
  readonly groups: number[] = [];
  readonly records: number[] = [];
  readonly finalAt: number[] = [];
  /** Pairs: a place in the lists above, and a row of the other side. */
  readonly places: number[] = [];
  readonly others: number[] = [];

  get pairCount(): number {
    return this.places.length;
  }

  add(id: number, key: number, group: number, record: number, finalAt: number): number {
    this.ids.push(id);
    this.keys.push(key);
    this.groups.push(group);
    this.records.push(record);
    this.finalAt.push(finalAt);
    return this.ids.length - 1;
  }

  addPair(place: number, other: number): void {
    this.places.push(place);
    this.others.push(other);
  }
}

/** Pairs that the condition over both sides has yet to judge. */
class Tried {
  readonly side: SideIndex;
  readonly batch: ColumnBatch;
  readonly places: number[] = [];
  readonly rows: number[] = [];
  readonly others: number[] = [];

  constructor(side: SideIndex, batch: ColumnBatch) {
    this.side = side;
    this.batch = batch;
  }

  get count(): number {
    return this.places.length;
  }

  add(place: number, row: number, other: number): void {
    this.places.push(place);
    this.rows.push(row);
    this.others.push(other);
  }

  clear(): void {
    this.places.length = 0;
    this.rows.length = 0;
    this.others.length = 0;
  }
}

/** What the epoch brings out, by rows of the sides; and what is forgotten once it is out. */
class Output {
  readonly left: number[] = [];
  readonly right: number[] = [];
  readonly groups: number[] = [];
  readonly dropped: readonly [number[], number[]] = [[], []];
  /** Keys that may be without rows now. */
  readonly touched: number[] = [];

  add(left: number, right: number, group: number): void {
    this.left.push(left);
    this.right.push(right);
    this.groups.push(group);
  }

  /** A row without a partner, which is not kept. */
  addAlone(side: SideIndex, id: number, group: number): void {
    this.add(side === LEFT ? id : NO_ROW, side === LEFT ? NO_ROW : id, group);
    this.drop(side, id);
  }

  drop(side: SideIndex, id: number): void {
    this.dropped[side].push(id);
  }

  touch(key: number): void {
    if (key !== NO_KEY) this.touched.push(key);
  }
}
