/** Objects of the schema: which keys lead to which fields. */
import type { ColumnBuilder } from './column-builder.ts';
import { KeyLayout } from './key-layout.ts';
import { scanReasons } from './scan-reasons.ts';

const { NONE } = scanReasons;

/** An object of the schema: its fields, the keys they come under, and which of them failed in the current object. */
export interface ObjectShape {
  readonly fields: readonly ColumnBuilder[];
  readonly keys: readonly string[];
  readonly layout: KeyLayout;
  readonly failure: Int32Array;
  readonly failurePlace: string[];
  readonly required: boolean;
}

/** The shape of an object with these fields under these keys. */
export function objectShape(fields: readonly ColumnBuilder[], keys: readonly string[]): ObjectShape {
  return {
    fields,
    keys,
    layout: new KeyLayout(keys),
    failure: new Int32Array(fields.length).fill(NONE),
    failurePlace: fields.map((field) => field.place),
    required: fields.some((field) => field.required),
  };
}

/** The position behind `"key":` at `at` when that is the key of the id; else -1. */
export function expectedKey(layout: KeyLayout, id: number, view: DataView, at: number, end: number): number {
  const bytes = layout.patternBytes[id]!;
  const behind = at + bytes;
  if (bytes === 0 || behind + 3 > end) return -1;
  let word = layout.patternStart[id]!;
  let from = at;
  for (; from + 4 <= behind; from += 4) if (view.getInt32(from, true) !== layout.pattern[word++]!) return -1;
  const rest = behind - from;
  if (rest > 0 && (view.getInt32(from, true) ^ layout.pattern[word]!) << (32 - rest * 8) !== 0) return -1;
  return behind;
}
