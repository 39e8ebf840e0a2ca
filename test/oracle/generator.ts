/** Small random jobs, and rows for them, from a seed. */
import type { DataType } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import type { SimRng } from '../sim/rng.ts';
import {
  BIGINT,
  BOOLEAN,
  call,
  type Column,
  column,
  decimal,
  DOUBLE,
  Drawer,
  drawnTypes,
  drawValue,
  type Expr,
  INT,
  literal,
  type Literal,
  scaleOf,
  TIMESTAMP,
} from './expressions.ts';
import type {
  Aggregate,
  AggregateName,
  Bounds,
  EventTime,
  FixedTable,
  Job,
  JoinKey,
  JoinType,
  Mode,
  Named,
  Of,
  Query,
  SourceTable,
  WindowSpec,
} from './queries.ts';
import { nodesOf } from './queries.ts';

/** Values in the order of the source's columns: times as µs, decimals without their point. */
export type Row = readonly Literal[];

export interface Epoch {
  /** By source, by partition. */
  readonly rows: Readonly<Record<string, readonly (readonly Row[])[]>>;
  /** Before the epoch: goes on in so many new hosts, from a snapshot. 0 = stays where it is. */
  readonly restart: number;
}

export interface Input {
  readonly hosts: number;
  readonly epochs: readonly Epoch[];
  /** Also folds all epochs again elsewhere and holds the states against each other. */
  readonly replay: boolean;
}

/** A job with what its rows have to be like. */
export interface DrawnJob {
  readonly job: Job;
  readonly baseUs: number;
  /** The watermark follows closely, and some rows come too late. */
  readonly isLate: boolean;
  /** By how much time goes on per epoch, and how far rows stray from it, ms. */
  readonly stepMs: number;
  readonly spreadMs: number;
  /** Numbers of hosts that it runs in: each costs a compilation. */
  readonly hosts: readonly number[];
}

const MINUTE = 60_000;

export function drawJob(rng: SimRng): DrawnJob {
  const baseUs = rng.pick([0, -30_000_000, 1_700_000_000_000_000]);
  const isLate = rng.chance(0.55);
  const mode = rng.pick<Mode>(['append', 'append', 'append', 'append', 'update', 'update', 'complete']);
  const builder = new Builder(
    rng,
    mode,
    baseUs,
    isLate ? rng.pick([[0], [0], [1000], [5000], [0, 3000]]) : [60 * MINUTE],
  );
  const job = builder.job();
  const stepMs = isLate ? rng.pick([4000, 9000, 20_000]) : 3000;
  return {
    job,
    baseUs,
    isLate,
    stepMs,
    spreadMs: rng.pick([4000, 12_000]),
    hosts: rng.pick([[1], [2], [1, 2], [1, 3], [2, 3]]),
  };
}

export function drawInput({ job, baseUs, isLate, stepMs, spreadMs, hosts }: DrawnJob, rng: SimRng): Input {
  const count = rng.pick([1, 2, 3, 3, 4, 4, 5, 6]);
  const partitions = new Map(job.sources.map(({ name }) => [name, rng.int(1, 5)]));
  const stragglers = isLate ? 0.2 : 0.02;
  let id = 0;
  const row = (source: SourceTable, epoch: number): Row =>
    source.columns.map(({ name, type }) => {
      if (name === 'id') return ++id;
      if (rng.chance(name === 'ts' ? 0.04 : 0.15)) return null;
      if (type.kind !== 'timestamp') return drawValue(rng, type);
      const strayMs = Math.round(rng.int(-spreadMs, spreadMs + 1) / 500) * 500;
      const oddUs = rng.pick([0, 0, 0, 0, 0, 1000, -1000, 1, -1]);
      const behindMs = rng.chance(stragglers) ? rng.pick([5000, 12_000, 40_000]) : 0;
      return baseUs + (epoch * stepMs + strayMs - behindMs) * 1000 + oddUs;
    });
  const epochs = Array.from({ length: count }, (_, epoch): Epoch => {
    const rows = job.sources.map((source) => {
      const lists = Array.from({ length: partitions.get(source.name) ?? 1 }, () =>
        Array.from({ length: rng.pick([0, 1, 1, 2, 2, 4]) }, () => row(source, epoch)),
      );
      return [source.name, lists] as const;
    });
    return { rows: Object.fromEntries(rows), restart: rng.chance(0.2) ? rng.pick(hosts) : 0 };
  });
  return { hosts: rng.pick(hosts), epochs, replay: rng.chance(0.04) };
}

/** Sizes and slides that windows have, ms. */
const windowSpecs: readonly WindowSpec[] = [
  { size: 5000, slide: 5000, start: 0 },
  { size: 10_000, slide: 10_000, start: 0 },
  { size: 10_000, slide: 10_000, start: 3000 },
  { size: 10_000, slide: 5000, start: 0 },
  { size: 9000, slide: 4000, start: 1000 },
  { size: 6000, slide: 4000, start: -1000 },
];

class Builder {
  readonly #rng: SimRng;
  readonly #mode: Mode;
  readonly #baseUs: number;
  readonly #delays: readonly number[];
  /** Where the job file declares them. */
  readonly #delayOf = new Map<string, number>();
  /** Where watermarks stand. */
  readonly #watermark: Of<'scan'>['watermark'];
  readonly #sources: SourceTable[] = [];
  readonly #tables: FixedTable[] = [];
  #names = 0;

  constructor(rng: SimRng, mode: Mode, baseUs: number, delays: readonly number[]) {
    this.#rng = rng;
    this.#mode = mode;
    this.#baseUs = baseUs;
    this.#delays = delays;
    this.#watermark = mode !== 'append' && rng.chance(0.4) ? 'none' : rng.pick(['job', 'query']);
    for (const name of rng.chance(0.5) ? ['s0', 's1'] : ['s0']) this.#sources.push(this.#source(name));
  }

  job(): Job {
    const root = this.#root();
    const scanned = new Set(nodesOf(root).flatMap((node) => (node.kind === 'scan' ? [node.source] : [])));
    const joined = new Set(nodesOf(root).flatMap((node) => (node.kind === 'staticJoin' ? [node.table] : [])));
    return {
      mode: this.#mode,
      sources: this.#sources.filter(({ name }) => scanned.has(name)),
      tables: this.#tables.filter(({ name }) => joined.has(name)),
      root,
      order: this.#mode === 'complete' && this.#rng.chance(0.4) ? this.#order(root) : null,
      noDataEpochs: this.#rng.chance(0.7),
      watermarkPolicy: this.#rng.chance(0.85) ? 'min' : 'max',
    };
  }

  #source(name: string): SourceTable {
    const types = [INT, ...Array.from({ length: this.#rng.int(0, 3) }, () => this.#rng.pick(drawnTypes))];
    const columns = types.map((type, index): Column => ({ name: `c${index}`, type }));
    return { name, columns: [{ name: 'id', type: BIGINT }, { name: 'ts', type: TIMESTAMP }, ...columns] };
  }

  #name(prefix: string): string {
    return `${prefix}${++this.#names}`;
  }

  /** Not a time as it is: that would be event time a second time. */
  #computed(drawer: Drawer, depth: number, type?: DataType): Expr {
    for (;;) {
      const expr = type === undefined ? drawer.any(depth) : drawer.of(type, depth);
      if (expr.kind !== 'column' || expr.type.kind !== 'timestamp') return expr;
    }
  }

  /** What rows are grouped by; no constant, which GROUP BY would take for a place in the select list. */
  #key(drawer: Drawer, columns: readonly Column[], type: DataType | null): Expr {
    for (let tries = 0; tries < 8; tries++) {
      const expr = type === null ? drawer.any(1) : drawer.of(type, 1);
      if (readsColumn(expr)) return expr;
    }
    const own = this.#rng.pick(columns);
    return type === null ? column(own) : call('cast', INT, call('isNull', BOOLEAN, column(own)));
  }

  #drawer(columns: readonly Column[]): Drawer {
    return new Drawer(this.#rng, columns, this.#baseUs);
  }

  // ---- the top --------------------------------------------------------------------------------------------------

  #root(): Query {
    const rng = this.#rng;
    const top = rng.int(0, 100);
    const isAppend = this.#mode === 'append';
    if (this.#mode === 'complete') {
      if (top < 20) return this.#chained();
      return this.#after(top < 40 ? this.#session(this.#input()) : this.#aggregate(this.#input()));
    }
    if (top < 32) return this.#after(this.#aggregate(this.#input()));
    if (top < 44) return this.#after(this.#session(this.#input()));
    if (top < (isAppend ? 58 : 72)) return this.#chained();
    if (top < 66 && isAppend) return this.#limit(rng.chance(0.5) ? this.#aggregate(this.#input()) : this.#input());
    if (top < 75 && isAppend) return this.#joinOfAggregates();
    if (top < 84) return this.#dedup(rng.chance(0.15) ? this.#windowsOf(this.#base()) : this.#input());
    if (top < 91) return this.#rank();
    return this.#rng.chance(0.6) ? this.#join() : this.#input();
  }

  /** A projection and a filter of results. */
  #after(input: Query): Query {
    if (this.#rng.chance(0.7)) return input;
    const drawer = this.#drawer(input.columns);
    const items = input.columns.map(({ name }): Named => ({
      name,
      expr: column(input.columns.find((c) => c.name === name)!),
    }));
    items.push({ name: this.#name('e'), expr: this.#computed(drawer, 2) });
    return this.#select(input, items, this.#rng.chance(0.5) ? drawer.of(BOOLEAN, 2) : null, null);
  }

  #order(root: Query): Job['order'] {
    const names = [
      ...root.columns.map(({ name }) => name),
      ...root.windows.flatMap((name) => [`${name}_start`, `${name}_end`]),
    ];
    const shuffled = names.toSorted(() => this.#rng.pick([-1, 1]));
    const by = shuffled.map((name) => ({ name, descending: this.#rng.chance(0.4) }));
    return { by, limit: this.#rng.chance(0.5) ? this.#rng.int(1, 5) : null };
  }

  #limit(input: Query): Query {
    // A row of the far future that finds no partner comes out at once, and takes the place of another.
    if (input.kind !== 'aggregate' && nodesOf(input).some(({ kind }) => kind === 'join')) return input;
    const { columns, windows, time } = input;
    return { kind: 'limit', input, count: this.#rng.int(1, 12), columns, windows, time };
  }

  /** Windows of windows. */
  #chained(): Query {
    const rng = this.#rng;
    if (this.#mode !== 'append') return this.#chainedChanges();
    if (rng.chance(0.25))
      return rng.chance(0.5) ? this.#dedup(this.#unionOfAggregates()) : this.#aggregate(this.#unionOfAggregates());
    const below = this.#aggregate(this.#input(), true);
    return rng.chance(0.2) ? this.#dedup(below) : this.#aggregate(below, false);
  }

  /** Groups of rows that change later: what they were is taken back. */
  #chainedChanges(): Query {
    const draw = this.#rng.int(0, this.#mode === 'complete' ? 65 : 100);
    const below =
      draw < 50
        ? this.#after(this.#aggregate(this.#input()))
        : draw < 65
          ? this.#unionOfAggregates()
          : draw < 83
            ? this.#session(this.#input())
            : this.#rank();
    return this.#after(this.#aggregate(below));
  }

  #unionOfAggregates(): Query {
    const names = [this.#name('e'), this.#name('e')];
    const inputs = [0, 1].map(() => {
      const below = this.#aggregate(this.#base(), true, this.#rng.pick(windowSpecs));
      const drawer = this.#drawer(below.columns);
      const items = names.map((name): Named => ({ name, expr: drawer.of(INT, 1) }));
      return this.#select(below, items, null, null);
    });
    const [{ columns, windows, time }] = inputs as [Query];
    return { kind: 'union', inputs, columns, windows, time };
  }

  /** The first rows of each key, in append mode of each window. */
  #rank(): Query {
    const rng = this.#rng;
    const base = this.#base();
    const input = this.#mode === 'append' || rng.chance(0.3) ? this.#windowed(base, rng.pick(windowSpecs)) : base;
    const own = input.columns.filter(({ name, type }) => name !== 'id' && type.kind !== 'timestamp');
    const keys = [...input.windows, ...own.filter(() => rng.chance(0.4)).map(({ name }) => name)];
    if (keys.length === 0) keys.push(rng.pick(own.length === 0 ? input.columns : own).name);
    return {
      kind: 'rank',
      input,
      keys,
      by: rng.pick(input.columns).name,
      descending: rng.chance(0.5),
      function: rng.pick(['row_number', 'row_number', 'rank', 'dense_rank']),
      limit: rng.int(1, 4),
      columns: [...input.columns, ...(rng.chance(0.6) ? [{ name: 'rn', type: INT }] : [])],
      windows: input.windows,
      // Rows of a key without time are pushed out at any time: what is final above cannot follow.
      time: input.time !== null && keys.includes(input.time.name) ? input.time : null,
    };
  }

  /** Windows instead of times. */
  #windowsOf(input: Query): Query {
    const items = input.columns
      .filter(({ name }) => name !== 'ts')
      .map((each): Named => ({ name: each.name, expr: column(each) }));
    return this.#select(input, items, null, this.#rng.pick(windowSpecs));
  }

  #joinOfAggregates(): Query {
    const size = this.#rng.pick([5000, 10_000]);
    const spec = { size, slide: size, start: 0 };
    const [left, right] = [0, 1].map(() => this.#aggregate(this.#base(), true, spec)) as [Query, Query];
    return this.#joined(left, right, this.#joinType(), null, true);
  }

  // ---- streams --------------------------------------------------------------------------------------------------

  /** Rows for an operator. */
  #input(): Query {
    const draw = this.#rng.int(0, 100);
    if (draw < 40) return this.#base();
    if (draw < 52) return this.#union();
    if (draw < 64) return this.#staticJoin(this.#base());
    if (draw < 74) return this.#dedup(this.#base(), true);
    return this.#mode === 'complete' ? this.#base() : this.#join(true);
  }

  #scan(): Query {
    const { name, columns } = this.#rng.pick(this.#sources);
    const marked = this.#watermark !== 'none';
    const time: EventTime = { name: 'ts', kind: 'timestamp', marked };
    const delay = (this.#watermark === 'job' ? this.#delayOf.get(name) : undefined) ?? this.#rng.pick(this.#delays);
    this.#delayOf.set(name, delay);
    return { kind: 'scan', source: name, watermark: this.#watermark, delay, columns, windows: [], time };
  }

  /** A source, perhaps with a projection and a filter. */
  #base(): Query {
    const scan = this.#scan();
    if (this.#rng.chance(0.4)) return scan;
    const drawer = this.#drawer(scan.columns);
    const items = scan.columns
      .filter(({ name }) => name === 'id' || name === 'ts' || this.#rng.chance(0.7))
      .map((each): Named => ({ name: each.name, expr: column(each) }));
    for (let count = this.#rng.int(0, 3); count > 0; count--)
      items.push({ name: this.#name('e'), expr: this.#computed(drawer, 2) });
    return this.#select(scan, items, this.#rng.chance(0.5) ? drawer.of(BOOLEAN, 2) : null, null);
  }

  #select(input: Query, items: readonly Named[], where: Expr | null, window: WindowSpec | null): Query {
    const columns = items.map(({ name, expr }): Column => ({ name, type: expr.type }));
    if (window !== null) {
      const time: EventTime = { name: 'w', kind: 'window', marked: input.time?.marked === true };
      return { kind: 'select', input, where, items, window, columns, windows: [...input.windows, 'w'], time };
    }
    return { kind: 'select', input, where, items, window, columns, windows: input.windows, time: input.time };
  }

  #union(): Query {
    const types = [INT, this.#rng.pick(drawnTypes)];
    const names = types.map(() => this.#name('e'));
    const inputs = Array.from({ length: this.#rng.int(2, 4) }, () => {
      const base = this.#base();
      const drawer = this.#drawer(base.columns);
      const items: Named[] = [
        ...base.columns.slice(0, 2).map((each) => ({ name: each.name, expr: column(each) })),
        ...names.map((name, index) => ({ name, expr: this.#computed(drawer, 1, types[index]) })),
      ];
      return this.#select(base, items, this.#rng.chance(0.3) ? drawer.of(BOOLEAN, 1) : null, null);
    });
    const [{ columns, windows, time }] = inputs as [Query];
    return { kind: 'union', inputs, columns, windows, time };
  }

  #staticJoin(input: Query): Query {
    const rng = this.#rng;
    const name = `f${this.#tables.length}`;
    const key = rng.pick(input.columns.filter(({ type }) => type.kind !== 'timestamp'));
    const columns: Column[] = [
      { name: 'k', type: key.type },
      { name: 'v', type: rng.pick(drawnTypes) },
    ];
    const rows = Array.from({ length: rng.int(0, 7) }, () =>
      columns.map(({ type }) => (rng.chance(0.12) ? null : this.#staticValue(type))),
    );
    this.#tables.push({ name, columns, rows });
    const type = rng.pick<Of<'staticJoin'>['type']>(['inner', 'left', 'right', 'semi', 'anti']);
    const both = [...prefixed(input.columns, 'l'), ...prefixed(columns, 'r')];
    const keys: JoinKey[] = [{ left: column(key), right: column(columns[0]!), nullSafe: rng.chance(0.2) }];
    return {
      kind: 'staticJoin',
      type,
      input,
      table: name,
      tableColumns: columns,
      keys: type !== 'right' && rng.chance(0.1) ? [] : keys,
      residual: rng.chance(0.3) ? this.#drawer(both).of(BOOLEAN, 2) : null,
      columns: type === 'semi' || type === 'anti' ? prefixed(input.columns, 'l') : both,
      windows: [],
      time: sideTime(input, 'l'),
    };
  }

  #staticValue(type: DataType): Literal {
    if (type.kind === 'timestamp') return this.#baseUs + this.#rng.int(0, 20) * 500_000;
    return drawValue(this.#rng, type);
  }

  /** `between`: another operator reads it. */
  #dedup(input: Query, between = false): Query {
    const rng = this.#rng;
    const { columns, windows, time } = input;
    const isFirst =
      columns.some(({ name }) => name === 'ts') &&
      (input.kind === 'scan' || (input.kind === 'select' && input.input.kind === 'scan'));
    const wantsOn = isFirst && windows.length === 0 && rng.chance(between ? 0.6 : 0.7);
    if (wantsOn) {
      const others = columns.filter(({ name }) => name !== 'id' && name !== 'ts');
      const keys = others.filter(() => rng.chance(0.6)).map(({ name }) => name);
      if (keys.length === 0) keys.push(rng.pick(others.length === 0 ? ['ts'] : others.map(({ name }) => name)));
      const within = time?.marked === true && rng.chance(0.4);
      // Rows are late by a time that is read later on: it is read for certain where it is part of the key.
      const isKey = (between && time?.marked === true) || rng.chance(0.5);
      if (!within && isKey && !keys.includes('ts')) keys.push('ts');
      return {
        kind: 'dedup',
        input,
        mode: within ? 'within' : 'on',
        keys,
        delay: delayOf(input),
        columns,
        windows,
        time,
      };
    }
    // Fewer columns, so that rows are equal now and then; the event time stays.
    const kept = columns.filter(({ name }) => name === time?.name || (!/(^|_)id$/.test(name) && rng.chance(0.8)));
    const items = kept.map((each): Named => ({ name: each.name, expr: column(each) }));
    if (items.length === 0) items.push({ name: columns[0]!.name, expr: column(columns[0]!) });
    const narrow = this.#select(input, items, null, null);
    return {
      kind: 'dedup',
      input: narrow,
      mode: 'distinct',
      keys: [],
      delay: 0,
      columns: narrow.columns,
      windows,
      time,
    };
  }

  // ---- joins ----------------------------------------------------------------------------------------------------

  #joinType(): JoinType {
    const types: JoinType[] = ['inner', 'inner', 'left', 'right', 'full', 'semi', 'anti'];
    return this.#rng.pick(this.#mode === 'append' ? types : ['inner', 'inner', 'semi']);
  }

  /** `between`: an aggregate reads it, so the sides' times count. */
  #join(between = false): Query {
    const rng = this.#rng;
    let [left, right] = [rng.chance(0.12) ? this.#joinedSide() : this.#side(), this.#side()];
    const type = this.#joinType();
    const isMarked = left.time?.marked === true && right.time?.marked === true;
    const kind = rng.pick(
      isMarked && (type !== 'inner' || between)
        ? ['bounds', 'bounds', 'window', 'time']
        : ['bounds', 'window', 'none', 'time'],
    );
    if (type !== 'inner' && !isMarked) return this.#joined(left, right, 'inner', null, false);
    if (kind === 'window') {
      const spec = rng.pick(windowSpecs);
      [left, right] = [this.#windowed(left, spec), this.#windowed(right, spec)];
      return this.#joined(left, right, type, null, true);
    }
    if (kind === 'time') return this.#joined(left, right, type, null, true);
    return this.#joined(left, right, type, kind === 'bounds' ? this.#bounds(type, between) : null, false);
  }

  #side(): Query {
    const draw = this.#rng.int(0, 100);
    if (draw < 10) return this.#staticSide();
    if (draw >= 20) return this.#base();
    const rows = this.#dedup(this.#base(), true);
    return rows.columns.some(({ name }) => name === 'id') ? rows : this.#base();
  }

  /** A join with bounds under one side's names: the watermark behind it lies further back. */
  #joinedSide(): Query {
    const joined = this.#joined(this.#base(), this.#base(), 'inner', this.#bounds('inner', true), false);
    const side = this.#rng.pick(['l_', 'r_']);
    const items = joined.columns
      .filter(({ name }) => name.startsWith(side))
      .map((each): Named => ({ name: each.name.slice(2), expr: column(each) }));
    const named = this.#select(joined, items, null, null);
    return { ...named, time: { name: 'ts', kind: 'timestamp', marked: joined.time?.marked === true } };
  }

  /** A stream that was joined with a table, under its own names again. */
  #staticSide(): Query {
    const joined = this.#staticJoin(this.#base());
    const items = joined.columns
      .filter(({ name }) => name.startsWith('l_') || this.#rng.chance(0.5))
      .map((each): Named => ({ name: each.name.replace(/^l_/, '').replace(/^r_/, 'f'), expr: column(each) }));
    const named = this.#select(joined, items, null, null);
    return { ...named, time: { name: 'ts', kind: 'timestamp', marked: joined.time?.marked === true } };
  }

  #windowed(input: Query, spec: WindowSpec): Query {
    const items = input.columns.map((each): Named => ({ name: each.name, expr: column(each) }));
    return this.#select(input, items, null, spec);
  }

  /** Of `right time − left time`. */
  #bounds(type: JoinType, between: boolean): Bounds {
    const rng = this.#rng;
    const lower = rng.pick([-5000, -2000, 0, 1000]);
    const both = {
      lower,
      lowerStrict: rng.chance(0.3),
      upper: lower + rng.pick([0, 2000, 6000, 15_000]),
      upperStrict: rng.chance(0.3),
    };
    // With one bound rows of any age match: what groups them by that age has dropped them as late.
    if (between || type === 'full' || rng.chance(0.7)) return both;
    if (type === 'right') return { ...both, upper: null };
    if (type !== 'inner' || rng.chance(0.5)) return { ...both, lower: null };
    return { ...both, upper: null };
  }

  #joined(left: Query, right: Query, type: JoinType, bounds: Bounds | null, sameTime: boolean): Query {
    const rng = this.#rng;
    const plain = (side: Query): Column[] =>
      side.columns.filter(({ name }) => name !== side.time?.name && name !== 'ts');
    const keys = Array.from({ length: rng.chance(0.25) ? 2 : 1 }, (): JoinKey => {
      const own = rng.pick(plain(left));
      const same = plain(right).filter((each) => formatType(each.type) === formatType(own.type) && each.name !== 'id');
      const nullSafe = rng.chance(0.15);
      if (own.name !== 'id' && same.length > 0 && rng.chance(0.7))
        return { left: column(own), right: column(rng.pick(same)), nullSafe };
      const key = (side: Query): Expr => {
        const [integer] = plain(side).filter(({ type: of, name }) => of.kind === 'int' && name !== 'id');
        return integer === undefined
          ? call('length', INT, call('cast', { kind: 'string' }, column(plain(side)[0]!)))
          : call('%', INT, column(integer), literal(2, INT));
      };
      return { left: key(left), right: key(right), nullSafe };
    });
    const half = type === 'semi' || type === 'anti';
    const both = [...prefixed(left.columns, 'l'), ...prefixed(right.columns, 'r')];
    const usable = [...prefixed(plain(left), 'l'), ...prefixed(plain(right), 'r')].filter(
      ({ type: of }) => of.kind !== 'timestamp',
    );
    const windows = [
      ...left.windows.map((name) => `l_${name}`),
      ...(half ? [] : right.windows.map((name) => `r_${name}`)),
    ];
    const fromLeft = half || type === 'left' || (type !== 'right' && rng.chance(0.5));
    return {
      kind: 'join',
      type,
      left,
      right,
      keys,
      bounds,
      sameTime,
      residual: rng.chance(0.3) ? this.#drawer(usable).of(BOOLEAN, 2) : null,
      columns: half ? prefixed(left.columns, 'l') : both,
      windows,
      time: fromLeft ? sideTime(left, 'l') : sideTime(right, 'r'),
    };
  }

  // ---- groups ---------------------------------------------------------------------------------------------------

  /** `windowed`: with a window of event time, to be joined or grouped by again. */
  #aggregate(input: Query, windowed = false, spec?: WindowSpec): Query {
    const rng = this.#rng;
    const { time } = input;
    const isWindow = time?.kind === 'window';
    let by: Of<'aggregate'>['by'];
    if (spec !== undefined) by = spec;
    else if (time === null) by = 'none';
    else if (windowed) by = isWindow && rng.chance(0.4) ? 'same' : rng.pick(windowSpecs);
    else if (this.#mode === 'append') by = rng.chance(0.2) ? (isWindow ? 'same' : 'time') : rng.pick(windowSpecs);
    else by = rng.chance(0.45) ? rng.pick(windowSpecs) : isWindow && rng.chance(0.3) ? 'same' : 'none';
    // No plain time among the keys: it would be event time itself.
    const columns = input.columns.filter(({ type }) => type.kind !== 'timestamp');
    const drawer = this.#drawer(columns);
    const keyCount = columns.length === 0 ? 0 : spec === undefined ? rng.pick([0, 1, 1, 2]) : 1;
    const keys = Array.from({ length: keyCount }, (): Named => {
      return { name: this.#name('k'), expr: this.#key(drawer, columns, spec === undefined ? null : INT) };
    });
    const aggregates = this.#aggregates(input);
    const own = [...keys.map(({ name, expr }): Column => ({ name, type: expr.type })), ...aggregates];
    const windows = by === 'none' || by === 'time' ? [] : ['w'];
    const outTime: EventTime | null =
      by === 'none'
        ? null
        : {
            name: by === 'time' ? 'ts' : 'w',
            kind: by === 'time' ? 'timestamp' : 'window',
            marked: time?.marked === true,
          };
    return {
      kind: 'aggregate',
      input,
      by,
      keys,
      aggregates,
      having: rng.chance(0.2) ? this.#drawer(own).of(BOOLEAN, 2) : null,
      columns: by === 'time' ? [...own.map(plainColumn), { name: 'ts', type: TIMESTAMP }] : own.map(plainColumn),
      windows,
      time: outTime,
    };
  }

  #session(input: Query): Query {
    const rng = this.#rng;
    if (input.time === null || input.windows.length > 0) return this.#aggregate(input);
    const others = input.columns.filter(({ type }) => type.kind !== 'timestamp');
    if (others.length === 0) return this.#aggregate(input);
    const drawer = this.#drawer(others);
    const keys = Array.from({ length: rng.pick([1, 1, 2]) }, (): Named => ({
      name: this.#name('k'),
      expr: this.#key(drawer, others, null),
    }));
    const aggregates = this.#aggregates(input, ['min_by', 'max_by']);
    const gap = rng.pick([1000, 3000, 8000]);
    return {
      kind: 'session',
      input,
      gap: rng.chance(0.7) ? gap : { when: drawer.of(BOOLEAN, 1), then: rng.pick([0, 500, 2000]), otherwise: gap },
      keys,
      aggregates,
      columns: [...keys.map(({ name, expr }): Column => ({ name, type: expr.type })), ...aggregates.map(plainColumn)],
      windows: ['w'],
      time: { name: 'w', kind: 'window', marked: input.time.marked },
    };
  }

  #aggregates(input: Query, ordered: readonly AggregateName[] = orderedAggregates): Aggregate[] {
    return Array.from({ length: this.#rng.int(1, 5) }, () => this.#oneAggregate(input, ordered));
  }

  /** A numeric type, mostly one that a column has. */
  #number(columns: readonly Column[]): DataType {
    const own = columns.filter(({ type }) => numbers.some(({ kind }) => kind === type.kind));
    return own.length > 0 && this.#rng.chance(0.8) ? this.#rng.pick(own).type : this.#rng.pick(numbers);
  }

  #oneAggregate(input: Query, ordered: readonly AggregateName[]): Aggregate {
    const rng = this.#rng;
    const { columns } = input;
    const drawer = this.#drawer(columns);
    const name = this.#name('a');
    const filter = rng.chance(0.2) ? drawer.of(BOOLEAN, 1) : null;
    if (isPlain(input) && rng.chance(0.12)) {
      const arg = drawer.any(1);
      const one = rng.pick(ordered);
      return { name, function: one, arg, distinct: false, filter, type: arg.type };
    }
    switch (rng.int(0, 9)) {
      case 0:
        return { name, function: 'count', arg: null, distinct: false, filter, type: BIGINT };
      case 1:
        return { name, function: 'count', arg: drawer.any(1), distinct: rng.chance(0.5), filter, type: BIGINT };
      case 2:
        return { name, function: 'count_if', arg: drawer.of(BOOLEAN, 1), distinct: false, filter, type: BIGINT };
      case 3:
        return {
          name,
          function: rng.pick(['bool_and', 'bool_or']),
          arg: drawer.of(BOOLEAN, 1),
          distinct: false,
          filter,
          type: BOOLEAN,
        };
      case 4:
      case 5: {
        const arg = drawer.any(1);
        return { name, function: rng.pick(['min', 'max']), arg, distinct: false, filter, type: arg.type };
      }
      case 6: {
        const arg = drawer.of(this.#number(columns), 1);
        return { name, function: 'avg', arg, distinct: rng.chance(0.15), filter, type: averageType(arg.type) };
      }
      default: {
        const arg = drawer.of(this.#number(columns), 1);
        return { name, function: 'sum', arg, distinct: rng.chance(0.3), filter, type: sumType(arg.type) };
      }
    }
  }
}

const orderedAggregates: readonly AggregateName[] = ['min_by', 'max_by', 'first', 'last'];

const numbers: readonly DataType[] = [INT, BIGINT, DOUBLE, decimal(7, 2), decimal(9, 1)];

function sumType(type: DataType): DataType {
  if (type.kind === 'decimal') return decimal(type.precision + 10, type.scale);
  return type.kind === 'double' ? DOUBLE : BIGINT;
}

function averageType(type: DataType): DataType {
  return type.kind === 'decimal' ? decimal(type.precision + 4, scaleOf(type) + 4) : DOUBLE;
}

/** Of the watermark below. */
function delayOf(query: Query): number {
  return nodesOf(query).find((node) => node.kind === 'scan')?.delay ?? 0;
}

/** Rows of one source, each once. */
function isPlain(query: Query): boolean {
  return query.kind === 'scan' || (query.kind === 'select' && query.window === null && isPlain(query.input));
}

function readsColumn(expr: Expr): boolean {
  return expr.kind === 'column' || (expr.kind === 'call' && expr.args.some(readsColumn));
}

function plainColumn({ name, type }: Column): Column {
  return { name, type };
}

function prefixed(columns: readonly Column[], side: 'l' | 'r'): Column[] {
  return columns.map(({ name, type }) => ({ name: `${side}_${name}`, type }));
}

function sideTime({ time }: Query, side: 'l' | 'r'): EventTime | null {
  return time === null ? null : { ...time, name: `${side}_${time.name}` };
}
