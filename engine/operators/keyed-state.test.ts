import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { WeirError } from '../../core/errors.ts';
import type { ListState, MapState, UserContext, UserFunctions, ValueState } from '../../core/job/user-functions.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { StateVariable } from '../plan/logical-plan.ts';
import { KeyedState } from './keyed-state.ts';
import { Epochs } from './test-state.ts';

const bigint: DataType = { kind: 'bigint' };
const string: DataType = { kind: 'string' };
const schema: Schema = [
  { name: 'k', type: string, nullable: true },
  { name: 'ts', type: { kind: 'timestamp' }, nullable: true },
  { name: 'n', type: bigint, nullable: true },
];
const output: Schema = [
  { name: 'what', type: string, nullable: false },
  { name: 'n', type: bigint, nullable: true },
];
const rows: Schema = [{ name: 'n', type: bigint, nullable: false }];
const variable = (kind: StateVariable['kind'], ttlUs: number | null = null, name = 'state'): StateVariable => ({
  name,
  kind,
  schema: rows,
  key: kind === 'map' ? string : null,
  ttlUs,
});

type Plan = ConstructorParameters<typeof KeyedState>[0];
type Context = UserContext<{ what: string; n?: bigint | number | null }>;
interface Row {
  readonly k: string | null;
  readonly ts: number | null;
  readonly n: bigint | null;
}
type Value = ValueState<{ n: bigint }, { n: bigint | number }>;
type List = ListState<{ n: bigint }>;
type Map_ = MapState<string, { n: bigint }>;

/** `state` is of the type that the test's variables say. */
function functionsOf<State>(functions: {
  onRow: (row: Row, state: State, context: Context) => unknown;
  onTimer?: (key: { readonly k: string | null }, time: number, state: State, context: Context) => unknown;
  onExpire?: (key: { readonly k: string | null }, state: State, context: Context) => unknown;
}): UserFunctions {
  return functions as unknown as UserFunctions;
}

function keyed(functions: UserFunctions, change: Partial<Plan> = {}): Epochs {
  const plan: Plan = {
    kind: 'user',
    keys: [0],
    variables: [variable('value')],
    single: true,
    output,
    timers: 'none',
    functions: (['onRow', 'onTimer', 'onExpire'] as const).filter((name) => functions[name] !== undefined),
    deadlineMs: 10_000,
    eventTime: change.timers === 'eventTime' ? { column: 1, kind: 'timestamp' } : null,
    watermarkLagUs: 0,
    ...change,
  };
  return new Epochs(() => new KeyedState(plan, [schema], functions), [{ schema, keys: plan.keys }]);
}

const counting = functionsOf<Value>({
  onRow({ k, n }, state, context) {
    const next = (state.get()?.n ?? 0n) + 1n;
    state.set({ n: next });
    context.emit({ what: 'before' });
    if (n === 13n) throw new Error('thirteen');
    context.emit({ what: `${k}`, n: next });
  },
});
const counted = (...found: readonly (readonly unknown[])[]) => found.filter(([what]) => what !== 'before');

suite('state of functions', () => {
  test('a value per key, over epochs and restarts', () => {
    const epochs = keyed(counting);
    const first = epochs.run(
      [
        [
          ['a', 0, 0n],
          ['b', 0, 0n],
          ['a', 0, 0n],
        ],
      ],
      {},
    );
    assert.deepEqual(counted(...first.rows), [
      ['a', 1n],
      ['b', 1n],
      ['a', 2n],
    ]);
    epochs.restart();
    assert.deepEqual(
      counted(
        ...epochs.run(
          [
            [
              ['a', 0, 0n],
              [null, 0, 0n],
            ],
          ],
          {},
        ).rows,
      ),
      [
        ['a', 3n],
        ['null', 1n],
      ],
    );
    assert.equal(epochs.operator.figures().rows, 3);
  });

  test('a call that throws leaves its row as a dead letter and no trace', () => {
    const epochs = keyed(counting);
    const { rows: out, failures } = epochs.run(
      [
        [
          ['a', 0, 0n],
          ['a', 0, 13n],
          ['a', 0, 0n],
          ['b', 0, 13n],
        ],
      ],
      {},
    );
    assert.deepEqual(out, [
      ['before', null],
      ['a', 1n],
      ['before', null],
      ['a', 2n],
    ]);
    assert.deepEqual(
      failures.map(({ record, place }) => [record, place]),
      [
        [1, 'onRow'],
        [3, 'onRow'],
      ],
    );
    assert.equal(epochs.operator.figures().rows, 1, 'b holds nothing');
  });

  test('what does not fit the schema, and what is async, fails the call', () => {
    const tries: readonly ((state: Value, context: Context) => unknown)[] = [
      (_, context) => context.emit({ n: 1n } as never),
      (_, context) => context.emit({ what: 'a', n: 1.5 }),
      (_, context) => context.emit({ what: 'a', other: 1 } as never),
      (_, context) => context.emit('a' as never),
      (state) => state.set({ n: null } as never),
      (state) => state.set({ n: 2n ** 63n }),
      (_, context) => context.registerTimer(1),
      async () => await Promise.reject(new Error('later')),
    ];
    const epochs = keyed(functionsOf<Value>({ onRow: ({ n }, state, context) => tries[Number(n)]?.(state, context) }));
    const { rows: out, failures } = epochs.run([tries.map((_, index) => ['a', 0, BigInt(index)])], {});
    assert.deepEqual([out, failures.length, epochs.operator.figures().rows], [[], tries.length, 0]);
  });

  test('rows that functions hold are theirs: changing one changes no state; handles end with the call', () => {
    let kept: Value | null = null;
    const epochs = keyed(
      functionsOf<Value>({
        onRow(row, state, context) {
          kept ??= state;
          const found = state.get();
          if (found === null) state.set({ n: 1n });
          else {
            context.emit({ what: 'was', n: found.n });
            found.n = 99n;
            context.emit({ what: 'is', n: state.get()?.n ?? null });
          }
        },
      }),
    );
    epochs.run([[['a', 0, 0n]]], {});
    assert.deepEqual(epochs.run([[['a', 0, 0n]]], {}).rows, [
      ['was', 1n],
      ['is', 1n],
    ]);
    assert.throws(() => kept?.get(), TypeError);
  });

  test('chance is of the call: the same when the epoch is folded again, another for each call', () => {
    const drawn: number[] = [];
    const functions = functionsOf<Value>({ onRow: (_row, _state, context) => drawn.push(context.random()) });
    const input = [
      [
        ['a', 0, 0n],
        ['a', 0, 0n],
        ['b', 0, 0n],
      ],
    ];
    keyed(functions).run(input, {});
    const first = drawn.splice(0);
    keyed(functions).run(input, {});
    assert.deepEqual(drawn, first);
    assert.equal(new Set(first).size, 3);
  });

  test('named states, one of which a changed job no longer has and one that it gets', () => {
    const functions = functionsOf<{ a: Value; b?: List }>({
      onRow({ n }, state, context) {
        context.emit({ what: 'a', n: state.a.get()?.n ?? null });
        state.a.set({ n: n ?? 0n });
        state.b?.append({ n: n ?? 0n });
        context.emit({ what: 'b', n: state.b?.length ?? null });
      },
    });
    const shape = (...names: readonly string[]): Partial<Plan> => ({
      single: false,
      variables: names.map((name) => variable(name === 'b' ? 'list' : 'value', null, name)),
    });
    const both = keyed(functions, shape('c', 'b', 'a'));
    both.run([[['x', 0, 7n]]], {});
    const group = both.operator.groups()[0] as number;
    const stored = both.operator.encodeGroup(group);
    const fewer = keyed(functions, shape('a', 'd'));
    fewer.operator.restoreGroup(group, stored);
    assert.deepEqual(fewer.run([[['x', 0, 8n]]], {}).rows, [
      ['a', 7n],
      ['b', null],
    ]);
    const other = keyed(functions, { ...shape('a'), keys: [2] });
    const isIncompatible = (error: unknown) => error instanceof WeirError && error.code === 'STATE_INCOMPATIBLE';
    assert.throws(() => other.operator.restoreGroup(group, stored), isIncompatible);
    const isDamaged = (error: unknown) => error instanceof WeirError && error.code === 'STATE_DAMAGED';
    assert.throws(() => both.operator.restoreGroup(group, (stored as Uint8Array).subarray(0, -1)), isDamaged);
  });
});

suite('timers of functions', () => {
  const ticking = functionsOf<Value>({
    onRow({ ts, n }, state, context) {
      state.set({ n: n ?? 0n });
      if (ts !== null) context.registerTimer(ts + 10);
      if (n === -1n) context.deleteTimer(15);
    },
    onTimer({ k }, time, state, context) {
      context.emit({ what: `${k} at ${time} of ${context.currentWatermark}`, n: state.get()?.n ?? null });
      if (state.get()?.n === 5n) context.registerTimer(time);
      if (state.get()?.n === 6n) throw new Error('six');
      if (context.timers().length === 0) state.clear();
    },
  });
  const us = (ms: number): number => ms * 1000;

  test('by event time: when the watermark has passed, in the order of their times, once', () => {
    const epochs = keyed(ticking, { timers: 'eventTime' });
    const first = epochs.run(
      [
        [
          ['a', us(5), 1n],
          ['a', us(2), 2n],
          ['a', us(2), 3n],
          ['b', us(1), 4n],
        ],
      ],
      {},
    );
    assert.deepEqual(first.rows, []);
    epochs.restart();
    assert.deepEqual(epochs.run([], { evictUs: us(12) }).rows, [
      ['b at 11 of 12', 4n],
      ['a at 12 of 12', 3n],
    ]);
    assert.equal(epochs.operator.figures().rows, 2, 'a has a value and a timer');
    assert.deepEqual(epochs.run([[['a', null, -1n]]], { evictUs: us(20) }).rows, [], 'deleted');
  });

  test('one that is due already fires in the epoch; one set by onTimer waits for the next', () => {
    const epochs = keyed(ticking, { timers: 'eventTime' });
    const evictUs = us(100);
    assert.deepEqual(epochs.run([[['a', us(50), 5n]]], { evictUs }).rows, [['a at 60 of 100', 5n]]);
    epochs.restart();
    assert.deepEqual(epochs.run([], { evictUs }).rows, [['a at 60 of 100', 5n]]);
  });

  test('onTimer that throws is a dead letter of the key’s group; its timer is gone', () => {
    const epochs = keyed(ticking, { timers: 'eventTime' });
    const { groups } = epochs.run([[['a', us(1), 6n]]], {});
    assert.deepEqual(groups, []);
    const { rows: out, groupFailures } = epochs.run([], { evictUs: us(11) });
    assert.deepEqual([out, groupFailures.map(({ place }) => place)], [[], ['onTimer']]);
    assert.deepEqual(
      groupFailures.map(({ group }) => group),
      epochs.operator.groups(),
    );
    assert.equal(epochs.operator.figures().rows, 1, 'the value stays');
  });

  test('by processing time: by the time of the epoch', () => {
    const epochs = keyed(
      functionsOf<Value>({
        onRow: (_row, _state, context) => context.registerTimer(context.epochTime + 10),
        onTimer: ({ k }, time, _state, context) => context.emit({ what: `${k} at ${time}` }),
      }),
      { timers: 'processingTime' },
    );
    epochs.run([[['a', 0, 0n]]], { epochTsUs: us(100) });
    assert.deepEqual(epochs.run([], { epochTsUs: us(109) }).rows, []);
    assert.deepEqual(epochs.run([], { epochTsUs: us(110) }).rows, [['a at 110', null]]);
    assert.deepEqual(epochs.operator.groups(), []);
  });
});

suite('what functions forget', () => {
  const expiring = functionsOf<{ value: Value; list: List; map: Map_ }>({
    onRow({ n }, { value, list, map }, context) {
      context.emit({ what: [value.get()?.n, list.get().map((one) => one.n), map.keys()].join(';') });
      if (n === null) return;
      if (n < 10n) value.set({ n });
      list.append({ n });
      map.set(`k${n}`, { n });
    },
    onExpire({ k }, { value, list, map }, context) {
      context.emit({ what: `${k} expires: ${value.get()?.n};${list.length};${map.size}` });
      if (value.get()?.n === 3n) value.set({ n: 4n });
    },
  });
  const variables = [variable('value', 100, 'value'), variable('list', 50, 'list'), variable('map', 200, 'map')];

  test('each row after its ttl, by the time of epochs; what onExpire writes lives on', () => {
    const epochs = keyed(expiring, { variables, single: false });
    epochs.run([[['a', 0, 3n]]], { epochTsUs: 1000 });
    epochs.run([[['a', 0, 11n]]], { epochTsUs: 1040 });
    const at = (epochTsUs: number) => {
      epochs.restart();
      return epochs.run([[['a', 0, null]]], { epochTsUs }).rows.map(([what]) => what);
    };
    assert.deepEqual(at(1049), ['3;3,11;k3,k11']);
    assert.deepEqual(at(1050), ['a expires: 3;2;2', '4;11;k3,k11'], 'the first of the list; the value is written anew');
    assert.deepEqual(at(1149), ['a expires: 4;1;2', '4;;k3,k11']);
    assert.deepEqual(at(1150), ['a expires: 4;0;2', ';;k3,k11']);
    assert.deepEqual(at(1200), ['a expires: undefined;0;2', ';;k11']);
    assert.deepEqual(epochs.operator.figures(), { ...epochs.operator.figures(), rows: 1, evicted: 1 });
    assert.deepEqual(at(1240), ['a expires: undefined;0;1', ';;']);
    assert.deepEqual(epochs.operator.groups(), []);
  });

  test('by event time: of the row that wrote it, once the watermark has passed; after the epoch’s rows', () => {
    const functions = functionsOf<{ value: Value }>({
      onRow: ({ n }, { value }, context) => {
        context.emit({ what: 'row', n: value.get()?.n ?? null });
        if (n !== null) value.set({ n });
      },
    });
    const values = keyed(functions, { variables: variables.slice(0, 1), single: false, timers: 'eventTime' });
    values.run(
      [
        [
          ['a', 1000, 1n],
          ['b', null, 2n],
        ],
      ],
      {},
    );
    assert.equal(values.operator.figures().rows, 2);
    assert.deepEqual(values.run([[['a', 1050, null]]], { evictUs: 1099 }).rows, [['row', 1n]]);
    assert.equal(values.operator.figures().rows, 1, 'b has no time: the watermark moved');
    assert.deepEqual(values.run([[['a', 1110, null]]], { evictUs: 1100 }).rows, [['row', 1n]]);
    assert.equal(values.operator.figures().rows, 0);
  });
});

suite('functions against a model', () => {
  type Step = readonly [key: string, op: number, n: number];
  /** What every call does, told to the real handles and to plain JavaScript. */
  function act(
    op: number,
    n: bigint,
    state: { value: Value; list: List; map: Map_ },
    at: number,
    context: Context,
  ): void {
    const { value, list, map } = state;
    const name = `k${n % 3n}`;
    switch (op) {
      case 0:
        value.set({ n: (value.get()?.n ?? 0n) + n });
        break;
      case 1:
        value.clear();
        break;
      case 2:
        list.append({ n });
        break;
      case 3:
        list.set(list.get().filter((one) => one.n !== n));
        break;
      case 4:
        map.set(name, { n: (map.get(name)?.n ?? 0n) + n });
        break;
      case 5:
        map.delete(name);
        break;
      case 6:
        map.clear();
        map.set(name, { n });
        break;
      case 7:
        context.registerTimer(at + Number(n));
        break;
      case 8:
        context.deleteTimer(at + Number(n));
        break;
      default:
        value.set({ n });
        list.clear();
        map.set('x', { n });
        throw new Error('undone');
    }
    const shown = [
      value.get()?.n,
      list.length,
      list.get().map((one) => one.n),
      map.size,
      map.entries().map(([key, one]) => `${key}=${one.n}`),
      map.has(name),
      context.timers(),
    ];
    context.emit({ what: shown.join(';'), n });
  }
  const real = functionsOf<{ value: Value; list: List; map: Map_ }>({
    onRow: ({ ts, n }, state, context) => act(Number(ts) / 1000, n ?? 0n, state, 0, context),
    onTimer: ({ k }, time, state, context) => {
      context.emit({ what: `${k} timer ${time} ${state.list.length}` });
      if (time % 3 === 0) state.list.append({ n: BigInt(time) });
    },
  });

  class Model {
    value: bigint | null = null;
    list: bigint[] = [];
    map = new Map<string, bigint>();
    timers = new Set<number>();

    handles(): { value: Value; list: List; map: Map_ } {
      return {
        value: {
          get: () => (this.value === null ? null : { n: this.value }),
          set: ({ n }) => void (this.value = BigInt(n)),
          clear: () => void (this.value = null),
        },
        list: {
          get: () => this.list.map((n) => ({ n })),
          length: this.list.length,
          append: ({ n }) => void this.list.push(n),
          set: (values) => void (this.list = values.map(({ n }) => n)),
          clear: () => void (this.list = []),
        },
        map: {
          get: (key) => (this.map.has(key) ? { n: this.map.get(key) as bigint } : null),
          has: (key) => this.map.has(key),
          set: (key, { n }) => void this.map.set(key, n),
          delete: (key) => void this.map.delete(key),
          keys: () => [...this.map.keys()],
          entries: () => [...this.map].map(([key, n]) => [key, { n }]),
          size: 0,
          clear: () => this.map.clear(),
        },
      };
    }
  }

  function call(model: Model, op: number, n: bigint, out: string[]): void {
    const copy = { value: model.value, list: [...model.list], map: new Map(model.map), timers: new Set(model.timers) };
    const context = {
      emit: ({ what }: { what: string }) => void out.push(what),
      registerTimer: (time: number) => void model.timers.add(time),
      deleteTimer: (time: number) => void model.timers.delete(time),
      timers: () => [...model.timers].toSorted((a, b) => a - b),
    } as unknown as Context;
    const plain = model.handles();
    const live = {
      ...plain,
      list: Object.defineProperty({ ...plain.list }, 'length', { get: () => model.list.length }) as List,
      map: Object.defineProperty({ ...plain.map }, 'size', { get: () => model.map.size }) as Map_,
    };
    try {
      act(op, n, live, 0, context);
    } catch {
      Object.assign(model, copy);
    }
  }

  test('property: as plain objects would, over epochs, restarts, watermarks and calls that throw', () => {
    const step: fc.Arbitrary<Step> = fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 0, max: 9 }), fc.nat(6));
    const epoch = fc.record({ steps: fc.array(step, { maxLength: 8 }), moved: fc.nat(3), restart: fc.boolean() });
    fc.assert(
      fc.property(fc.array(epoch, { maxLength: 6 }), (all) => {
        const variables = (['value', 'list', 'map'] as const).map((kind) => variable(kind, null, kind));
        const epochs = keyed(real, { variables, single: false, timers: 'eventTime', eventTime: null });
        const models = new Map<string, Model>();
        let watermark = -1;
        for (const { steps, moved, restart } of all) {
          watermark += moved;
          const expected: string[] = [];
          for (const [k, op, n] of steps) {
            const model = models.get(k) ?? new Model();
            models.set(k, model);
            call(model, op, BigInt(n), expected);
          }
          const due = [...models].flatMap(([k, model]) => [...model.timers].map((time) => ({ k, time, model })));
          const fired = due
            .filter(({ time }) => time <= watermark)
            .toSorted((a, b) => a.time - b.time || (a.k < b.k ? -1 : 1));
          for (const { k, time, model } of fired) {
            model.timers.delete(time);
            expected.push(`${k} timer ${time} ${model.list.length}`);
            if (time % 3 === 0) model.list.push(BigInt(time));
          }
          const input = steps.map(([k, op, n]) => [k, op * 1000 * 1000, BigInt(n)]);
          const { rows: out } = epochs.run([input], { evictUs: watermark * 1000 });
          assert.deepEqual(
            out.map(([what]) => what),
            expected,
          );
          if (!restart) continue;
          const before = epochs.operator;
          epochs.restart((groups) => groups.toReversed());
          for (const group of before.groups())
            assert.deepEqual(epochs.operator.encodeGroup(group), before.encodeGroup(group));
        }
        for (const group of epochs.operator.groups()) epochs.operator.dropGroup(group);
        assert.deepEqual([epochs.operator.figures().rows, epochs.operator.groups()], [0, []]);
      }),
    );
  });
});
