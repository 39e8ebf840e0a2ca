/** State by key in functions of the job: `then: keyedState({ key, state, output }, { onRow })`. */
import type { ListState, MapState, UserContext, UserFunctions, ValueState } from '../core/job/user-functions.ts';
import type { KeyedStateSpec } from '../core/job/spec.ts';
import type { GivenRow, RowOf, UnknownRow, ValueOf } from './schema-types.ts';

/** A row, a list of rows, or rows by a key of their own; per key of the stream. What is older than `ttl` is forgotten. */
export type StateDefinition =
  | { readonly value: string; readonly ttl?: string }
  | { readonly list: string; readonly ttl?: string }
  | { readonly map: { readonly key: string; readonly value: string }; readonly ttl?: string };

export interface KeyedStateDefinition {
  /** Columns of the query's result that rows come together by. */
  readonly key: readonly string[];
  /** Columns of the query's result with their types: types the rows, and is checked against the query. */
  readonly input?: string;
  /** One state, or states by name. */
  readonly state: StateDefinition | Readonly<Record<string, StateDefinition>>;
  /** Columns of the rows that are emitted. */
  readonly output: string;
  /**
   * What timers and TTL go by: the watermark, or the time of epochs. Default none: no timers, TTL by the time of epochs.
   */
  readonly timers?: 'none' | 'eventTime' | 'processingTime';
  /** How long the functions may take for the rows that one epoch brings to one thread. Default 10s. */
  readonly deadline?: string;
}

type Handle<D> = D extends { readonly value: infer S extends string }
  ? ValueState<RowOf<S>, GivenRow<S>>
  : D extends { readonly list: infer S extends string }
    ? ListState<RowOf<S>, GivenRow<S>>
    : D extends { readonly map: { readonly key: infer K extends string; readonly value: infer S extends string } }
      ? MapState<ValueOf<K>, RowOf<S>, GivenRow<S>>
      : never;

/** What the functions get as their state. */
export type StateOf<D extends KeyedStateDefinition> = D['state'] extends StateDefinition
  ? Handle<D['state']>
  : { readonly [Name in keyof D['state']]: Handle<D['state'][Name]> };

/** Rows of the query as onRow gets them. */
export type InputOf<D extends KeyedStateDefinition> = D extends { readonly input: infer S extends string }
  ? RowOf<S>
  : UnknownRow;

/** The key columns of a row. */
export type KeyOf<D extends KeyedStateDefinition> = {
  readonly [Name in D['key'][number]]: Name extends keyof InputOf<D> ? InputOf<D>[Name] : unknown;
};

export interface KeyedStateFunctions<D extends KeyedStateDefinition> {
  /** Called for each row of the key, in the order in which they arrive. */
  onRow(row: InputOf<D>, state: StateOf<D>, context: UserContext<GivenRow<D['output']>>): void;
  /** Called when a timer's time has come, after the rows of the epoch. `time`: ms since 1970. */
  onTimer?(key: KeyOf<D>, time: number, state: StateOf<D>, context: UserContext<GivenRow<D['output']>>): void;
  /** Called before rows of the key's state that have outlived their ttl are forgotten: they are still there. */
  onExpire?(key: KeyOf<D>, state: StateOf<D>, context: UserContext<GivenRow<D['output']>>): void;
}

/** What {@link keyedState} makes: for `then` of a job. */
export interface KeyedState {
  readonly spec: KeyedStateSpec;
  readonly functions: UserFunctions;
}

/** Name of the state of a definition that has one and gives it no name. */
const ONLY = 'state';

/**
 * Functions that see the rows of a query by key, keep state, set timers and emit rows. They must be deterministic: what
 * they do may depend on the row, the state and the context alone, not on a clock, on chance, on anything outside or on
 * variables of the module that change. Then a restart gives exactly what was there before.
 */
export function keyedState<const D extends KeyedStateDefinition>(
  definition: D,
  functions: KeyedStateFunctions<D>,
): KeyedState {
  const { key, input, state, output, timers = 'none', deadline = '10s' } = definition;
  const single = isState(state);
  const names = (['onRow', 'onTimer', 'onExpire'] as const).filter((name) => functions[name] !== undefined);
  const { onRow, onTimer, onExpire } = functions as unknown as UserFunctions;
  return {
    spec: {
      key: [...key],
      ...(input === undefined ? {} : { input }),
      state: single ? { [ONLY]: state } : { ...state },
      single,
      output,
      timers,
      functions: names,
      deadline,
    },
    functions: {
      onRow: (row, handle, context) => onRow.call(functions, row, handle, context),
      ...(onTimer && {
        onTimer: (of, time, handle, context) => onTimer.call(functions, of, time, handle, context),
      }),
      ...(onExpire && { onExpire: (of, handle, context) => onExpire.call(functions, of, handle, context) }),
    },
  };
}

function isState(state: KeyedStateDefinition['state']): state is StateDefinition {
  const { value, list, map } = state as Readonly<Record<string, unknown>>;
  if (typeof value === 'string' || typeof list === 'string') return true;
  const isMap = typeof map === 'object' && map !== null && 'key' in map && 'value' in map;
  return isMap && typeof map.key === 'string' && typeof map.value === 'string';
}
