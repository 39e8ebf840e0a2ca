/** Functions over boxed arrays and maps. */
import type { DataType } from '../../../core/types.ts';
import type { BoxedMap, BoxedValue } from './boxed.ts';
import { compareBoxed } from './compare.ts';
import { raiseExpressionFailed } from './runtime.ts';
import { addMonthsToDate, addMonthsToTimestamp, DAY_US, toUtc } from './time.ts';
import type { TimeZone } from '../../scan/time-zone.ts';

export type BoxedArray = readonly BoxedValue[];

/** Longest array made from numbers alone: keeps a record from taking the process down. */
const ELEMENTS_MAX = 10_000_000;

/** A text that two values share when they are equal (NULL and NaN included, zeros alike). */
function identityOf(value: BoxedValue): string {
  if (value === null) return 'n';
  switch (typeof value) {
    case 'number':
      return `d${value === 0 ? 0 : value}`;
    case 'bigint':
      return `l${value}`;
    case 'boolean':
      return value ? 't' : 'f';
    case 'string':
      return `s${value.length}:${value}`;
    default:
      if (value instanceof Uint8Array) return `b${Buffer.from(value).toString('hex')}`;
      if (Array.isArray(value)) return `[${(value as BoxedArray).map(identityOf).join(',')}]`;
      return `{${(value as BoxedMap).keys.map(identityOf).join(',')}|${(value as BoxedMap).values.map(identityOf).join(',')}}`;
  }
}

/** Place of element number `index` (from 0) in a list of `length`; raises beyond it. */
export function indexFromZero(index: number, length: number): number {
  if (index < 0 || index >= length) return raiseExpressionFailed();
  return index;
}

/** Place of element number `index` (from 1, negative from the end); raises for 0 and beyond the list. */
export function indexFromOne(index: number, length: number): number {
  const place = index > 0 ? index - 1 : length + index;
  if (index === 0 || place < 0 || place >= length) return raiseExpressionFailed();
  return place;
}

/** As {@link indexFromZero}; -1 beyond the list. */
export function indexOrNone(index: number, length: number): number {
  return index < 0 || index >= length ? -1 : index;
}

/** As {@link indexFromOne}; -1 beyond the list. */
export function indexFromOneOrNone(index: number, length: number): number {
  if (index === 0) return raiseExpressionFailed();
  const place = index > 0 ? index - 1 : length + index;
  return place < 0 || place >= length ? -1 : place;
}

export function elementAtPlace(array: BoxedArray, place: number): BoxedValue {
  return place < 0 ? null : (array[place] ?? null);
}

export function mapGet(map: BoxedMap, key: BoxedValue): BoxedValue {
  const wanted = identityOf(key);
  // The last of equal keys is the one that counts.
  for (let index = map.keys.length - 1; index >= 0; index--) {
    if (identityOf(map.keys[index] ?? null) === wanted) return map.values[index] ?? null;
  }
  return null;
}

export function mapContainsKey(map: BoxedMap, key: BoxedValue): boolean {
  const wanted = identityOf(key);
  return map.keys.some((candidate) => identityOf(candidate) === wanted);
}

export function sizeOf(value: BoxedArray | BoxedMap): number {
  return Array.isArray(value) ? value.length : (value as BoxedMap).keys.length;
}

export function concatArrays(arrays: readonly BoxedArray[]): BoxedArray {
  return arrays.flat();
}

/** NULL when the value is not there but a NULL is. */
export function arrayContains(array: BoxedArray, value: BoxedValue): boolean | null {
  const wanted = identityOf(value);
  let unknown = false;
  for (const element of array) {
    if (element === null) unknown = true;
    else if (identityOf(element) === wanted) return true;
  }
  return unknown ? null : false;
}

export function arrayPosition(array: BoxedArray, value: BoxedValue): bigint {
  const wanted = identityOf(value);
  return BigInt(array.findIndex((element) => element !== null && identityOf(element) === wanted) + 1);
}

export function arrayDistinct(array: BoxedArray): BoxedArray {
  const seen = new Set<string>();
  return array.filter((element) => {
    const identity = identityOf(element);
    return !seen.has(identity) && seen.add(identity);
  });
}

export function arrayUnion(a: BoxedArray, b: BoxedArray): BoxedArray {
  return arrayDistinct([...a, ...b]);
}

export function arrayExcept(a: BoxedArray, b: BoxedArray): BoxedArray {
  const others = new Set(b.map(identityOf));
  return arrayDistinct(a).filter((element) => !others.has(identityOf(element)));
}

export function arrayIntersect(a: BoxedArray, b: BoxedArray): BoxedArray {
  const others = new Set(b.map(identityOf));
  return arrayDistinct(a).filter((element) => others.has(identityOf(element)));
}

export function arraysOverlap(a: BoxedArray, b: BoxedArray): boolean | null {
  const others = new Set(b.filter((element) => element !== null).map(identityOf));
  if (a.some((element) => element !== null && others.has(identityOf(element)))) return true;
  return a.length > 0 && b.length > 0 && (a.includes(null) || b.includes(null)) ? null : false;
}

export function arrayRemove(array: BoxedArray, value: BoxedValue): BoxedArray {
  const wanted = identityOf(value);
  return array.filter((element) => element === null || identityOf(element) !== wanted);
}

export function arrayCompact(array: BoxedArray): BoxedArray {
  return array.filter((element) => element !== null);
}

export function arrayRepeat(value: BoxedValue, count: number): BoxedArray {
  if (count > ELEMENTS_MAX) return raiseExpressionFailed();
  return Array.from({ length: Math.max(0, count) }, () => value);
}

export function arrayJoin(array: BoxedArray, separator: string, nulls: string | null): string {
  return array
    .flatMap((element) => (element === null ? (nulls === null ? [] : [nulls]) : [element as string]))
    .join(separator);
}

export function arraySlice(array: BoxedArray, start: number, length: number): BoxedArray {
  if (start === 0 || length < 0) return raiseExpressionFailed();
  const from = start > 0 ? start - 1 : array.length + start;
  return from < 0 || from >= array.length ? [] : array.slice(from, from + length);
}

export function flatten(arrays: readonly (BoxedArray | null)[]): BoxedArray | null {
  return arrays.includes(null) ? null : (arrays as readonly BoxedArray[]).flat();
}

/** Ascending: NULLs first; descending: NULLs last. */
export function sortArray(array: BoxedArray, ascending: boolean, type: DataType): BoxedArray {
  const element = type.kind === 'array' ? type.element : type;
  const order = (a: BoxedValue, b: BoxedValue): number => compareBoxed(a, b, element);
  return array.toSorted(ascending ? order : (a, b) => order(b, a));
}

/** array_sort: ascending, NULLs last. */
export function arraySort(array: BoxedArray, type: DataType): BoxedArray {
  const element = type.kind === 'array' ? type.element : type;
  return array.toSorted((a, b) =>
    a === null || b === null ? Number(a === null) - Number(b === null) : compareBoxed(a, b, element),
  );
}

/** array_sort with a function that gives a negative number, 0 or a positive one. */
export function arraySortBy(array: BoxedArray, compare: (a: BoxedValue, b: BoxedValue) => number | null): BoxedArray {
  return array.toSorted((a, b) => compare(a, b) ?? raiseExpressionFailed());
}

export function arrayExtreme(array: BoxedArray, sign: number, type: DataType): BoxedValue {
  const element = type.kind === 'array' ? type.element : type;
  let best: BoxedValue = null;
  for (const value of array) {
    if (value !== null && (best === null || compareBoxed(value, best, element) * sign > 0)) best = value;
  }
  return best;
}

/** Whole numbers from `start` to `stop`, both included. */
export function sequence(start: number | bigint, stop: number | bigint, step: number | bigint | null): BoxedArray {
  const from = BigInt(start);
  const to = BigInt(stop);
  const by = step === null ? (from <= to ? 1n : -1n) : BigInt(step);
  if (by === 0n ? from !== to : (to - from) * by < 0n) return raiseExpressionFailed();
  const count = by === 0n ? 1 : Number((to - from) / by) + 1;
  if (count > ELEMENTS_MAX) return raiseExpressionFailed();
  const isLong = typeof start === 'bigint';
  return Array.from({ length: count }, (_, index) => {
    const value = from + by * BigInt(index);
    return isLong ? value : Number(value);
  });
}

/** Dates from `start` to `stop` by months, or by days given in µs. */
export function dateSequence(start: number, stop: number, step: number, isMonths: boolean): BoxedArray {
  return collectSequence(start, stop, step, (count) =>
    isMonths ? addMonthsToDate(start, step * count) : start + (step / DAY_US) * count,
  );
}

/** Times from `start` to `stop` by months, or by µs; whole days by local time. */
export function timestampSequence(
  start: number,
  stop: number,
  step: number,
  isMonths: boolean,
  zone: TimeZone,
): BoxedArray {
  const local = start + zone.offsetAtUtc(start);
  return collectSequence(start, stop, step, (count) => {
    if (isMonths) return addMonthsToTimestamp(start, step * count, zone);
    return step % DAY_US === 0 ? toUtc(zone, local + step * count) : start + step * count;
  });
}

function collectSequence(start: number, stop: number, step: number, at: (count: number) => number): BoxedArray {
  if (step === 0 ? start !== stop : (stop - start) * step < 0) return raiseExpressionFailed();
  const values: number[] = [];
  for (let count = 0; ; count++) {
    const value = at(count);
    if (step > 0 ? value > stop : step < 0 ? value < stop : count > 0) return values;
    if (count >= ELEMENTS_MAX) return raiseExpressionFailed();
    values.push(value);
  }
}

/** Position from 1, or from -1 at the end; NULLs fill a gap. */
export function arrayInsert(array: BoxedArray, position: number, value: BoxedValue): BoxedArray {
  if (position === 0 || Math.abs(position) > ELEMENTS_MAX) return raiseExpressionFailed();
  const { length } = array;
  if (position > 0) {
    const gap = Math.max(0, position - 1 - length);
    return [...array.slice(0, position - 1), ...new Array<null>(gap).fill(null), value, ...array.slice(position - 1)];
  }
  const at = length + position + 1;
  return at >= 0
    ? [...array.slice(0, at), value, ...array.slice(at)]
    : [value, ...new Array<null>(-at).fill(null), ...array];
}

export function arraysZip(...arrays: readonly BoxedArray[]): BoxedArray {
  const length = Math.max(0, ...arrays.map((array) => array.length));
  return Array.from({ length }, (_, index) => arrays.map((array) => array[index] ?? null));
}

// ---- maps -------------------------------------------------------------------------------------------------------

/** Raises when a key is NULL or there twice. */
export function makeMap(keys: BoxedArray, values: BoxedArray): BoxedMap {
  if (keys.length !== values.length) return raiseExpressionFailed();
  const seen = new Set<string>();
  for (const key of keys) {
    const identity = identityOf(key);
    if (key === null || seen.has(identity)) return raiseExpressionFailed();
    seen.add(identity);
  }
  return { keys, values };
}

export function mapOf(...items: readonly BoxedValue[]): BoxedMap {
  return makeMap(
    items.filter((_, index) => index % 2 === 0),
    items.filter((_, index) => index % 2 === 1),
  );
}

export function mapFromEntries(entries: readonly (BoxedArray | null)[]): BoxedMap | null {
  if (entries.includes(null)) return null;
  const present = entries as readonly BoxedArray[];
  return makeMap(
    present.map((entry) => entry[0] ?? null),
    present.map((entry) => entry[1] ?? null),
  );
}

export function mapEntries(map: BoxedMap): BoxedArray {
  return map.keys.map((key, index) => [key, map.values[index] ?? null]);
}

export function mapConcat(...maps: readonly BoxedMap[]): BoxedMap {
  return makeMap(
    maps.flatMap((map) => map.keys),
    maps.flatMap((map) => map.values),
  );
}

export function strToMap(text: string, pairs: string, keyValue: string): BoxedMap {
  const keys: string[] = [];
  const values: (string | null)[] = [];
  for (const pair of pairs === '' ? [text] : text.split(pairs)) {
    const at = pair.indexOf(keyValue);
    keys.push(at < 0 ? pair : pair.slice(0, at));
    values.push(at < 0 ? null : pair.slice(at + keyValue.length));
  }
  return makeMap(keys, values);
}

// ---- higher-order functions -------------------------------------------------------------------------------------

type Lambda = (...args: readonly BoxedValue[]) => BoxedValue;

export function transform(array: BoxedArray, lambda: Lambda): BoxedArray {
  return array.map((element, index) => lambda(element, index));
}

export function filterArray(array: BoxedArray, lambda: Lambda): BoxedArray {
  return array.filter((element, index) => lambda(element, index) === true);
}

export function existsIn(array: BoxedArray, lambda: Lambda): boolean | null {
  let unknown = false;
  for (const element of array) {
    const outcome = lambda(element);
    if (outcome === true) return true;
    if (outcome === null) unknown = true;
  }
  return unknown ? null : false;
}

export function forallIn(array: BoxedArray, lambda: Lambda): boolean | null {
  let unknown = false;
  for (const element of array) {
    const outcome = lambda(element);
    if (outcome === false) return false;
    if (outcome === null) unknown = true;
  }
  return unknown ? null : true;
}

export function aggregateArray(array: BoxedArray, zero: BoxedValue, merge: Lambda, finish: Lambda): BoxedValue {
  let accumulator = zero;
  for (const element of array) accumulator = merge(accumulator, element);
  return finish(accumulator);
}

export function zipWith(a: BoxedArray, b: BoxedArray, lambda: Lambda): BoxedArray {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, index) => lambda(a[index] ?? null, b[index] ?? null));
}

/** The keys of the first map, then those that only the second has. */
export function mapZipWith(a: BoxedMap, b: BoxedMap, lambda: Lambda): BoxedMap {
  const keys = [...a.keys, ...b.keys.filter((key) => !mapContainsKey(a, key))];
  return { keys, values: keys.map((key) => lambda(key, mapGet(a, key), mapGet(b, key))) };
}

export function mapFilter(map: BoxedMap, lambda: Lambda): BoxedMap {
  const kept = map.keys.map((key, index) => lambda(key, map.values[index] ?? null) === true);
  return { keys: map.keys.filter((_, index) => kept[index]), values: map.values.filter((_, index) => kept[index]) };
}

export function transformValues(map: BoxedMap, lambda: Lambda): BoxedMap {
  return { keys: map.keys, values: map.keys.map((key, index) => lambda(key, map.values[index] ?? null)) };
}

export function transformKeys(map: BoxedMap, lambda: Lambda): BoxedMap {
  return makeMap(
    map.keys.map((key, index) => lambda(key, map.values[index] ?? null)),
    map.values,
  );
}
