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
import type { ByteBuffer } from '../byte-buffer.ts';
import type { AggregatePlan } from '../plan/epoch-plan.ts';
import { aggregateOf } from '../sql/aggregates.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { putText, putU32, putVarint } from '../state/bytes-out.ts';
import { decodeColumn, encodeColumn } from '../state/column-codec.ts';
import { identity } from './aggregate-accumulator.ts';
import type { AggregateSet } from './aggregate-set.ts';

function signatureOf(plan: AggregatePlan): string {
  const distinct = plan.distinct ? 'distinct ' : '';
  const types = plan.inputTypes.map(formatType).join(', ');
  const filter = `${plan.filter < 0 ? '' : ' filter'}${plan.signed === true ? ' signed' : ''}`;
  return `${aggregateOf(plan).name}(${distinct}${types})${filter} -> ${formatType(plan.type)}`;
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
