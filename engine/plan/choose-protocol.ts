/** Lanes or epochs: which protocol a query runs by, and why. */
import type { JobSpec } from '../../core/job/spec.ts';
import type { LogicalPlan } from './logical-plan.ts';
import type { PlannedLookup } from './lookup-plan.ts';
import { lookupJoin } from './plan-lookups.ts';
import type { LaneOperator } from './prune-columns.ts';

/** A query that is one chain of operators over one source. */
export interface LaneChain {
  readonly source: string;
  readonly operators: readonly LaneOperator[];
}

export type ProtocolChoice =
  | { readonly protocol: 'lanes'; readonly reason: string; readonly chain: LaneChain }
  | { readonly protocol: 'epochs'; readonly reason: string };

/** Lanes where every row is a function of one record and nothing in the job asks for epochs. */
export function chooseProtocol(
  spec: JobSpec,
  root: LogicalPlan,
  lookups: ReadonlyMap<string, PlannedLookup> = new Map(),
): ProtocolChoice {
  const chain = laneChain(root, lookups);
  if (typeof chain === 'string') return { protocol: 'epochs', reason: chain };
  if (spec.trigger === 'manual')
    return { protocol: 'epochs', reason: 'trigger: manual takes records in steps, and a step is an epoch' };
  if (spec.sinks.some(({ connector }) => connector === 'files'))
    return { protocol: 'epochs', reason: 'files become visible by epochs' };
  if (spec.sinks.some(({ connector }) => connector === 'forEachBatch'))
    return {
      protocol: 'epochs',
      reason: 'a function is called by epochs, so that a batch that comes again is the same',
    };
  for (const option of ['maxOffsetsPerTrigger', 'minOffsetsPerTrigger'] as const) {
    if (spec.sources[chain.source]?.[option] !== undefined)
      return { protocol: 'epochs', reason: `${option} says how much an epoch takes` };
  }
  return {
    protocol: 'lanes',
    reason: chain.operators.some(({ kind }) => kind === 'staticJoin')
      ? 'every row is made of one record and what is looked up for it, and every sink takes it by the record’s place: no state, no shuffle'
      : 'every row is a function of one record and the query, and every sink takes it by the record’s place: no state, no shuffle',
    chain,
  };
}

/** The chain of a query that needs no epochs, or why it needs them. */
function laneChain(node: LogicalPlan, lookups: ReadonlyMap<string, PlannedLookup>): LaneChain | string {
  const behind = (input: LogicalPlan, ...operators: readonly LaneOperator[]): LaneChain | string => {
    const chain = laneChain(input, lookups);
    return typeof chain === 'string' ? chain : { ...chain, operators: [...chain.operators, ...operators] };
  };
  switch (node.kind) {
    case 'source':
      return { source: node.source, operators: [] };
    case 'filter':
      return behind(node.input, { kind: 'filter', predicate: node.predicate });
    case 'project':
      return behind(node.input, { kind: 'project', columns: node.columns });
    case 'generate': {
      const { generator, outer, expr, generated } = node;
      return behind(node.input, { kind: 'generate', generator, outer, input: expr, output: generated });
    }
    case 'watermark':
      // Nothing in a lane is ever late.
      return laneChain(node.input, lookups);
    case 'assignWindow':
      return 'window() gives each record several rows by event time';
    case 'union':
      return 'UNION ALL puts rows of several reads together';
    case 'static':
      return `the rows of ${node.table} come from no source`;
    case 'staticJoin': {
      const operators = lookupJoin(node, lookups);
      if (typeof operators === 'string') return operators;
      if (operators !== null) return behind(node.input, ...operators);
      return 'rows are joined with a static table, whose version an epoch fixes';
    }
    case 'join':
      return `${node.id} keeps rows of both sides until their partners come`;
    case 'aggregate':
      return `${node.id} keeps ${node.session === null ? 'groups' : 'sessions'} over many records`;
    case 'dedup':
      return `${node.id} keeps the keys it has seen`;
    case 'limit':
      return `${node.id} counts rows over all partitions`;
    case 'sort':
      return `${node.id} orders whole results`;
    case 'rank':
      return `${node.id} keeps rows by key and order`;
    case 'user':
      return `${node.id} keeps what the job’s functions write, by key`;
  }
}
