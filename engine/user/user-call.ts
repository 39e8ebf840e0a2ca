/**
 * One call of a user function: its view of the state of one key, and what it does. Everything is kept aside and becomes
 * part of the state, the timers and the output when the call has returned; a call that throws leaves no trace.
 */
import type { ListState, MapState, UserContext, ValueState } from '../../core/job/user-functions.ts';
import { seededRng } from '../../core/random.ts';
import type { Rng } from '../../core/clock.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { KeyedStateStore, Slice } from '../operators/keyed-state-store.ts';
import type { StateVariable } from '../plan/logical-plan.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { msOf, UserRows, usOf, UserValues } from './user-rows.ts';

/** Rows that one call may emit. */
const EMITTED_MAX = 100_000;

/** What a call is about. */
export interface CallSite {
  readonly group: number;
  /** The key's id in the store; -1 = it holds nothing yet. */
  readonly key: number;
  readonly keyBytes: Slice;
  /** What the rows it writes expire by, µs, where they have a ttl. */
  readonly nowUs: number;
  /** Names the call for ever: chance is drawn from it. */
  readonly seed: string;
}

/** What all calls of an epoch share. */
export interface CallTimes {
  readonly watermarkMs: number | null;
  readonly epochMs: number;
}

/** Bytes of the call at hand. */
interface Part {
  readonly from: number;
  readonly to: number;
}

/** What a call has done to one variable. */
class Pending {
  cleared = false;
  /** value: at most one; list: appended. */
  rows: Part[] = [];
  /** map: by the text of the key's bytes; a null row = deleted. */
  readonly entries = new Map<string, { readonly key: Part; readonly row: Part | null }>();

  get touched(): boolean {
    return this.cleared || this.rows.length > 0 || this.entries.size > 0;
  }

  reset(): void {
    this.cleared = false;
    this.rows = [];
    this.entries.clear();
  }
}

export class UserCall {
  readonly context: UserContext<unknown>;
  /** What the functions get: the one state, or all by name. */
  readonly state: unknown;
  readonly #store: KeyedStateStore;
  readonly #variables: readonly StateVariable[];
  readonly #pending: readonly Pending[];
  readonly #scratch = new ByteBuffer();
  readonly #reader = new ByteReader();
  readonly #output: UserRows;
  readonly #emitted: Part[] = [];
  readonly #timers = new Map<number, 'set' | 'deleted'>();
  #site: CallSite | null = null;
  #times: CallTimes = { watermarkMs: null, epochMs: 0 };
  #rng: Rng | null = null;

  constructor(
    store: KeyedStateStore,
    plan: {
      readonly variables: readonly StateVariable[];
      readonly single: boolean;
      readonly output: UserRows['schema'];
      readonly timers: string;
      readonly functions: readonly string[];
    },
  ) {
    this.#store = store;
    this.#variables = plan.variables;
    this.#pending = plan.variables.map(() => new Pending());
    this.#output = new UserRows(plan.output);
    const handles = plan.variables.map((variable, index) => [variable.name, this.#handle(variable, index)] as const);
    this.state = plan.single ? handles[0]?.[1] : Object.freeze(Object.fromEntries(handles));
    this.context = this.#context(plan.timers !== 'none' && plan.functions.includes('onTimer'));
  }

  beginEpoch(times: CallTimes): void {
    this.#times = times;
  }

  begin(site: CallSite): void {
    this.#site = site;
    this.#scratch.length = 0;
    this.#emitted.length = 0;
    this.#timers.clear();
    this.#rng = null;
    for (const pending of this.#pending) pending.reset();
  }

  /** From here on the handles answer no more. */
  end(): void {
    this.#site = null;
  }

  /** Rows emitted; good until the next call begins. */
  *emitted(): Generator<Slice> {
    for (const part of this.#emitted) yield this.#slice(part);
  }

  /** Timers deleted by the call. */
  *deletedTimers(): Generator<number> {
    for (const [timeUs, what] of this.#timers) if (what === 'deleted') yield timeUs;
  }

  /** Puts what the call at `site` has done into the store; whether there was something. */
  commit(site: CallSite): boolean {
    const changes = this.#timers.size > 0 || this.#pending.some(({ touched }) => touched);
    if (!changes) return false;
    const { bytes, from, to } = site.keyBytes;
    const key = site.key >= 0 ? site.key : this.#store.add(site.group, bytes, from, to);
    for (const [variable, pending] of this.#pending.entries())
      if (pending.touched) this.#apply(variable, pending, key, site);
    for (const [timeUs, what] of this.#timers) {
      if (what === 'set') this.#store.addTimer(key, timeUs);
      else this.#store.deleteTimer(key, timeUs);
    }
    this.#store.forgetEmpty(key);
    return true;
  }

  #apply(variable: number, pending: Pending, key: number, { nowUs }: CallSite): void {
    const { ttlUs } = this.#variables[variable]!;
    const expiresUs = ttlUs === null ? Number.NaN : nowUs + ttlUs;
    if (pending.cleared) this.#store.clear(variable, key);
    for (const row of pending.rows) this.#store.append(variable, key, this.#slice(row), expiresUs);
    for (const entry of pending.entries.values()) {
      if (entry.row !== null) {
        this.#store.set(variable, key, this.#slice(entry.key), this.#slice(entry.row), expiresUs);
        continue;
      }
      const cell = this.#store.find(variable, key, this.#slice(entry.key));
      if (cell >= 0) this.#store.remove(cell);
    }
  }

  // ---- what the functions see -------------------------------------------------------------------------------------

  #current(): CallSite {
    if (this.#site === null) throw new TypeError('state and context are there during the call alone');
    return this.#site;
  }

  #context(hasTimers: boolean): UserContext<unknown> {
    const times = (): CallTimes => this.#times;
    const timer = (timeMs: unknown): number => {
      this.#current();
      if (!hasTimers)
        throw new TypeError('there are no timers without onTimer and timers: eventTime or processingTime');
      if (typeof timeMs !== 'number' || !Number.isFinite(timeMs))
        throw new TypeError('the time of a timer is a number, ms since 1970');
      return usOf(timeMs);
    };
    return Object.freeze({
      emit: (row: unknown) => {
        this.#current();
        if (this.#emitted.length >= EMITTED_MAX) throw new RangeError(`one call emits at most ${EMITTED_MAX} rows`);
        this.#emitted.push(this.#written((out) => this.#output.write(row, out, 'emit')));
      },
      registerTimer: (timeMs: number) => void this.#timers.set(timer(timeMs), 'set'),
      deleteTimer: (timeMs: number) => void this.#timers.set(timer(timeMs), 'deleted'),
      timers: () => {
        const { key } = this.#current();
        const there = new Set(key < 0 ? [] : this.#store.timersOf(key));
        for (const [timeUs, what] of this.#timers) {
          if (what === 'set') there.add(timeUs);
          else there.delete(timeUs);
        }
        return [...there].toSorted((a, b) => a - b).map(msOf);
      },
      get currentWatermark() {
        return times().watermarkMs;
      },
      get epochTime() {
        return times().epochMs;
      },
      random: () => {
        this.#rng ??= seededRng(this.#current().seed);
        return this.#rng.u32() / 2 ** 32;
      },
    });
  }

  #handle(variable: StateVariable, index: number): unknown {
    switch (variable.kind) {
      case 'value':
        return this.#value(variable, index);
      case 'list':
        return this.#list(variable, index);
      case 'map':
        return this.#map(variable, index);
    }
  }

  #value({ name, schema }: StateVariable, index: number): ValueState<unknown> {
    const rows = new UserRows(schema);
    const pending = this.#pending[index]!;
    return Object.freeze({
      get: () => {
        const { key } = this.#current();
        const [row] = pending.rows;
        if (row !== undefined) return this.#read(rows, this.#slice(row));
        const cell = pending.cleared || key < 0 ? -1 : this.#store.first(index, key);
        return cell < 0 ? null : this.#read(rows, this.#store.rowOf(cell));
      },
      set: (value: unknown) => {
        this.#current();
        pending.rows = [this.#written((out) => rows.write(value, out, name))];
        pending.cleared = true;
      },
      clear: () => {
        this.#current();
        pending.rows = [];
        pending.cleared = true;
      },
    });
  }

  #list({ name, schema }: StateVariable, index: number): ListState<unknown> {
    const rows = new UserRows(schema);
    const pending = this.#pending[index]!;
    const stored = (): number => {
      const { key } = this.#current();
      return pending.cleared || key < 0 ? 0 : this.#store.sizeOf(index, key);
    };
    const written = (value: unknown): Part => this.#written((out) => rows.write(value, out, name));
    return Object.freeze({
      get: () => {
        const list: unknown[] = [];
        if (stored() > 0) {
          const { key } = this.#current();
          for (let cell = this.#store.first(index, key); cell >= 0; cell = this.#store.next(index, cell))
            list.push(this.#read(rows, this.#store.rowOf(cell)));
        }
        for (const row of pending.rows) list.push(this.#read(rows, this.#slice(row)));
        return list;
      },
      get length() {
        return stored() + pending.rows.length;
      },
      append: (value: unknown) => {
        this.#current();
        pending.rows.push(written(value));
      },
      set: (values: readonly unknown[]) => {
        this.#current();
        const parts = values.map(written);
        pending.rows = parts;
        pending.cleared = true;
      },
      clear: () => {
        this.#current();
        pending.rows = [];
        pending.cleared = true;
      },
    });
  }

  #map({ name, schema, key: type }: StateVariable, index: number): MapState<unknown, unknown> {
    const rows = new UserRows(schema);
    const keys = new UserValues(type ?? { kind: 'null' });
    const pending = this.#pending[index]!;
    const keyPart = (key: unknown): Part => this.#written((out) => keys.write(key, out, `the key of ${name}`));
    /** The row of a key within the key, wherever it is; null = there is none. */
    const rowAt = (within: unknown): Slice | null => {
      const { key } = this.#current();
      const part = keyPart(within);
      const own = pending.entries.get(this.#text(this.#slice(part)));
      if (own !== undefined) return own.row === null ? null : this.#slice(own.row);
      if (pending.cleared || key < 0) return null;
      const cell = this.#store.find(index, key, this.#slice(part));
      return cell < 0 ? null : this.#store.rowOf(cell);
    };
    const entries = (): [unknown, unknown][] => {
      const { key } = this.#current();
      const found: [unknown, unknown][] = [];
      const shown = new Set<string>();
      const show = (within: Slice, row: Slice): void => {
        const read = this.#reader.reset(within.bytes, within.from, within.to);
        found.push([keys.read(read), this.#read(rows, row)]);
      };
      if (!pending.cleared && key >= 0) {
        for (let cell = this.#store.first(index, key); cell >= 0; cell = this.#store.next(index, cell)) {
          const within = this.#store.entryKeyOf(cell);
          const text = this.#text(within);
          const own = pending.entries.get(text);
          shown.add(text);
          if (own === undefined) show(within, this.#store.rowOf(cell));
          else if (own.row !== null) show(within, this.#slice(own.row));
        }
      }
      for (const [text, own] of pending.entries)
        if (own.row !== null && !shown.has(text)) show(this.#slice(own.key), this.#slice(own.row));
      return found;
    };
    const put = (within: unknown, row: Part | null): void => {
      const key = keyPart(within);
      pending.entries.set(this.#text(this.#slice(key)), { key, row });
    };
    return Object.freeze({
      get: (key: unknown) => {
        const row = rowAt(key);
        return row === null ? null : this.#read(rows, row);
      },
      has: (key: unknown) => rowAt(key) !== null,
      set: (key: unknown, value: unknown) => {
        this.#current();
        put(
          key,
          this.#written((out) => rows.write(value, out, name)),
        );
      },
      delete: (key: unknown) => {
        this.#current();
        put(key, null);
      },
      keys: () => entries().map(([key]) => key),
      entries,
      get size() {
        return entries().length;
      },
      clear: () => {
        this.#current();
        pending.entries.clear();
        pending.cleared = true;
      },
    });
  }

  /** Bytes that `write` appends; nothing is left of them when it throws. */
  #written(write: (out: ByteBuffer) => void): Part {
    const out = this.#scratch;
    const from = out.length;
    try {
      write(out);
    } catch (error) {
      out.length = from;
      throw error;
    }
    return { from, to: out.length };
  }

  #slice({ from, to }: Part): Slice {
    return { bytes: this.#scratch.bytes, from, to };
  }

  #text({ bytes, from, to }: Slice): string {
    return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1');
  }

  #read(rows: UserRows, { bytes, from, to }: Slice): Record<string, unknown> {
    return rows.read(this.#reader.reset(bytes, from, to));
  }
}
