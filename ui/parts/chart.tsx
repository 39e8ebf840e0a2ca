/** Lines over time. Charts of one screen share the cursor. */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { heardAt } from '../live.ts';
import { useStore } from '../store.ts';
import { colour, paint } from '../theme.ts';

export interface Line {
  readonly label: string;
  /** Name of a colour of the style sheet. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
  readonly filled?: boolean;
}

export function Chart({
  title,
  at,
  lines,
  format,
  height = 150,
}: {
  readonly title: string;
  /** Seconds since 1970. */
  readonly at: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  readonly height?: number;
}): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const painted = useStore(paint);
  const heard = useStore(heardAt);

  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const ink = colour('soft');
    const grid = { stroke: colour('line'), width: 1 };
    const axis = { stroke: ink, grid, ticks: { show: false }, font: '11px system-ui, sans-serif' };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { sync: { key: 'weir' }, points: { size: 7 }, drag: { x: false, y: false }, y: false },
        scales: { y: { range: (_, _min, max) => [0, max > 0 ? max * 1.12 : 1] } },
        axes: [
          { ...axis, space: 70, size: 26, values: (_, splits) => splits.map(clockOf) },
          { ...axis, size: 58, space: 34, values: (_, splits) => splits.map(format) },
        ],
        series: [
          {},
          ...lines.map((line) => {
            const stroke = colour(line.colour);
            return {
              label: line.label,
              stroke,
              width: 1.75,
              spanGaps: false,
              points: { show: false },
              ...(line.filled === true ? { fill: `${stroke}22` } : {}),
            };
          }),
        ],
        hooks: { setCursor: [({ cursor: { idx } }) => setCursor(idx ?? null)] },
      },
      dataOf(at, lines),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [painted, lines.length, height]);

  useEffect(() => plot.current?.setData(dataOf(at, lines)), [heard, at.length]);

  const index = cursor ?? at.length - 1;
  const shown = (line: Line): string => {
    const value = line.values[index];
    return value === null || value === undefined ? '–' : format(value);
  };
  const summary = lines.map((line) => `${line.label} ${shown(line)}`).join(', ');
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        <span class="legend">
          {lines.map((line) => (
            <span key={line.label}>
              <i class={`swatch bg-${line.colour}`} />
              {line.label} <b>{shown(line)}</b>
            </span>
          ))}
          {cursor === null || at[index] === undefined ? null : <span class="soft">{clockOf(at[index])}</span>}
        </span>
      </figcaption>
      <div
        ref={box}
        role="img"
        aria-label={`${title} over the last minutes, now: ${summary}`}
        style={{ height: `${height}px` }}
      />
    </figure>
  );
}

function dataOf(at: readonly number[], lines: readonly Line[]): uPlot.AlignedData {
  return [[...at], ...lines.map(({ values }) => [...values])];
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

function clockOf(seconds: number): string {
  return clock.format(seconds * 1000);
}

/** The shape of the last minutes in a cell. */
export function Spark({
  values,
  label,
  width = 96,
  height = 22,
  tone = 'c1',
}: {
  readonly values: readonly (number | null)[];
  readonly label: string;
  readonly width?: number;
  readonly height?: number;
  readonly tone?: string;
}): JSX.Element {
  const step = Math.max(1, Math.ceil(values.length / width));
  const points: number[] = [];
  for (let at = values.length % step; at < values.length; at += step) {
    let most = 0;
    for (const value of values.slice(at, at + step)) most = Math.max(most, value ?? 0);
    points.push(most);
  }
  const max = Math.max(1e-9, ...points);
  const x = (index: number): number => (points.length < 2 ? width : (index / (points.length - 1)) * width);
  const y = (value: number): number => height - 1.5 - (value / max) * (height - 3);
  const line = points.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
  return (
    <svg
      class="spark"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={label}
      preserveAspectRatio="none"
    >
      {points.length < 2 ? null : (
        <>
          <polygon class={`fill-${tone}`} points={`0,${height} ${line} ${width},${height}`} />
          <polyline class={`line-${tone}`} points={line} />
        </>
      )}
    </svg>
  );
}
