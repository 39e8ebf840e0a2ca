import { must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { UserFunctions } from '../../core/job/user-functions.ts';
import type { Schema } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import type { StatePlan } from '../plan/epoch-plan.ts';
import type { StateVariable } from '../plan/logical-plan.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { putByte, putF64, putText, putVarint } from '../state/bytes-out.ts';
import { KeyEncoder } from '../state/key-encoder.ts';
import { RowCodec } from '../state/row-codec.ts';
import { UserCall } from '../user/user-call.ts';
import { placeOf } from '../user/user-error.ts';
import { msOf, UserRows } from '../user/user-rows.ts';
import { checkFormat } from './group-format.ts';
import { ListedGroupStates } from './group-states.ts';
import { KeyedStateStore, type Slice } from './keyed-state-store.ts';
import type { FailureLog } from './operator.ts';
import { noOrigins } from './picked-rows.ts';
import type { GroupFailure, StateInput, StateOperator, StateOutput } from './state-operator.ts';

type UserPlan = Extract<StatePlan, { kind: 'user' }>;

const FORMAT = 1;

/** A key with something to do at the end of the epoch. */
interface Due {
  readonly group: number;
  readonly keyBytes: Uint8Array;
}

/**
 * Functions of the job over rows and state by key. Within an epoch: rows in the order in which they arrive, then timers
 * by time, then what has expired; with processing time, expiry comes first. Timers and expiry go by this epoch's
 * watermark or by its time, so all of it is a function of the plan and the rows. Among equal times keys go in the order
 * of their bytes: it depends neither on history nor on what other groups there are. What a call does counts when it has
 * returned: one that throws leaves its row as a dead letter and no trace. (Spark: TransformWithStateExec, except that
 * expiry is an event here.)
 *
 * Invariant: a key is in the store exactly while it has a row of state or a timer.
 */
export class KeyedState extends ListedGroupStates implements StateOperator {
  readonly output: Schema;
  readonly #plan: UserPlan;
  readonly #functions: UserFunctions;
  readonly #keyEncoder: KeyEncoder;
  readonly #keyRows: UserRows;
  readonly #inputCodec: RowCodec;
  readonly #inputRows: UserRows;
  readonly #outputCodec: RowCodec;
  readonly #store: KeyedStateStore;
  readonly #call: UserCall;
  readonly #key = new ByteBuffer();
  readonly #row = new ByteBuffer();
  readonly #reader = new ByteReader();
  readonly #emitted = new ByteBuffer();
  #starts: number[] = [];
  #groups: number[] = [];
  #failures: GroupFailure[] = [];
  /** Calls of each group in this epoch: they name a call for its random numbers. */
  #calls = new Map<number, number>();
  #env: EpochEnv | null = null;
  #evicted = 0;

  constructor(plan: UserPlan, inputs: readonly Schema[], functions: UserFunctions) {
    const store = new KeyedStateStore(plan.variables);
    super(store.byGroup);
    const input = must(inputs[0], () => 'a keyed state has no input');
    this.#plan = plan;
    this.#functions = functions;
    this.output = plan.output;
    const keys = plan.keys.map((index) => must(input[index], () => `key ${index} is no column`));
    this.#keyEncoder = new KeyEncoder(keys.map(({ type }) => type));
    this.#keyRows = new UserRows(keys, true);
    this.#inputCodec = new RowCodec(input);
    this.#inputRows = new UserRows(input, true);
    this.#outputCodec = new RowCodec(plan.output);
    this.#store = store;
    this.#call = new UserCall(store, plan);
  }

  fold(inputs: readonly StateInput[], env: EpochEnv, failures: FailureLog): StateOutput {
    this.#begin(env);
    const isEventTime = this.#plan.timers === 'eventTime';
    const boundUs = isEventTime ? env.evictUs - this.#plan.watermarkLagUs : env.epochTsUs;
    if (!isEventTime) this.#expire(boundUs);
    for (const input of inputs) this.#rows(input, env, failures);
    // Before there is a watermark, rows without a time would be older than it.
    if (boundUs !== -Infinity) {
      this.#fire(boundUs);
      if (isEventTime) this.#expire(boundUs);
    }
    return this.#output();
  }

  #begin(env: EpochEnv): void {
    const watermarkUs = env.evictUs - this.#plan.watermarkLagUs;
    this.#env = env;
    this.#evicted = 0;
    this.#emitted.clear();
    this.#starts = [];
    this.#groups = [];
    this.#failures = [];
    this.#calls = new Map();
    this.#call.beginEpoch({
      watermarkMs: watermarkUs === -Infinity ? null : msOf(watermarkUs),
      epochMs: msOf(env.epochTsUs),
    });
  }

  #output(): StateOutput {
    const count = this.#starts.length;
    const ids = Int32Array.from({ length: count }, (_, index) => index);
    // A copy: the columns point into these bytes, and the buffer is used again.
    const columns = this.#outputCodec.decodeAll(this.#emitted.copy(), this.#starts, ids, count);
    return {
      batch: { rowCount: count, columns, origins: noOrigins(count) },
      groups: Uint8Array.from(this.#groups),
      changes: null,
      failures: this.#failures,
    };
  }

  // ---- rows -------------------------------------------------------------------------------------------------------

  #rows({ batch, groups }: StateInput, env: EpochEnv, failures: FailureLog): void {
    const { onRow } = this.#functions;
    this.#keyEncoder.bind(this.#plan.keys.map((index) => must(batch.columns[index], () => `key ${index} is missing`)));
    this.#inputCodec.bind(batch.columns);
    const nowOf = this.#nowOf(batch.columns, env);
    for (let row = 0; row < batch.rowCount; row++) {
      this.#row.length = 0;
      this.#inputCodec.encode(row, this.#row);
      this.#key.length = 0;
      this.#keyEncoder.encode(row, this.#key);
      const keyBytes = { bytes: this.#key.bytes, from: 0, to: this.#key.length };
      const values = this.#inputRows.read(this.#reader.reset(this.#row.bytes, 0, this.#row.length));
      const failure = this.#run(groups[row]!, keyBytes, nowOf(row), () =>
        onRow(values, this.#call.state, this.#call.context),
      );
      if (failure !== null)
        failures.add(batch.origins.record[row]!, 'EXPRESSION_FAILED', placeOf('onRow', failure.thrown));
    }
  }

  /** The time that a row's writes expire by, µs. Without a time they count as old: they go when the watermark moves. */
  #nowOf(columns: readonly Column[], env: EpochEnv): (row: number) => number {
    const { eventTime } = this.#plan;
    if (eventTime === null) return () => env.epochTsUs;
    const column = must(columns[eventTime.column], () => `event time ${eventTime.column} is missing`);
    const time = column.kind === 'struct' ? column.fields[1] : column;
    if (time?.kind !== 'f64') throw new TypeError(`event time is a ${time?.kind} column`);
    const { values, valid } = time;
    return (row) => (valid[row] === 0 ? env.evictUs : values[row]!);
  }

  // ---- time -------------------------------------------------------------------------------------------------------

  /** Timers that calls set meanwhile wait for the next epoch. */
  #fire(boundUs: number): void {
    const { onTimer } = this.#functions;
    const due: (Due & { readonly timeUs: number })[] = [];
    for (let timer = this.#store.takeTimer(boundUs); timer !== null; timer = this.#store.takeTimer(boundUs))
      due.push({ ...this.#dueKey(timer.key), timeUs: timer.timeUs });
    due.sort((a, b) => a.timeUs - b.timeUs || Buffer.compare(a.keyBytes, b.keyBytes));
    const cancelled = new Set<string>();
    const nameOf = (keyBytes: Uint8Array, timeUs: number): string =>
      `${timeUs}/${Buffer.from(keyBytes).toString('latin1')}`;
    for (const { group, keyBytes, timeUs } of due) {
      this.changed.add(group);
      if (onTimer === undefined || cancelled.has(nameOf(keyBytes, timeUs))) continue;
      const key = this.#keyRows.read(this.#reader.reset(keyBytes));
      const at = { bytes: keyBytes, from: 0, to: keyBytes.length };
      const failure = this.#run(group, at, timeUs, () =>
        onTimer(key, msOf(timeUs), this.#call.state, this.#call.context),
      );
      if (failure !== null) this.#failures.push({ group, place: placeOf('onTimer', failure.thrown) });
      else for (const deleted of this.#call.deletedTimers()) cancelled.add(nameOf(keyBytes, deleted));
    }
    for (const { keyBytes } of due) this.#forgetEmpty(keyBytes);
  }

  /** onExpire sees what has expired; it goes when the call has returned, however it ends. */
  #expire(boundUs: number): void {
    const { onExpire } = this.#functions;
    const cellsOf = new Map<number, number[]>();
    for (let cell = this.#store.takeExpired(boundUs); cell >= 0; cell = this.#store.takeExpired(boundUs)) {
      const key = this.#store.keyOf(this.#store.variableOf(cell), cell);
      const cells = cellsOf.get(key);
      if (cells === undefined) cellsOf.set(key, [cell]);
      else cells.push(cell);
    }
    const due = Array.from(cellsOf, ([key, cells]) => ({ ...this.#dueKey(key), cells }));
    due.sort((a, b) => Buffer.compare(a.keyBytes, b.keyBytes));
    for (const { group, keyBytes, cells } of due) {
      this.changed.add(group);
      this.#evicted += cells.length;
      const remove = (): void => {
        for (const cell of cells) this.#store.remove(cell);
      };
      if (onExpire === undefined) remove();
      else {
        const key = this.#keyRows.read(this.#reader.reset(keyBytes));
        const at = { bytes: keyBytes, from: 0, to: keyBytes.length };
        const run = (): unknown => onExpire(key, this.#call.state, this.#call.context);
        const failure = this.#run(group, at, boundUs, run, remove);
        if (failure !== null) this.#failures.push({ group, place: placeOf('onExpire', failure.thrown) });
      }
      this.#forgetEmpty(keyBytes);
    }
  }

  #dueKey(key: number): Due {
    const { data, start, length } = this.#store.keys;
    const from = start[key]!;
    return { group: this.byGroup.groupOf(key), keyBytes: data.slice(from, from + length[key]!) };
  }

  #forgetEmpty(keyBytes: Uint8Array): void {
    const key = this.#store.keys.find(keyBytes, 0, keyBytes.length);
    if (key >= 0) this.#store.forgetEmpty(key);
  }

  // ---- calls ------------------------------------------------------------------------------------------------------

  /** Runs one call; what it threw. `before`: comes between the call and its effects. */
  #run(
    group: number,
    keyBytes: Slice,
    nowUs: number,
    run: () => unknown,
    before: () => void = () => undefined,
  ): { readonly thrown: unknown } | null {
    const env = must(this.#env, () => 'a call outside of an epoch');
    const number = this.#calls.get(group) ?? 0;
    this.#calls.set(group, number + 1);
    const key = this.#store.keys.find(keyBytes.bytes, keyBytes.from, keyBytes.to);
    const site = { group, key, keyBytes, nowUs, seed: `${env.run}/${env.epoch}/${group}/${number}` };
    this.#call.begin(site);
    let failure: { readonly thrown: unknown } | null = null;
    try {
      const result = run();
      if (result instanceof Promise) {
        result.catch(() => undefined);
        throw new TypeError('functions of keyed state are not async');
      }
    } catch (thrown) {
      failure = { thrown };
    }
    this.#call.end();
    before();
    if (failure !== null) return failure;
    if (this.#call.commit(site)) this.changed.add(group);
    for (const { bytes, from, to } of this.#call.emitted()) {
      this.#starts.push(this.#emitted.append(bytes, from, to));
      this.#groups.push(group);
    }
    return null;
  }

  // ---- groups -----------------------------------------------------------------------------------------------------

  /**
   * Format, types of the key, the variables' names and types; then for each key in order: its length and bytes, for
   * each variable its rows (key within the key, row, expiry; NaN = never), and its timers.
   */
  encodeGroup(group: number): Uint8Array | null {
    const store = this.#store;
    if (this.byGroup.sizeOf(group) === 0) return null;
    const out = new ByteBuffer();
    putByte(out, FORMAT);
    putText(out, this.#keyTypes());
    putVarint(out, this.#plan.variables.length);
    for (const variable of this.#plan.variables) putText(out, signatureOf(variable));
    for (let key = this.byGroup.first(group); key >= 0; key = this.byGroup.next(key)) {
      const from = store.keys.start[key]!;
      putSlice(out, { bytes: store.keys.data, from, to: from + store.keys.length[key]! });
      for (const [variable, { kind }] of this.#plan.variables.entries()) {
        putVarint(out, store.sizeOf(variable, key));
        for (let cell = store.first(variable, key); cell >= 0; cell = store.next(variable, cell)) {
          if (kind === 'map') putSlice(out, store.entryKeyOf(cell));
          putSlice(out, store.rowOf(cell));
          putF64(out, store.expiryOf(cell));
        }
      }
      const timers = store.timersOf(key);
      putVarint(out, timers.length);
      for (const timeUs of timers) putF64(out, timeUs);
    }
    return out.copy();
  }

  /** Variables that the stored state does not have stay empty; those that the job no longer has are passed over. */
  restoreGroup(group: number, bytes: Uint8Array | null): void {
    this.dropGroup(group);
    if (bytes === null) return;
    const store = this.#store;
    const reader = new ByteReader().reset(bytes);
    checkFormat(reader, FORMAT);
    const keyTypes = reader.text();
    if (keyTypes !== this.#keyTypes())
      throw new WeirError(
        'STATE_INCOMPATIBLE',
        `The stored state is kept by (${keyTypes}) and the job's by (${this.#keyTypes()}); start the job afresh or keep the key of its keyedState.`,
      );
    const stored = Array.from({ length: reader.varint() }, () => reader.text());
    const own = this.#plan.variables.map(signatureOf);
    while (!reader.done) {
      const { from, to } = slice(reader);
      const key = store.add(group, bytes, from, to);
      for (const signature of stored) {
        const variable = own.indexOf(signature);
        const isMap = signature.startsWith('map ');
        for (let left = reader.varint(); left > 0; left--) {
          const within = isMap ? slice(reader) : null;
          const row = slice(reader);
          const expiresUs = reader.f64();
          if (variable < 0) continue;
          if (within === null) store.append(variable, key, row, expiresUs);
          else store.set(variable, key, within, row, expiresUs);
        }
      }
      for (let left = reader.varint(); left > 0; left--) store.addTimer(key, reader.f64());
      store.forgetEmpty(key);
    }
  }

  dropGroup(group: number): void {
    for (const key of this.byGroup.idsOf(group)) this.#store.forget(key);
    this.changed.delete(group);
  }

  figures(): StateFigures {
    return { rows: this.#store.size, bytes: this.#store.bytes, evicted: this.#evicted };
  }

  #keyTypes(): string {
    return this.#keyEncoder.types.map(formatType).join(', ');
  }
}

function signatureOf({ name, kind, schema, key }: StateVariable): string {
  const row = formatType({ kind: 'struct', fields: schema });
  return `${kind} ${name}: ${key === null ? '' : `${formatType(key)} to `}${row}`;
}

function putSlice(out: ByteBuffer, { bytes, from, to }: Slice): void {
  putVarint(out, to - from);
  out.append(bytes, from, to);
}

function slice(reader: ByteReader): Slice {
  const size = reader.varint();
  const from = reader.skip(size);
  return { bytes: reader.bytes, from, to: from + size };
}
