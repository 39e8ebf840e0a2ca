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

/** What a chart shows that is not of the last minutes; arrow keys go along it. */
export interface Axis {
  readonly kind: 'time' | 'number' | 'text';
  /** Bars stand side by side, whatever lies between their places. */
  readonly bars: boolean;
  /** The place with this index, in words. */
  readonly placeOf: (index: number) => string;
  /** A value along an axis of times or numbers. */
  readonly format: (value: number) => string;
}

/** Between words under the axis, px. */
const WORD_SPACE = 90;
const WORD_LENGTH = 13;

export function Chart({
  title,
  at,
  lines,
  format,
  height = 150,
  axis,
}: {
  readonly title: string;
  /** Seconds since 1970, or what the axis says; another array = other data. */
  readonly at: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  readonly height?: number;
  readonly axis?: Axis;
}): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const painted = useStore(paint);
  const heard = useStore(heardAt);
  const bars = axis?.bars === true;
  const worded = bars || axis?.kind === 'text';
  // Bars of one place stand together, with a gap of one bar to those of the next.
  const slots = bars && lines.length > 1 ? lines.length + 1 : 1;
  // What is drawn is made once; what it says comes from the newest data.
  const said = useRef({ placeOf: clockOf, format: clockOf });
  said.current = {
    placeOf: axis?.placeOf ?? ((index) => clockOf(at[index] ?? 0)),
    format: axis?.format ?? clockOf,
  };

  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const ink = colour('soft');
    const grid = { stroke: colour('line'), width: 1 };
    const common = { stroke: ink, grid, ticks: { show: false }, font: '11px system-ui, sans-serif' };
    const wordAt = (place: number): string => {
      const word = said.current.placeOf(Math.floor(place / slots));
      return word.length > WORD_LENGTH ? `${word.slice(0, WORD_LENGTH - 1)}…` : word;
    };
    const paths = uPlot.paths.bars?.({ size: [0.85, 60] });
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: {
          ...(axis === undefined ? { sync: { key: 'weir' } } : {}),
          points: { size: 7 },
          drag: { x: false, y: false },
          y: false,
        },
        scales: {
          x: {
            time: axis === undefined || (axis.kind === 'time' && !worded),
            ...(worded ? { range: (_, min, max) => [min - 0.6, max + 0.6] } : {}),
          },
          y: { range: (_, min, max) => [Math.min(0, min * 1.12), max > 0 ? max * 1.12 : min < 0 ? 0 : 1] },
        },
        axes: [
          worded
            ? {
                ...common,
                grid: { show: false },
                size: 26,
                splits: ({ width, data: [places] }) => centres(places.length, slots, width / WORD_SPACE),
                values: (_, splits) => splits.map(wordAt),
              }
            : { ...common, space: 70, size: 26, values: (_, splits) => splits.map((at) => said.current.format(at)) },
          {
            ...common,
            // As wide as what stands there.
            size: (_, words) => Math.max(30, 14 + 6.6 * Math.max(0, ...(words ?? []).map(({ length }) => length))),
            space: 34,
            values: (_, splits) => splits.map(format),
          },
        ],
        series: [
          {},
          ...lines.map((line) => {
            const stroke = colour(line.colour);
            return {
              label: line.label,
              stroke,
              width: bars ? 0 : 1.75,
              spanGaps: false,
              // One point alone is no line.
              points: {
                show: ({ data }: uPlot) => axis !== undefined && !bars && data[0].length < 40,
                size: 5,
                fill: stroke,
              },
              ...(line.filled === true ? { fill: `${stroke}22` } : {}),
              ...(bars && paths !== undefined ? { fill: stroke, paths } : {}),
            } satisfies uPlot.Series;
          }),
        ],
        hooks: { setCursor: [({ cursor: { idx } }) => setCursor(idx == null ? null : Math.floor(idx / slots))] },
      },
      dataOf(at, lines, worded, slots),
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
  }, [painted, lines.length, height, axis?.kind, bars]);

  useEffect(() => plot.current?.setData(dataOf(at, lines, worded, slots)), [heard, at.length, at]);

  const last = at.length - 1;
  const index = Math.min(cursor ?? last, last);
  const shown = (line: Line): string => {
    const value = line.values[index];
    return value === null || value === undefined ? '–' : format(value);
  };
  const summary = lines.map((line) => `${line.label} ${shown(line)}`).join(', ');
  const where = said.current.placeOf(index);
  const step = (event: KeyboardEvent): void => {
    const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: last }[event.key];
    const made = plot.current;
    if (to === undefined || made === null) return;
    event.preventDefault();
    const at = made.data[0][Math.max(0, Math.min(last, to)) * slots] ?? 0;
    made.setCursor({ left: made.valToPos(at, 'x'), top: 1 });
  };
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
          {(cursor === null && axis === undefined) || at[index] === undefined ? null : (
            <span class="soft">{where}</span>
          )}
        </span>
      </figcaption>
      <div
        ref={box}
        style={{ height: `${height}px` }}
        {...(axis === undefined
          ? { role: 'img', 'aria-label': `${title} over the last minutes, now: ${summary}` }
          : {
              role: 'slider',
              tabIndex: 0,
              'aria-label': title,
              'aria-valuemin': 0,
              'aria-valuemax': Math.max(0, last),
              'aria-valuenow': Math.max(0, index),
              'aria-valuetext': `${where}: ${summary}`,
              onKeyDown: step,
            })}
      />
    </figure>
  );
}

/** As uPlot takes them. `slots`: places drawn for each of `at`. */
function dataOf(at: readonly number[], lines: readonly Line[], worded: boolean, slots: number): uPlot.AlignedData {
  if (!worded) return [[...at], ...lines.map(({ values }) => [...values])];
  const places = Array.from({ length: at.length * slots }, (_, place) => place);
  const of = ({ values }: Line, line: number): (number | null)[] =>
    places.map((place) => (slots === 1 || place % slots === line ? (values[Math.floor(place / slots)] ?? null) : null));
  return [places, ...lines.map(of)];
}

/** Where words stand: in the middle of each place's bars, at most so many. */
function centres(places: number, slots: number, most: number): number[] {
  const count = places / slots;
  const step = Math.max(1, Math.ceil(count / Math.max(1, most)));
  return Array.from({ length: Math.ceil(count / step) }, (_, at) => at * step * slots + Math.max(0, slots - 2) / 2);
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
