/** What a chart over the answer of a query shows: which columns, in which order. */
import { cell } from '../format.ts';
import type { QueryAnswer } from '../wire.ts';

/** In place of a column: one point each time that the query is asked, of its first row. No column is called that. */
export const ASKED = '@asked';
/** Columns drawn at once: as many as there are colours. */
export const VALUES_MAX = 6;
/** Places along the axis; of more rows the last ones are drawn. */
export const PLACES_MAX = 1000;

export interface ChartChoice {
  /** A column, or {@link ASKED}. */
  readonly across: string;
  /** Columns of numbers, in the order of the answer. */
  readonly values: readonly string[];
}

/** The first row of an answer. */
export interface Sample {
  /** ms since 1970. */
  readonly at: number;
  readonly row: readonly unknown[];
}

export interface Drawing {
  /** What the places along the axis are. */
  readonly across: 'time' | 'number' | 'text';
  /** Ascending: seconds since 1970, numbers, or 0, 1, 2 … */
  readonly at: readonly number[];
  /** With text: that of each place. */
  readonly texts: readonly string[];
  readonly lines: readonly { readonly label: string; readonly values: readonly (number | null)[] }[];
  /** Rows that are not drawn: too many, or nothing along the axis. */
  readonly left: number;
}

const numericTypes = /^(tinyint|smallint|int|bigint|varint|float|double|decimal|counter|long|short|byte|integer)/i;
const timeTypes = /^(timestamp|date$)/i;

export function isNumeric(type: string): boolean {
  return numericTypes.test(type);
}

/** A choice that the answer allows: what was wished, where it fits, else what most would choose. */
export function chosenOf(
  { columns, rows }: QueryAnswer,
  across: string | null,
  values: readonly string[] | null,
): ChartChoice {
  const known = across === ASKED || columns.some(({ name }) => name === across);
  const numeric = columns.filter(({ type }) => isNumeric(type)).map(({ name }) => name);
  const axis = known && across !== null ? across : axisOf(columns, rows.length);
  const wished = numeric.filter((name) => values?.includes(name) === true);
  const others = numeric.filter((name) => name !== axis);
  return { across: axis, values: (wished.length > 0 ? wished : others.slice(0, 1)).slice(0, VALUES_MAX) };
}

function axisOf(columns: QueryAnswer['columns'], rows: number): string {
  if (rows <= 1) return ASKED;
  const chosen = columns.find(({ type }) => timeTypes.test(type)) ?? columns.find(({ type }) => !isNumeric(type));
  return (chosen ?? columns[0])?.name ?? ASKED;
}

/** Rows in the order of the axis: times and numbers ascending, text as it came. `samples`: oldest first. */
export function drawingOf(answer: QueryAnswer, choice: ChartChoice, samples: readonly Sample[]): Drawing {
  const { columns } = answer;
  const index = columns.findIndex(({ name }) => name === choice.across);
  const type = columns[index]?.type ?? '';
  const across = choice.across === ASKED || timeTypes.test(type) ? 'time' : isNumeric(type) ? 'number' : 'text';
  const placed =
    choice.across === ASKED
      ? samples.map(({ at, row }) => ({ place: at / 1000, row }))
      : answer.rows.map((row, at) => ({ place: placeOf(row[index], across, at), row }));
  const there = placed.filter((one): one is { place: number; row: readonly unknown[] } => one.place !== null);
  const drawn = there.sort((one, other) => one.place - other.place).slice(-PLACES_MAX);
  return {
    across,
    at: across === 'text' ? drawn.map((_, at) => at) : drawn.map(({ place }) => place),
    texts: across === 'text' ? drawn.map(({ row }) => cell(row[index])) : [],
    lines: choice.values.map((label) => {
      const of = columns.findIndex(({ name }) => name === label);
      return { label, values: drawn.map(({ row }) => numberOf(row[of])) };
    }),
    left: placed.length - drawn.length,
  };
}

function placeOf(value: unknown, across: Drawing['across'], at: number): number | null {
  if (across === 'text') return at;
  if (across === 'number') return numberOf(value);
  const ms = typeof value === 'number' ? value : typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isFinite(ms) ? ms / 1000 : null;
}

/** Numbers too large for JSON's come as text. */
function numberOf(value: unknown): number | null {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}
