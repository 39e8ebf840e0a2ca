/** The operators of a job from left to right, with what they do at the moment. */
import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { bytes, count, dateTime, ratio } from '../format.ts';
import type { PlacedNode } from '../model/plan-graph.ts';
import { NODE_HEIGHT, NODE_WIDTH, graphOf, layout } from '../model/plan-graph.ts';
import { jobHref } from '../router.ts';
import type { BatchProgress, JobPlan, JobView } from '../wire.ts';
import { Icon } from './icon.tsx';

/** What is known of each box; busy and blocked are shares of the time. */
export interface NodeFigures {
  readonly rate: number | null;
  readonly busy: number | null;
  readonly blocked: number | null;
  readonly state: { readonly rows: number; readonly bytes: number } | null;
  readonly trouble: string | null;
  readonly lag: number | null;
}

const nothing: NodeFigures = { rate: null, busy: null, blocked: null, state: null, trouble: null, lag: null };

/** Share of the time in which a phase of some epoch ran, over the last batches; null for jobs without epochs. */
function phaseShare(progress: readonly BatchProgress[], phase: string): number | null {
  const times = progress.map(({ timestamp }) => Date.parse(timestamp ?? ''));
  const span = (times.at(-1) ?? NaN) - (times[0] ?? NaN);
  if (!(span > 500) || !progress.some(({ durationMs }) => phase in durationMs)) return null;
  return Math.min(1, progress.slice(1).reduce((sum, { durationMs }) => sum + (durationMs[phase] ?? 0), 0) / span);
}

export function figuresOf(
  plan: JobPlan,
  view: JobView,
  progress: readonly BatchProgress[],
): ReadonlyMap<string, NodeFigures> {
  const found = new Map<string, NodeFigures>();
  const reported = new Map(view.operators.map((entry) => [entry.id, entry]));
  const put = (id: string, figures: Partial<NodeFigures>): void => {
    const own = reported.get(id);
    found.set(id, {
      ...nothing,
      ...figures,
      ...(own === undefined
        ? {}
        : {
            rate: own.rowsPerSecond ?? figures.rate ?? null,
            busy: own.busyRatio ?? figures.busy ?? null,
            blocked: own.blockedRatio ?? figures.blocked ?? null,
            state:
              own.stateRows === null ? (figures.state ?? null) : { rows: own.stateRows, bytes: own.stateBytes ?? 0 },
          }),
    });
  };
  for (const [index, source] of plan.sources.entries()) {
    const lanes = view.lanes.filter((lane) => lane.source === source.name);
    const blocked = lanes.find(({ code }) => code !== null && /^(SOURCE|TOPIC|OFFSET|LOG)/.test(code));
    put(`source${index}`, {
      rate: plan.sources.length === 1 ? view.recordsPerSecond : null,
      lag: plan.sources.length === 1 ? view.lag : lanes.reduce((sum, lane) => sum + Math.max(0, lane.lag), 0),
      trouble: blocked?.message ?? null,
    });
  }
  const states = new Map((view.epochs?.stateOperators ?? []).map((operator) => [operator.operatorName, operator]));
  if (plan.protocol === 'epochs') {
    for (const [index, stage] of plan.stages.entries()) {
      const operator = stage.kind === 'state' ? states.get(stage.operatorId) : undefined;
      put(`stage${index}`, {
        busy: phaseShare(progress, stage.kind === 'map' ? 'map' : 'addBatch'),
        state: operator === undefined ? null : { rows: operator.numRowsTotal, bytes: operator.memoryUsedBytes },
        rate: stage.kind === 'map' && plan.sources.length === 1 ? view.recordsPerSecond : null,
      });
    }
  } else
    for (const index of plan.sources.keys())
      put(`stage${index}`, {
        rate: plan.sources.length === 1 ? view.recordsPerSecond : null,
        blocked: blockedShare(view, plan.sources[index]?.name),
      });
  const blockedSink = view.lanes.find(({ code }) => code?.startsWith('SINK'));
  for (const index of plan.sinks.keys())
    put(`sink${index}`, { rate: view.rowsPerSecond, trouble: blockedSink?.message ?? null });
  return found;
}

/** Share of the partitions that something outside holds up; null when there is none. */
function blockedShare({ lanes }: JobView, source: string | undefined): number | null {
  const mine = lanes.filter((lane) => lane.source === source);
  const blocked = mine.filter(({ state }) => state === 'blocked').length;
  return blocked === 0 ? null : blocked / mine.length;
}

export function Graph({
  plan,
  view,
  progress,
}: {
  readonly plan: JobPlan;
  readonly view: JobView;
  readonly progress: readonly BatchProgress[];
}): JSX.Element {
  const placed = useMemo(() => layout(graphOf(plan)), [plan]);
  const figures = figuresOf(plan, view, progress);
  const [open, setOpen] = useState<string | null>(null);
  const chosen = placed.nodes.find(({ id }) => id === open);
  const watermark = view.epochs?.watermarkMs ?? null;
  return (
    <section class="panel" aria-labelledby="graph-title">
      <header class="panel-head">
        <h2 id="graph-title">Operators</h2>
        <span class="legend">
          <span>
            <i class="swatch heat-busy" />
            busy
          </span>
          <span>
            <i class="swatch heat-blocked" />
            blocked
          </span>
          {watermark === null ? null : (
            <span>
              watermark <b>{dateTime(watermark)}</b>
            </span>
          )}
        </span>
      </header>
      <div class="graph-box" tabIndex={0} role="group" aria-label="Operator graph">
        <div class="graph" style={{ width: `${placed.width}px`, height: `${placed.height}px` }}>
          <svg width={placed.width} height={placed.height} aria-hidden="true">
            <defs>
              <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
                <path class="arrow" d="M0 0L8 4L0 8z" />
              </marker>
            </defs>
            {placed.edges.map(({ from, to, label, x1, y1, x2, y2 }) => {
              const bend = (x2 - x1) / 2;
              return (
                <g key={`${from} ${to}`}>
                  <path
                    class={`edge${label === '' ? '' : ' edge-exchange'}`}
                    marker-end="url(#arrow)"
                    d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2 - 2} ${y2}`}
                  />
                  {label === '' ? null : (
                    <text class="edge-label" x={(x1 + x2) / 2} y={(y1 + y2) / 2 - 6} text-anchor="middle">
                      {label.length > 15 ? `${label.slice(0, 14)}…` : label}
                    </text>
                  )}
                </g>
              );
            })}
          </svg>
          {placed.nodes.map((node) => (
            <Node
              key={node.id}
              node={node}
              figures={figures.get(node.id) ?? nothing}
              open={open === node.id}
              onOpen={() => setOpen(open === node.id ? null : node.id)}
            />
          ))}
        </div>
      </div>
      {chosen === undefined ? null : (
        <div class="sheet">
          <h3>{chosen.title}</h3>
          <dl class="facts">
            {chosen.details.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
          {chosen.kind === 'table' ? null : (
            <a class="button" href={`${jobHref(view.row.name, 'data')}?at=${chosen.id}`}>
              See rows here
            </a>
          )}
        </div>
      )}
    </section>
  );
}

function Node({
  node,
  figures,
  open,
  onOpen,
}: {
  readonly node: PlacedNode;
  readonly figures: NodeFigures;
  readonly open: boolean;
  readonly onOpen: () => void;
}): JSX.Element {
  const { rate, busy, blocked, state, trouble, lag } = figures;
  const load =
    busy === null && blocked === null
      ? null
      : `${ratio(busy ?? 0)} busy${(blocked ?? 0) > 0.005 ? `, ${ratio(blocked ?? 0)} blocked` : ''}`;
  return (
    <button
      type="button"
      class={`node node-${node.kind}${trouble === null ? '' : ' node-trouble'}${open ? ' node-open' : ''}`}
      style={{ left: `${node.x}px`, top: `${node.y}px`, width: `${NODE_WIDTH}px`, height: `${NODE_HEIGHT}px` }}
      aria-expanded={open}
      title={trouble ?? node.details.map(([name, value]) => `${name}: ${value}`).join('\n')}
      onClick={onOpen}
    >
      <span class="node-title">
        <Icon name={node.kind} size={14} />
        <b>{node.title}</b>
      </span>
      <span class="node-line">{node.lines[0]}</span>
      <span class="node-figures">
        {rate === null ? null : <span>{count(rate)}/s</span>}
        {state === null ? null : (
          <span>
            {count(state.rows)} rows, {bytes(state.bytes)}
          </span>
        )}
        {lag === null || lag <= 0 ? null : <span>{count(lag)} behind</span>}
        {load === null ? null : <span>{load}</span>}
        {trouble === null ? null : <span class="bad">blocked</span>}
      </span>
      {busy === null && blocked === null ? null : (
        <span class="load" aria-hidden="true">
          <i class="heat-busy" style={{ width: `${Math.min(100, (busy ?? 0) * 100)}%` }} />
          <i class="heat-blocked" style={{ width: `${Math.min(100, (blocked ?? 0) * 100)}%` }} />
        </span>
      )}
    </button>
  );
}
