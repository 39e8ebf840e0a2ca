import { must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import type { StatePlan } from '../plan/epoch-plan.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { putByte, putF64, putVarint } from '../state/bytes-out.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import { KeyEncoder } from '../state/key-encoder.ts';
import { ExpiryQueue } from './expiry-queue.ts';
import { checkFormat } from './group-format.ts';
import { ListedGroupStates } from './group-states.ts';
import { PickedRows } from './picked-rows.ts';
import type { StateInput, StateOperator, StateOutput } from './state-operator.ts';

type DedupPlan = Extract<StatePlan, { kind: 'dedup' }>;

const FORMAT = 1;

/**
 * The first row of each key, in the order in which rows arrive. State: the keys, in the order in which they came. A key
 * with event time in it is forgotten when that time (a window's end) is at or below the watermark: later rows of it are
 * late. Within the watermark, a key is forgotten when its first row's time plus the delay is; a row without a time is
 * remembered until the watermark moves. Other keys stay for ever. Forgetting comes after the epoch's rows. (Spark:
 * StreamingDeduplicateExec and StreamingDeduplicateWithinWatermarkExec.)
 */
export class Dedup extends ListedGroupStates implements StateOperator {
  readonly output: Schema;
  readonly #plan: DedupPlan;
  readonly #encoder: KeyEncoder;
  readonly #key = new ByteBuffer();
  readonly #keys = new KeyDictionary();
  readonly #expiry: ExpiryQueue | null;
  #evicted = 0;

  constructor(plan: DedupPlan, inputs: readonly Schema[]) {
    super();
    this.#plan = plan;
    this.output = must(inputs[0], () => 'a dedup has no input');
    this.#encoder = new KeyEncoder(
      plan.keys.map((index) => must(this.output[index], () => `dedup key ${index} is no column`).type),
    );
    this.#expiry = plan.eventTime === null && plan.withinWatermark === null ? null : new ExpiryQueue();
  }

  fold(inputs: readonly StateInput[], env: EpochEnv): StateOutput {
    const picked = new PickedRows(this.output);
    for (const input of inputs) this.#add(input, picked);
    this.#evict(env.evictUs - this.#plan.watermarkLagUs);
    return { batch: picked.batch(), groups: picked.groups(), changes: null };
  }

  #add(input: StateInput, picked: PickedRows): void {
    const { batch, groups } = input;
    this.#encoder.bind(
      this.#plan.keys.map((index) => must(batch.columns[index], () => `dedup key ${index} is missing`)),
    );
    const expiryOf = this.#expiryOf(batch.columns);
    const key = this.#key;
    for (let row = 0; row < batch.rowCount; row++) {
      key.clear();
      this.#encoder.encode(row, key);
      const known = this.#keys.size;
      const id = this.#keys.add(key.bytes, 0, key.length);
      if (this.#keys.size === known) continue;
      const group = groups[row] as number;
      this.byGroup.add(group, id);
      this.changed.add(group);
      const time = expiryOf === null ? Number.NaN : expiryOf(row);
      if (!Number.isNaN(time)) this.#expiry?.add(id, time);
      picked.add(input, row);
    }
  }

  /** When a row's key may be forgotten, µs; NaN = never. null = no key ever. */
  #expiryOf(columns: readonly Column[]): ((row: number) => number) | null {
    const { eventTime, withinWatermark } = this.#plan;
    const place = withinWatermark ?? eventTime;
    if (place === null) return null;
    const column = must(columns[place.column], () => `event time ${place.column} is missing`);
    const time = column.kind === 'struct' ? column.fields[1] : column;
    if (time?.kind !== 'f64') throw new TypeError(`event time is a ${time?.kind} column`);
    const { values, valid } = time;
    const { delayUs, missing } =
      withinWatermark === null ? { delayUs: 0, missing: Number.NaN } : { ...withinWatermark, missing: -Infinity };
    return (row) => (valid[row] === 0 ? missing : (values[row] as number) + delayUs);
  }

  #evict(watermark: number): void {
    this.#evicted = 0;
    if (this.#expiry === null || watermark === -Infinity) return;
    for (let id = this.#expiry.take(watermark, true); id >= 0; id = this.#expiry.take(watermark, true)) {
      this.changed.add(this.byGroup.groupOf(id));
      this.byGroup.remove(id);
      this.#keys.remove(id);
      this.#evicted++;
    }
  }

  /** Format, then for each key in order its length and bytes and, where keys are forgotten, its time (NaN = never). */
  encodeGroup(group: number): Uint8Array | null {
    if (this.byGroup.sizeOf(group) === 0) return null;
    const out = new ByteBuffer();
    putByte(out, FORMAT);
    const { data, start, length } = this.#keys;
    for (let id = this.byGroup.first(group); id >= 0; id = this.byGroup.next(id)) {
      const from = start[id] as number;
      const size = length[id] as number;
      putVarint(out, size);
      out.append(data, from, from + size);
      if (this.#expiry !== null) putF64(out, this.#expiry.timeOf(id));
    }
    return out.copy();
  }

  restoreGroup(group: number, bytes: Uint8Array | null): void {
    this.dropGroup(group);
    if (bytes === null) return;
    const reader = new ByteReader().reset(bytes);
    checkFormat(reader, FORMAT);
    while (!reader.done) {
      const size = reader.varint();
      const from = reader.skip(size);
      const id = this.#keys.add(bytes, from, from + size);
      this.byGroup.add(group, id);
      if (this.#expiry === null) continue;
      const time = reader.f64();
      if (!Number.isNaN(time)) this.#expiry.add(id, time);
    }
  }

  dropGroup(group: number): void {
    for (const id of this.byGroup.idsOf(group)) {
      this.#expiry?.remove(id);
      this.byGroup.remove(id);
      this.#keys.remove(id);
    }
    this.changed.delete(group);
  }

  figures(): StateFigures {
    return {
      rows: this.#keys.size,
      bytes: this.#keys.bytes + this.byGroup.bytes + (this.#expiry?.bytes ?? 0),
      evicted: this.#evicted,
    };
  }
}
