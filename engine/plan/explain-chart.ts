/** A plan as a chart: its sources, stages, static tables and sinks, and what goes from where to where. */
import { describeState } from './describe-state.ts';
import { describeKind } from './explain.ts';
import type { EpochsPlan } from './epoch-plan.ts';
import type { JobPlan } from './job-plan.ts';

interface ChartNode {
  /** `source0`, `stage0`, `table0`, `sink0`: as the figures of operators are called. */
  readonly id: string;
  readonly kind: 'source' | 'map' | 'state' | 'table' | 'sink';
  readonly lines: readonly string[];
}

interface ChartEdge {
  readonly from: string;
  readonly to: string;
  /** Columns by which rows are spread; '' = they are not. */
  readonly label: string;
}

interface Chart {
  readonly nodes: readonly ChartNode[];
  readonly edges: readonly ChartEdge[];
}

/** The chart as Mermaid writes it. */
export function explainMermaid(plan: JobPlan): string {
  const { nodes, edges } = chartOf(plan);
  const text = (lines: readonly string[]): string => lines.join('<br/>').replaceAll('"', '#quot;');
  const shapes = {
    source: ['[(', ')]'],
    table: ['[(', ')]'],
    map: ['[', ']'],
    state: ['[[', ']]'],
    sink: ['[/', '/]'],
  };
  return [
    'flowchart LR',
    ...nodes.map(({ id, kind, lines }) => `  ${id}${shapes[kind][0]}"${text(lines)}"${shapes[kind][1]}`),
    ...edges.map(({ from, to, label }) => `  ${from} -->${label === '' ? '' : `|"${text([label])}"|`} ${to}`),
  ].join('\n');
}

/** The chart as Graphviz reads it: `weir explain --format dot FILE | dot -Tsvg`. */
export function explainDot(plan: JobPlan): string {
  const { nodes, edges } = chartOf(plan);
  const text = (lines: readonly string[]): string =>
    `"${lines.map((line) => line.replaceAll('\\', '\\\\').replaceAll('"', '\\"')).join('\\n')}"`;
  const shapes = { source: 'cylinder', table: 'cylinder', map: 'box', state: 'box3d', sink: 'note' };
  return [
    `digraph ${text([plan.job])} {`,
    '  rankdir=LR;',
    '  node [fontname="sans-serif", fontsize=11];',
    '  edge [fontname="sans-serif", fontsize=9];',
    ...nodes.map(({ id, kind, lines }) => `  ${id} [shape=${shapes[kind]}, label=${text(lines)}];`),
    ...edges.map(({ from, to, label }) => `  ${from} -> ${to}${label === '' ? '' : ` [label=${text([label])}]`};`),
    '}',
  ].join('\n');
}

function chartOf(plan: JobPlan): Chart {
  const sources = plan.sources.map(({ name, connector, topic }, index): ChartNode => {
    return { id: `source${index}`, kind: 'source', lines: [name, `${connector} ${topic}`] };
  });
  const sinks = plan.sinks.map(({ description }, index): ChartNode => {
    return { id: `sink${index}`, kind: 'sink', lines: [description] };
  });
  const inner = plan.protocol === 'lanes' ? lanesOf(plan) : stagesOf(plan);
  return { nodes: [...sources, ...inner.nodes, ...sinks], edges: inner.edges };
}

function edgesToSinks(plan: JobPlan, from: string): ChartEdge[] {
  return plan.sinks.map((_, index) => ({ from, to: `sink${index}`, label: '' }));
}

function lanesOf(plan: Extract<JobPlan, { protocol: 'lanes' }>): Chart {
  return {
    nodes: plan.sources.map(({ stage }, index) => ({
      id: `stage${index}`,
      kind: 'map',
      lines: ['lane', ...stage.operators.map(({ kind }) => kind)],
    })),
    edges: plan.sources.flatMap((_, index) => [
      { from: `source${index}`, to: `stage${index}`, label: '' },
      ...edgesToSinks(plan, `stage${index}`),
    ]),
  };
}

function stagesOf(plan: EpochsPlan): Chart {
  const nodes: ChartNode[] = plan.statics.map(({ name }, index) => ({
    id: `table${index}`,
    kind: 'table',
    lines: [name],
  }));
  const edges: ChartEdge[] = [];
  for (const [index, stage] of plan.stages.entries()) {
    const id = `stage${index}`;
    if (stage.kind === 'map') {
      nodes.push({ id, kind: 'map', lines: [`map ${stage.source}`] });
      edges.push({ from: `source${plan.sources.findIndex(({ name }) => name === stage.source)}`, to: id, label: '' });
    } else {
      const { forgets, keepsForEver } = describeState(stage, plan);
      const rules = [
        ...(forgets === null ? [] : [`forgets ${forgets}`]),
        ...(keepsForEver === null ? [] : [`never forgets ${keepsForEver}`]),
      ];
      nodes.push({ id, kind: 'state', lines: [`${stage.operatorId}: ${describeKind(stage.state)}`, ...rules] });
    }
    for (const { operators, output, target } of stage.kind === 'map' ? stage.branches : [stage.branch]) {
      const label = target.kind === 'sink' ? '' : target.keys.map((column) => output[column]?.name ?? '').join(', ');
      if (target.kind === 'sink') edges.push(...edgesToSinks(plan, id));
      else edges.push({ from: id, to: `stage${target.stage}`, label });
      for (const operator of operators) {
        if (operator.kind !== 'staticJoin') continue;
        const table = plan.statics.findIndex(({ name }) => name === operator.table);
        edges.push({ from: `table${table}`, to: id, label: '' });
      }
    }
  }
  return { nodes, edges };
}
