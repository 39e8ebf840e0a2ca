/**
 * How the partial results of a key group's slots are stored: a section per aggregate in their order, with its length, so
 * that a changed job takes over the aggregates that it still has. Which those are is not seen from the sections, and told
 * to {@link restoreSections}: sum(a) and sum(b) are stored alike. The signature says how a section is to be read: by
 * function, types, DISTINCT and the presence of a FILTER.
 *
 *     varint sections, then each: text signature, u32 bytes, the buffers as columns with a row per slot
 */
import { WeirError } from '../../core/errors.ts';
import { formatType } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import type { AggregatePlan } from '../plan/epoch-plan.ts';
import { aggregateOf } from '../sql/aggregates.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { putByte, putCells, putText, putU32, putVarint } from '../state/bytes-out.ts';
import { decodeColumn, encodeColumn } from '../state/column-codec.ts';
import type { KeyDictionary } from '../state/key-dictionary.ts';
import type { KeyEncoder } from '../state/key-encoder.ts';
import { identity } from './aggregate-accumulator.ts';
import type { AggregateSet } from './aggregate-set.ts';
import { checkFormat } from './group-format.ts';

/** One group at a time is encoded. */
const groupBytes = new ByteBuffer();
/** What is kept of the memory of an unusually large group. */
const KEPT_BYTES_MAX = 1024 * 1024;

function signatureOf(plan: AggregatePlan): string {
  const distinct = plan.distinct ? 'distinct ' : '';
  const types = plan.inputTypes.map(formatType).join(', ');
  const filter = `${plan.filter < 0 ? '' : ' filter'}${plan.signed === true ? ' signed' : ''}`;
  return `${aggregateOf(plan).name}(${distinct}${types})${filter} -> ${formatType(plan.type)}`;
}

/**
 * The keys `ids` with what is held of them in the slots of the same numbers: format, types of the keys, number of keys,
 * each key with its length, then the aggregates' sections.
 */
export function encodeGroups(
  format: number,
  { types }: KeyEncoder,
  { data, start, length }: KeyDictionary,
  set: AggregateSet,
  ids: Int32Array,
): Uint8Array {
  const out = groupBytes;
  out.clear();
  putByte(out, format);
  putText(out, types.map(formatType).join(', '));
  putVarint(out, ids.length);
  putCells(out, data, start, length, ids);
  encodeSections(set, ids, out);
  const stored = out.copy();
  out.shrink(KEPT_BYTES_MAX);
  return stored;
}

/**
 * Fills slots from what {@link encodeGroups} stored. `begin` is given the keys, as columns and as the places of their
 * bytes, and gives an empty slot for each. `places` as in {@link restoreSections}.
 *
 * Throws: STATE_DAMAGED, STATE_INCOMPATIBLE.
 */
export function restoreGroups(
  format: number,
  encoder: KeyEncoder,
  set: AggregateSet,
  bytes: Uint8Array,
  places: readonly number[] | null,
  begin: (keys: readonly Column[], starts: Float64Array, lengths: Int32Array) => Int32Array,
): void {
  const reader = new ByteReader().reset(bytes);
  checkFormat(reader, format);
  checkKeyTypes(reader.text(), encoder.types.map(formatType).join(', '));
  const count = reader.varint();
  const starts = new Float64Array(count);
  const lengths = new Int32Array(count);
  for (let index = 0; index < count; index++) {
    lengths[index] = reader.varint();
    starts[index] = reader.skip(lengths[index]!);
  }
  const keys = encoder.decodeAll(bytes, starts, identity(count), count);
  restoreSections(set, begin(keys, starts, lengths), reader, places);
}

/** Appends the sections of `slots`. */
export function encodeSections(set: AggregateSet, slots: Int32Array, out: ByteBuffer): void {
  putVarint(out, set.plans.length);
  const columns = set.buffers(slots, slots.length);
  let first = 0;
  for (const plan of set.plans) {
    const schema = aggregateOf(plan).bufferSchema(plan);
    putText(out, signatureOf(plan));
    putU32(out, 0);
    const begin = out.length;
    for (const { type } of schema) encodeColumn(columns[first++]!, type, slots.length, out);
    out.view.setUint32(begin - 4, out.length - begin, true);
  }
}

/**
 * Fills empty slots from stored sections. `places`: for each aggregate the number of its section, -1 = it stays empty;
 * null = as they are stored. Sections that nobody takes are passed over.
 *
 * Throws: STATE_DAMAGED; STATE_INCOMPATIBLE when a section is not one of its aggregate.
 */
export function restoreSections(
  set: AggregateSet,
  slots: Int32Array,
  reader: ByteReader,
  places: readonly number[] | null,
): void {
  const stored: { readonly signature: string; readonly start: number; readonly end: number }[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const signature = reader.text();
    const length = reader.u32();
    const start = reader.skip(length);
    stored.push({ signature, start, end: start + length });
  }
  if ((places ?? stored).length !== set.plans.length) throw otherAggregates(`${stored.length}`, `${set.plans.length}`);
  for (const [index, plan] of set.plans.entries()) {
    const place = places === null ? index : (places[index] ?? -1);
    if (place < 0) continue;
    const section = stored[place];
    const signature = signatureOf(plan);
    if (section?.signature !== signature) throw otherAggregates(section?.signature ?? 'nothing', signature);
    const own = new ByteReader().reset(reader.bytes, section.start, section.end);
    const schema = aggregateOf(plan).bufferSchema(plan);
    const columns = schema.map(({ type }) => decodeColumn(own, type, slots.length));
    if (!own.done) throw damaged(plan.name);
    set.mergeOne(index, columns, identity(slots.length), slots, slots.length);
  }
}

function otherAggregates(stored: string, own: string): WeirError {
  return new WeirError(
    'STATE_INCOMPATIBLE',
    `The stored state holds the aggregates ${stored} where the job has ${own}; start the job afresh or from a savepoint.`,
  );
}

function damaged(aggregate: string): WeirError {
  return new WeirError(
    'STATE_DAMAGED',
    `The stored state of the aggregate ${aggregate} holds more than its groups; restore an older snapshot or savepoint.`,
  );
}

/** Throws STATE_INCOMPATIBLE when stored keys are not of the job's types. */
export function checkKeyTypes(stored: string, own: string): void {
  if (stored === own) return;
  throw new WeirError(
    'STATE_INCOMPATIBLE',
    `The stored state groups by (${stored}) and the job by (${own}); start the job afresh or keep its GROUP BY.`,
  );
}
