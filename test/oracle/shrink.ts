/** Makes a failing job and its rows smaller, as long as they go on failing. */
import type { Expr } from './expressions.ts';
import { literal } from './expressions.ts';
import type { Epoch, Input } from './generator.ts';
import type { Job, Query } from './queries.ts';

export interface Case {
  readonly job: Job;
  readonly input: Input;
}

/** `fails` says why, or null; `tries` bounds how often it is asked. */
export function shrink(from: Case, fails: (candidate: Case) => boolean, tries = 3000): Case {
  let smallest = from;
  let left = tries;
  const improve = (candidates: (of: Case) => Iterable<Case>): boolean => {
    for (const candidate of candidates(smallest)) {
      if (left-- <= 0) return false;
      if (!fails(candidate)) continue;
      smallest = candidate;
      return true;
    }
    return false;
  };
  while (left > 0 && (improve(smallerInputs) || improve(smallerJobs)));
  return smallest;
}

// ---- rows ---------------------------------------------------------------------------------------------------------

function* smallerInputs({ job, input }: Case): Iterable<Case> {
  const { epochs } = input;
  const withEpochs = (list: readonly Epoch[]): Case => ({ job, input: { ...input, epochs: list } });
  for (const index of epochs.keys()) yield withEpochs(epochs.toSpliced(index, 1));
  if (input.hosts > 1) yield { job, input: { ...input, hosts: 1 } };
  if (input.replay) yield { job, input: { ...input, replay: false } };
  for (const [index, epoch] of epochs.entries()) {
    if (epoch.restart > 0) yield withEpochs(epochs.with(index, { ...epoch, restart: 0 }));
    for (const [source, lists] of Object.entries(epoch.rows)) {
      const withLists = (changed: typeof lists): Case =>
        withEpochs(epochs.with(index, { ...epoch, rows: { ...epoch.rows, [source]: changed } }));
      if (lists.some((list) => list.length > 0)) yield withLists(lists.map(() => []));
      for (const [partition, list] of lists.entries())
        for (const row of list.keys()) yield withLists(lists.with(partition, list.toSpliced(row, 1)));
    }
  }
}

// ---- jobs ---------------------------------------------------------------------------------------------------------

function* smallerJobs({ job, input }: Case): Iterable<Case> {
  const withRoot = (root: Query): Case => ({ job: { ...job, root }, input });
  if (job.order !== null) yield { job: { ...job, order: null }, input };
  for (const [index, table] of job.tables.entries())
    for (const row of table.rows.keys())
      yield {
        job: { ...job, tables: job.tables.with(index, { ...table, rows: table.rows.toSpliced(row, 1) }) },
        input,
      };
  const { root } = job;
  // What only passes on the columns of its input.
  if (
    root.kind === 'limit' ||
    root.kind === 'dedup' ||
    root.kind === 'rank' ||
    (root.kind === 'select' && root.window === null)
  )
    yield withRoot(root.input);
  for (const smaller of smallerQueries(root)) yield withRoot(smaller);
}

function* smallerQueries(query: Query): Iterable<Query> {
  switch (query.kind) {
    case 'scan':
      return;
    case 'select':
      if (query.input.kind === 'scan' && query.window === null) yield query.input;
      if (query.where !== null) {
        yield { ...query, where: null };
        for (const where of smallerExprs(query.where)) yield { ...query, where };
      }
      for (const [index, { name, expr }] of query.items.entries()) {
        if (query.items.length > 1)
          yield {
            ...query,
            items: query.items.toSpliced(index, 1),
            columns: query.columns.filter((c) => c.name !== name),
          };
        for (const smaller of smallerExprs(expr))
          yield { ...query, items: query.items.with(index, { name, expr: smaller }) };
      }
      break;
    case 'union':
      for (const index of query.inputs.keys()) {
        if (query.inputs.length > 2) yield { ...query, inputs: query.inputs.toSpliced(index, 1) };
        yield query.inputs[index]!;
        for (const smaller of smallerQueries(query.inputs[index]!))
          yield { ...query, inputs: query.inputs.with(index, smaller) };
      }
      return;
    case 'join':
      if (query.residual !== null) {
        yield { ...query, residual: null };
        for (const residual of smallerExprs(query.residual)) yield { ...query, residual };
      }
      if (query.keys.length > 1)
        for (const index of query.keys.keys()) yield { ...query, keys: query.keys.toSpliced(index, 1) };
      for (const left of smallerQueries(query.left)) yield { ...query, left };
      for (const right of smallerQueries(query.right)) yield { ...query, right };
      for (const { name } of query.columns) yield { ...query, columns: query.columns.filter((c) => c.name !== name) };
      return;
    case 'staticJoin':
      if (query.residual !== null) {
        yield { ...query, residual: null };
        for (const residual of smallerExprs(query.residual)) yield { ...query, residual };
      }
      for (const { name } of query.columns) yield { ...query, columns: query.columns.filter((c) => c.name !== name) };
      break;
    case 'aggregate':
    case 'session': {
      if (query.kind === 'aggregate' && query.having !== null) yield { ...query, having: null };
      const least = query.kind === 'session' ? 1 : 0;
      for (const [index, { name, expr }] of query.keys.entries()) {
        const columns = query.columns.filter((c) => c.name !== name);
        if (query.keys.length > least) yield { ...query, keys: query.keys.toSpliced(index, 1), columns };
        for (const smaller of smallerExprs(expr))
          yield { ...query, keys: query.keys.with(index, { name, expr: smaller }) };
      }
      for (const [index, aggregate] of query.aggregates.entries()) {
        const { name, arg, filter } = aggregate;
        const columns = query.columns.filter((c) => c.name !== name);
        if (query.aggregates.length > 1) yield { ...query, aggregates: query.aggregates.toSpliced(index, 1), columns };
        if (filter !== null) {
          yield { ...query, aggregates: query.aggregates.with(index, { ...aggregate, filter: null }) };
          for (const smaller of smallerExprs(filter))
            yield { ...query, aggregates: query.aggregates.with(index, { ...aggregate, filter: smaller }) };
        }
        if (arg !== null)
          for (const smaller of smallerExprs(arg))
            yield { ...query, aggregates: query.aggregates.with(index, { ...aggregate, arg: smaller }) };
      }
      break;
    }
    default:
      break;
  }
  if (query.kind === 'dedup') {
    for (const { name } of query.columns)
      if (query.mode === 'on' && !query.keys.includes(name))
        yield { ...query, columns: query.columns.filter((c) => c.name !== name) };
  }
  for (const input of smallerQueries(query.input)) yield { ...query, input };
}

function* smallerExprs(expr: Expr): Iterable<Expr> {
  if (expr.kind !== 'call') return;
  for (const arg of expr.args) if (arg.type.kind === expr.type.kind) yield arg;
  if (expr.type.kind === 'boolean') {
    yield literal(true, expr.type);
    yield literal(false, expr.type);
  }
  for (const [index, arg] of expr.args.entries())
    for (const smaller of smallerExprs(arg)) yield { ...expr, args: expr.args.with(index, smaller) };
}
