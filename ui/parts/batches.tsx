/** Batches over time: where their time went, and which partition they waited for. */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { count, duration, plural } from '../format.ts';
import { useStore } from '../store.ts';
import { colour, paint } from '../theme.ts';
import type { BatchProgress } from '../wire.ts';

const phaseColours = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6'];

function phasesOf(batches: readonly BatchProgress[]): string[] {
  const names = new Set<string>();
  for (const { durationMs } of batches)
    for (const name of Object.keys(durationMs)) if (name !== 'triggerExecution') names.add(name);
  return [...names];
}

const CHART_HEIGHT = 170;

/** One bar per batch, its phases on top of each other; of batches without phases, how many records they had. */
export function PhaseChart({
  batches,
  selected,
  onSelect,
}: {
  readonly batches: readonly BatchProgress[];
  readonly selected: number | null;
  readonly onSelect: (batchId: number) => void;
}): JSX.Element {
  const known = phasesOf(batches);
  const timed = known.length > 0;
  const phases = timed ? known : ['records'];
  const valueOf = (batch: BatchProgress, phase: string): number =>
    timed ? (batch.durationMs[phase] ?? 0) : batch.numInputRows;
  const total = (batch: BatchProgress): number => phases.reduce((sum, phase) => sum + valueOf(batch, phase), 0);
  const words = timed ? duration : count;
  const max = Math.max(1, ...batches.map(total));
  const width = 100 / Math.max(30, batches.length);
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{timed ? 'Where the time of a batch goes' : 'Records of each batch'}</span>
        <span class="legend">
          {phases.map((phase, index) => (
            <span key={phase}>
              <i class={`swatch bg-${phaseColours[index % 6]}`} />
              {phase}
            </span>
          ))}
          <span class="soft">tallest {words(max)}</span>
        </span>
      </figcaption>
      <svg
        class="phases"
        viewBox={`0 0 100 ${CHART_HEIGHT}`}
        preserveAspectRatio="none"
        height={CHART_HEIGHT}
        role="img"
        aria-label={`The last ${batches.length} batches, ${timed ? 'durations by phase' : 'records of each'}; the greatest ${words(max)}`}
      >
        {batches.map((batch, index) => {
          let y = CHART_HEIGHT;
          return (
            <g
              key={batch.batchId}
              class={selected === batch.batchId ? 'bar bar-selected' : 'bar'}
              onClick={() => onSelect(batch.batchId)}
            >
              <rect class="bar-area" x={index * width} y={0} width={width} height={CHART_HEIGHT} />
              {phases.map((phase, at) => {
                const tall = (valueOf(batch, phase) / max) * (CHART_HEIGHT - 6);
                y -= tall;
                return (
                  <rect
                    key={phase}
                    class={`fill-solid-${phaseColours[at % 6]}`}
                    x={index * width + width * 0.12}
                    y={y}
                    width={width * 0.76}
                    height={tall}
                  />
                );
              })}
              <title>{`batch ${batch.batchId}: ${timed ? `${duration(total(batch))}, ` : ''}${plural(batch.numInputRows, 'record')}`}</title>
            </g>
          );
        })}
      </svg>
    </figure>
  );
}

export interface GridCell {
  readonly rows: number;
  readonly ms: number | null;
  readonly attempts: number;
  readonly trouble: boolean;
}

export interface GridColumn {
  /** `batch 12`, or a time. */
  readonly label: string;
  readonly cells: ReadonlyMap<string, GridCell>;
}

const ROW = 14;
const CELL = 11;

/** Batches × partitions, drawn on a canvas: two hundred partitions are no more work than two. */
export function BatchGrid({
  columns,
  rows,
  by,
}: {
  readonly columns: readonly GridColumn[];
  readonly rows: readonly string[];
  readonly by: 'ms' | 'rows';
}): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const painted = useStore(paint);
  const [hint, setHint] = useState<string | null>(null);
  const labelWidth = Math.min(180, Math.max(60, ...rows.map((row) => row.length * 6.4 + 10)));
  const width = labelWidth + Math.max(1, columns.length) * CELL;
  const height = Math.max(1, rows.length) * ROW;
  const valueOf = (cell: GridCell): number => (by === 'ms' ? (cell.ms ?? 0) : cell.rows);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext('2d');
    if (element === null || context === null || context === undefined) return;
    const scale = devicePixelRatio;
    element.width = width * scale;
    element.height = height * scale;
    context.scale(scale, scale);
    context.font = '11px ui-monospace, monospace';
    context.textBaseline = 'middle';
    const [ink, none, heat, bad] = ['soft', 'sunk', 'accent', 'error'].map(colour);
    let max = 1;
    for (const column of columns) for (const cell of column.cells.values()) max = Math.max(max, valueOf(cell));
    for (const [index, row] of rows.entries()) {
      const y = index * ROW;
      context.globalAlpha = 1;
      context.fillStyle = ink ?? '';
      context.fillText(row, 0, y + ROW / 2);
      for (const [at, column] of columns.entries()) {
        const cell = column.cells.get(row);
        const x = labelWidth + at * CELL;
        context.globalAlpha = 1;
        context.fillStyle = none ?? '';
        context.fillRect(x, y + 1, CELL - 1.5, ROW - 2.5);
        if (cell === undefined || (valueOf(cell) === 0 && !cell.trouble)) continue;
        context.fillStyle = (cell.trouble ? bad : heat) ?? '';
        context.globalAlpha = cell.trouble ? 1 : 0.18 + 0.82 * Math.sqrt(valueOf(cell) / max);
        context.fillRect(x, y + 1, CELL - 1.5, ROW - 2.5);
        if (cell.attempts > 1 || cell.trouble) {
          context.globalAlpha = 1;
          context.fillStyle = ink ?? '';
          context.fillRect(x + 4, y + 5, 2, 3);
        }
      }
    }
  }, [columns, rows, painted, width, height]);
  const point = (event: MouseEvent): void => {
    const column = columns[Math.floor((event.offsetX - labelWidth) / CELL)];
    const row = rows[Math.floor(event.offsetY / ROW)];
    const cell = row === undefined ? undefined : column?.cells.get(row);
    setHint(
      column === undefined || row === undefined
        ? null
        : `${column.label}, ${row}: ${cell === undefined ? 'nothing' : `${plural(cell.rows, 'record')}${cell.ms === null ? '' : `, ${duration(cell.ms)}`}${cell.attempts > 1 ? `, ${cell.attempts} attempts` : ''}${cell.trouble ? ', in trouble' : ''}`}`,
    );
  };
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">Batches × partitions</span>
        <span class="legend">
          <span>
            <i class="swatch bg-accent" />
            {by === 'ms' ? 'time' : 'records'}
          </span>
          <span>
            <i class="swatch bg-error" />
            in trouble
          </span>
          <span class="soft">{hint ?? `${plural(columns.length, 'column')}, ${plural(rows.length, 'partition')}`}</span>
        </span>
      </figcaption>
      <div class="grid-box" tabIndex={0} role="group" aria-label="Batches by partition">
        <canvas
          ref={canvas}
          role="img"
          aria-label={gridSummary(columns, rows)}
          style={{ width: `${width}px`, height: `${height}px` }}
          onMouseMove={point}
          onMouseLeave={() => setHint(null)}
        />
      </div>
    </figure>
  );
}

/** For who cannot see it: the partition with most records, and those in trouble. */
function gridSummary(columns: readonly GridColumn[], rows: readonly string[]): string {
  const sums = rows.map((row) => columns.reduce((sum, { cells }) => sum + (cells.get(row)?.rows ?? 0), 0));
  const most = Math.max(0, ...sums);
  const trouble = rows.filter((row) => columns.at(-1)?.cells.get(row)?.trouble === true);
  const top = rows[sums.indexOf(most)];
  return `${top === undefined ? 'No partitions' : `Most records: ${top}, ${count(most)}`}${trouble.length === 0 ? '' : `; in trouble: ${trouble.join(', ')}`}`;
}
