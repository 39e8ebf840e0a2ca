/**
 * What an output mode allows (Spark's UnsupportedOperationChecker, and where this engine goes further), and which state
 * is never forgotten.
 */
import { must } from '../../../core/assert.ts';
import type { LogicalPlan } from '../../plan/logical-plan.ts';
import { aggregateByName } from '../aggregates.ts';
import type { Analysis } from './context.ts';
import { evictedSides, isStateful, neverEvicted } from './eviction.ts';
import { inputsOf, nodesOf } from './tree.ts';
import { expressionsOf, isVolatile } from './volatile.ts';

type Of<Kind extends LogicalPlan['kind']> = Extract<LogicalPlan, { kind: Kind }>;

const watermarkHint =
  'declare a watermark behind the source, FROM events WATERMARK ts DELAY OF INTERVAL 10 SECONDS, and group by window(ts, …) or by ts';

/** Says what the output mode refuses, and warns of state that grows for ever. */
export function checkOutputMode(root: LogicalPlan, analysis: Analysis): void {
  const nodes = [...nodesOf(root)];
  if (analysis.input.outputMode === 'complete' && !nodes.some(({ kind }) => kind === 'aggregate'))
    analysis.problem(
      root.span,
      'outputMode: complete needs an aggregation, and the query has none',
      'write outputMode: append',
    );
  let top = root;
  while (top.kind === 'project' || top.kind === 'filter') top = top.input;
  for (const node of nodes) {
    if (node.kind === 'aggregate') checkAggregate(node, analysis);
    if (node.kind === 'join') checkJoin(node, analysis);
    if (node.kind === 'sort') checkSort(node, top, analysis);
    if (node.kind === 'limit') checkLimit(node, nodes, analysis);
    if (node.kind === 'rank') checkRank(node, analysis);
    checkAbove(node, analysis);
  }
  for (const node of nodes) for (const warning of neverEvicted(node, analysis.input.outputMode)) analysis.warn(warning);
}

function checkAggregate(node: Of<'aggregate'>, analysis: Analysis): void {
  if (analysis.input.outputMode !== 'append' || node.eventTime !== null) return;
  analysis.problem(
    node.span,
    "append mode needs a watermark on the aggregate's event time: without one no group is ever final",
    `${groupByTime(node)}; or write outputMode: update`,
  );
}

/** What makes groups final: the column with the watermark among the keys, or a watermark first. */
function groupByTime(node: LogicalPlan): string {
  const names = [...nodesOf(node)].flatMap((below) =>
    below.kind === 'watermark' ? [below.output[below.column]?.name ?? ''] : [],
  );
  const [name] = names;
  return name === undefined
    ? watermarkHint
    : `the watermark is on ${[...new Set(names)].join(' and ')}: group by window(${name}, '1 minute') or by ${name}`;
}

function checkJoin(node: Of<'join'>, analysis: Analysis): void {
  const { outputMode } = analysis.input;
  if (outputMode === 'complete')
    return analysis.problem(
      node.span,
      'a join of two streams is not supported in complete mode',
      'write outputMode: append',
    );
  if (node.type === 'inner') return;
  if (outputMode === 'update' && node.type !== 'semi')
    return analysis.problem(
      node.span,
      'an outer join only in append mode: a row without a match comes out when it can have none any more',
      'write outputMode: append',
    );
  const evicted = evictedSides(node);
  const fine = {
    left: evicted.left,
    semi: evicted.left,
    anti: evicted.left,
    right: evicted.right,
    full: evicted.left || evicted.right,
  };
  if (fine[node.type]) return;
  const names = { left: 'LEFT', right: 'RIGHT', full: 'FULL', semi: 'LEFT SEMI', anti: 'LEFT ANTI' };
  analysis.problem(
    node.span,
    `a ${names[node.type]} JOIN of two streams needs watermarks and a bound on their times: else no row is ever known to have no match`,
    'declare a watermark on both sides, and add to ON an equality of windows or event times, or a bound such as r.ts BETWEEN l.ts AND l.ts + INTERVAL 1 HOUR',
  );
}

function checkSort(node: Of<'sort'>, top: LogicalPlan, analysis: Analysis): void {
  const { outputMode } = analysis.input;
  if (outputMode === 'complete' && node === top && [...nodesOf(node)].some(({ kind }) => kind === 'aggregate')) return;
  analysis.problem(
    node.span,
    outputMode === 'complete'
      ? 'ORDER BY stands only at the end of the whole query, over an aggregation'
      : `ORDER BY is not supported in ${outputMode} mode: rows of a stream have no end to sort towards`,
    outputMode === 'complete'
      ? 'order the outer query'
      : 'the table orders rows by its clustering key; or aggregate, and write outputMode: complete',
  );
}

function checkLimit(node: Of<'limit'>, nodes: readonly LogicalPlan[], analysis: Analysis): void {
  const { outputMode } = analysis.input;
  if (outputMode === 'update')
    analysis.problem(
      node.span,
      'LIMIT is not supported in update mode: a row within the limit may change later',
      'write outputMode: append',
    );
  if (outputMode !== 'complete') return;
  // Below an aggregation it is that of the query's life, as in append mode; between two it would be either.
  const isBelow = nodes.some((each) => each.kind === 'aggregate' && [...nodesOf(each.input)].includes(node));
  if (isBelow && [...nodesOf(node)].some(({ kind }) => kind === 'aggregate'))
    analysis.problem(
      node.span,
      'LIMIT between two aggregations is not supported in complete mode',
      'limit the result, or the rows below both',
    );
}

function checkRank(node: Of<'rank'>, analysis: Analysis): void {
  const { outputMode } = analysis.input;
  if (outputMode === 'complete')
    analysis.problem(
      node.span,
      'row_number, rank, lag and lead are not supported in complete mode',
      'write outputMode: update',
    );
  if (outputMode === 'append' && node.eventTime === null)
    analysis.problem(
      node.span,
      'append mode needs event time in PARTITION BY: without one no row number is ever final',
      'partition by a window of a watermarked column; or write outputMode: update',
    );
}

/**
 * Outside of append mode rows of aggregates and window functions change later. An aggregate above takes them back and
 * adds them anew (Spark refuses that); other operators cannot.
 */
function checkAbove(node: LogicalPlan, analysis: Analysis): void {
  const { outputMode } = analysis.input;
  if (outputMode === 'append' || !isStateful(node) || node.kind === 'sort' || node.kind === 'limit') return;
  const below = changingBelow(node);
  if (below === undefined) return;
  const whatBelow = below.kind === 'rank' ? 'a window function' : 'an aggregate';
  if (node.kind === 'aggregate' && node.session === null) return checkSigned(node, whatBelow, analysis);
  const what = {
    aggregate: 'a session window',
    dedup: 'DISTINCT',
    join: 'a join',
    rank: 'a window function',
    user: 'keyedState',
  };
  analysis.problem(
    node.span,
    `${what[node.kind]} over ${whatBelow} only in append mode: in ${outputMode} mode the rows below change later`,
    'write outputMode: append',
  );
}

/** The nearest operator below whose rows change after they came out. */
function changingBelow(node: LogicalPlan): LogicalPlan | undefined {
  return inputsOf(node)
    .flatMap((input) => [...nodesOf(input)])
    .find(({ kind }) => kind === 'aggregate' || kind === 'rank');
}

/** What is taken back must be what was added: the same function of the same rows. */
function checkSigned(node: Of<'aggregate'>, whatBelow: string, analysis: Analysis): void {
  const { outputMode } = analysis.input;
  for (const { function: name } of node.aggregates) {
    const { family } = must(aggregateByName(name), () => `there is no aggregate ${name}`);
    if ((family !== 'first' && family !== 'last') || name === 'any_value') continue;
    analysis.problem(
      node.span,
      `${name} over ${whatBelow} only in append mode: in ${outputMode} mode the rows below change later, and which of them is the ${family} changes with that`,
      'write min_by or max_by with a column that says the order; or outputMode: append',
    );
  }
  const between = [...untilStateful(node)];
  if (between.some((each) => expressionsOf(each).some(isVolatile)))
    analysis.problem(
      node.span,
      `an aggregate over ${whatBelow} must take back what it added, and a function between them gives another value each time`,
      'call current_timestamp(), uuid() and the like below the inner query, or write outputMode: append',
    );
  if (outputMode !== 'complete') return;
  const session = [...nodesOf(node)].find((each) => each.kind === 'aggregate' && each.session !== null);
  if (session !== undefined)
    analysis.problem(
      session.span,
      'an aggregate over sessions is not supported in complete mode',
      'write outputMode: update',
    );
}

/** The node and those below it, down to operators with state. */
function* untilStateful(node: LogicalPlan): Generator<LogicalPlan> {
  yield node;
  for (const input of inputsOf(node)) if (!isStateful(input)) yield* untilStateful(input);
}
