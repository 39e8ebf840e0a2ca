/**
 * Keys of fixed width (numbers, dates, times, booleans, structs of these such as windows) to dense ids, column by column:
 * neither bytes nor values of single rows are made. Each pass is one loop over one typed array: hash, find, compare.
 */
import { must } from '../../core/assert.ts';
import type { DataType } from '../../core/types.ts';
import type { Column, Float64Column, Int32Column, Int64Column, StructColumn } from '../column-batch.ts';
import { grownCapacity } from '../state/state-columns.ts';
import type { KeyTable } from './key-table.ts';

const MIN_SLOTS = 1024;
/** What an emptied table keeps for its next use. */
const KEPT_SLOTS_MAX = 1 << 18;
const NULL_BITS = 0x5bd1e995;

/** True where {@link FixedKeys} takes the keys. */
export function isFixedKey(type: DataType): boolean {
  switch (type.kind) {
    case 'string':
    case 'binary':
    case 'array':
    case 'map':
    case 'null':
      return false;
    case 'decimal':
      return type.precision <= 18;
    case 'struct':
      return type.fields.every((field) => isFixedKey(field.type));
    default:
      return true;
  }
}

/**
 * Invariant: a key has one id; `#slots` finds it by linear probing from its hash, at most half full. What a batch finds by
 * hash alone is compared value by value afterwards: two keys of one hash are told apart then.
 */
export class FixedKeys implements KeyTable {
  readonly #keys: readonly KeyPart[];
  /** An id + 1 a slot; 0 = free. */
  #slots = new Int32Array(MIN_SLOTS);
  /** By id. */
  #hashOf = new Int32Array(64);
  #size = 0;
  #hash = new Int32Array(0);
  #differs = new Uint8Array(0);

  /** `types`: all of them such that {@link isFixedKey}. */
  constructor(types: readonly DataType[]) {
    this.#keys = types.map(partOf);
  }

  get size(): number {
    return this.#size;
  }

  reset(): void {
    if (this.#slots.length > KEPT_SLOTS_MAX) this.#slots = new Int32Array(MIN_SLOTS);
    else this.#slots.fill(0);
    this.#size = 0;
  }

  assign(columns: readonly Column[], rows: Int32Array, count: number, ids: Int32Array): void {
    if (count > this.#hash.length) {
      this.#hash = new Int32Array(grownCapacity(this.#hash.length, count));
      this.#differs = new Uint8Array(this.#hash.length);
    }
    const hash = this.#hash;
    hash.fill(0, 0, count);
    for (const [index, key] of this.#keys.entries()) {
      key.bind(
        must(columns[index], () => `key ${index} is missing`),
        rows,
        count,
      );
      key.hash(rows, count, hash);
    }
    this.#find(rows, count, ids);
    let isSame = true;
    for (const key of this.#keys) isSame = key.compare(rows, count, ids, this.#differs) && isSame;
    if (!isSame) this.#tellApart(rows, count, ids);
  }

  columns(): Column[] {
    return this.#keys.map((key) => key.column(this.#size));
  }

  /** Gives every row the first id of its hash. */
  #find(rows: Int32Array, count: number, ids: Int32Array): void {
    const hash = this.#hash;
    let slots = this.#slots;
    let hashOf = this.#hashOf;
    let mask = slots.length - 1;
    for (let index = 0; index < count; index++) {
      const own = hash[index]!;
      let slot = own & mask;
      let id = slots[slot]! - 1;
      while (id >= 0 && hashOf[id] !== own) {
        slot = (slot + 1) & mask;
        id = slots[slot]! - 1;
      }
      if (id < 0) {
        id = this.#add(slot, own, rows[index]!);
        slots = this.#slots;
        hashOf = this.#hashOf;
        mask = slots.length - 1;
      }
      ids[index] = id;
    }
  }

  /** Finds the rows that have an id of another key of the same hash once more. */
  #tellApart(rows: Int32Array, count: number, ids: Int32Array): void {
    for (let index = 0; index < count; index++) {
      if (this.#differs[index] === 0) continue;
      this.#differs[index] = 0;
      const own = this.#hash[index]!;
      const row = rows[index]!;
      const mask = this.#slots.length - 1;
      let slot = own & mask;
      let id = this.#slots[slot]! - 1;
      while (id >= 0 && (this.#hashOf[id] !== own || !this.#keys.every((key) => key.isSame(id, row)))) {
        slot = (slot + 1) & mask;
        id = this.#slots[slot]! - 1;
      }
      ids[index] = id < 0 ? this.#add(slot, own, row) : id;
    }
  }

  #add(slot: number, hash: number, row: number): number {
    const id = this.#size++;
    if (id >= this.#hashOf.length) {
      const capacity = 2 * id;
      this.#hashOf = grown(this.#hashOf, new Int32Array(capacity));
      for (const key of this.#keys) key.grow(capacity);
    }
    this.#hashOf[id] = hash;
    for (const key of this.#keys) key.store(id, row);
    this.#slots[slot] = id + 1;
    if (2 * this.#size > this.#slots.length) this.#rehash();
    return id;
  }

  #rehash(): void {
    const slots = new Int32Array(2 * this.#slots.length);
    const mask = slots.length - 1;
    for (let id = 0; id < this.#size; id++) {
      let slot = this.#hashOf[id]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = id + 1;
    }
    this.#slots = slots;
  }
}

// ---- one column of the keys ---------------------------------------------------------------------------------------

/** Values of one key column, by id, and how those of a bound column compare to them. */
interface KeyPart {
  /** Says which column `rows[0 … count)` are rows of. */
  bind(column: Column, rows: Int32Array, count: number): void;
  /** Mixes the values of `rows[0 … count)` into their hashes. */
  hash(rows: Int32Array, count: number, hash: Int32Array): void;
  /** Sets `differs[i]` where row i's value is not the one of `ids[i]`; true when all are the same. */
  compare(rows: Int32Array, count: number, ids: Int32Array, differs: Uint8Array): boolean;
  isSame(id: number, row: number): boolean;
  store(id: number, row: number): void;
  grow(capacity: number): void;
  /** The values of the ids below `count`; good until the table is used again. */
  column(count: number): Column;
}

function partOf(type: DataType): KeyPart {
  switch (type.kind) {
    case 'float':
    case 'double':
    case 'timestamp':
    case 'interval':
      return new DoublePart();
    case 'bigint':
    case 'decimal':
      return new LongPart();
    case 'struct':
      return new StructPart(type.fields.map((field) => partOf(field.type)));
    default:
      return new IntPart();
  }
}

class IntPart implements KeyPart {
  #column!: Int32Column;
  #values = new Int32Array(64);
  #valid = new Uint8Array(64);

  bind(column: Column): void {
    this.#column = column as Int32Column;
  }

  hash(rows: Int32Array, count: number, hash: Int32Array): void {
    const { values, valid } = this.#column;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      hash[index] = mix(hash[index]!, valid[row] === 0 ? NULL_BITS : values[row]!);
    }
  }

  compare(rows: Int32Array, count: number, ids: Int32Array, differs: Uint8Array): boolean {
    const { values, valid } = this.#column;
    const known = this.#values;
    const knownValid = this.#valid;
    let isSame = true;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const id = ids[index]!;
      if (knownValid[id] === valid[row] && (valid[row] === 0 || known[id] === values[row])) continue;
      differs[index] = 1;
      isSame = false;
    }
    return isSame;
  }

  isSame(id: number, row: number): boolean {
    const { values, valid } = this.#column;
    return this.#valid[id] === valid[row] && (valid[row] === 0 || this.#values[id] === values[row]);
  }

  store(id: number, row: number): void {
    this.#values[id] = this.#column.values[row]!;
    this.#valid[id] = this.#column.valid[row]!;
  }

  grow(capacity: number): void {
    this.#values = grown(this.#values, new Int32Array(capacity));
    this.#valid = grown(this.#valid, new Uint8Array(capacity));
  }

  column(count: number): Column {
    return { kind: 'i32', values: this.#values.subarray(0, count), valid: this.#valid.subarray(0, count) };
  }
}

const double = new Float64Array(1);
const words = new Int32Array(double.buffer);

/** Zeros are alike, and NaN is one value. */
class DoublePart implements KeyPart {
  #column!: Float64Column;
  #values = new Float64Array(64);
  #valid = new Uint8Array(64);

  bind(column: Column): void {
    this.#column = column as Float64Column;
  }

  hash(rows: Int32Array, count: number, hash: Int32Array): void {
    const { values, valid } = this.#column;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const value = values[row]!;
      if (valid[row] === 0) hash[index] = mix(hash[index]!, NULL_BITS);
      else {
        double[0] = value === 0 ? 0 : value !== value ? Number.NaN : value;
        hash[index] = mix(mix(hash[index]!, words[0]!), words[1]!);
      }
    }
  }

  compare(rows: Int32Array, count: number, ids: Int32Array, differs: Uint8Array): boolean {
    const { values, valid } = this.#column;
    const known = this.#values;
    const knownValid = this.#valid;
    let isSame = true;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const id = ids[index]!;
      if (knownValid[id] === valid[row] && (valid[row] === 0 || sameDouble(known[id]!, values[row]!))) continue;
      differs[index] = 1;
      isSame = false;
    }
    return isSame;
  }

  isSame(id: number, row: number): boolean {
    const { values, valid } = this.#column;
    return this.#valid[id] === valid[row] && (valid[row] === 0 || sameDouble(this.#values[id]!, values[row]!));
  }

  store(id: number, row: number): void {
    const value = this.#column.values[row]!;
    this.#values[id] = value === 0 ? 0 : value;
    this.#valid[id] = this.#column.valid[row]!;
  }

  grow(capacity: number): void {
    this.#values = grown(this.#values, new Float64Array(capacity));
    this.#valid = grown(this.#valid, new Uint8Array(capacity));
  }

  column(count: number): Column {
    return { kind: 'f64', values: this.#values.subarray(0, count), valid: this.#valid.subarray(0, count) };
  }
}

class LongPart implements KeyPart {
  #column!: Int64Column;
  #words = new Int32Array(128);
  #valid = new Uint8Array(64);

  bind(column: Column): void {
    this.#column = column as Int64Column;
  }

  hash(rows: Int32Array, count: number, hash: Int32Array): void {
    const { words, valid } = this.#column;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      hash[index] =
        valid[row] === 0 ? mix(hash[index]!, NULL_BITS) : mix(mix(hash[index]!, words[2 * row]!), words[2 * row + 1]!);
    }
  }

  compare(rows: Int32Array, count: number, ids: Int32Array, differs: Uint8Array): boolean {
    let isSame = true;
    for (let index = 0; index < count; index++) {
      if (this.isSame(ids[index]!, rows[index]!)) continue;
      differs[index] = 1;
      isSame = false;
    }
    return isSame;
  }

  isSame(id: number, row: number): boolean {
    const { words, valid } = this.#column;
    if (this.#valid[id] !== valid[row]) return false;
    return (
      valid[row] === 0 || (this.#words[2 * id] === words[2 * row] && this.#words[2 * id + 1] === words[2 * row + 1])
    );
  }

  store(id: number, row: number): void {
    const { words, valid } = this.#column;
    this.#words[2 * id] = words[2 * row]!;
    this.#words[2 * id + 1] = words[2 * row + 1]!;
    this.#valid[id] = valid[row]!;
  }

  grow(capacity: number): void {
    this.#words = grown(this.#words, new Int32Array(2 * capacity));
    this.#valid = grown(this.#valid, new Uint8Array(capacity));
  }

  column(count: number): Column {
    const values = new BigInt64Array(this.#words.buffer, 0, count);
    return { kind: 'i64', values, words: this.#words.subarray(0, 2 * count), valid: this.#valid.subarray(0, count) };
  }
}

/** Of a struct that is NULL the fields are NULL too. */
class StructPart implements KeyPart {
  readonly #fields: readonly KeyPart[];
  #column!: StructColumn;
  #valid = new Uint8Array(64);

  constructor(fields: readonly KeyPart[]) {
    this.#fields = fields;
  }

  bind(column: Column, rows: Int32Array, count: number): void {
    this.#column = column as StructColumn;
    const { valid, fields } = this.#column;
    let hasNulls = false;
    for (let index = 0; index < count && !hasNulls; index++) hasNulls = valid[rows[index]!] === 0;
    for (const [index, part] of this.#fields.entries()) {
      const field = must(fields[index], () => `a struct lacks its field ${index}`);
      part.bind(hasNulls ? within(field, valid) : field, rows, count);
    }
  }

  hash(rows: Int32Array, count: number, hash: Int32Array): void {
    // Whether it is NULL goes in too: else structs of NULLs within each other would all have one hash.
    const { valid } = this.#column;
    for (let index = 0; index < count; index++) hash[index] = mix(hash[index]!, valid[rows[index]!]!);
    for (const field of this.#fields) field.hash(rows, count, hash);
  }

  compare(rows: Int32Array, count: number, ids: Int32Array, differs: Uint8Array): boolean {
    const { valid } = this.#column;
    const known = this.#valid;
    let isSame = true;
    for (let index = 0; index < count; index++) {
      if (known[ids[index]!] === valid[rows[index]!]) continue;
      differs[index] = 1;
      isSame = false;
    }
    for (const field of this.#fields) isSame = field.compare(rows, count, ids, differs) && isSame;
    return isSame;
  }

  isSame(id: number, row: number): boolean {
    return this.#valid[id] === this.#column.valid[row] && this.#fields.every((field) => field.isSame(id, row));
  }

  store(id: number, row: number): void {
    this.#valid[id] = this.#column.valid[row]!;
    for (const field of this.#fields) field.store(id, row);
  }

  grow(capacity: number): void {
    this.#valid = grown(this.#valid, new Uint8Array(capacity));
    for (const field of this.#fields) field.grow(capacity);
  }

  column(count: number): Column {
    return {
      kind: 'struct',
      valid: this.#valid.subarray(0, count),
      fields: this.#fields.map((field) => field.column(count)),
    };
  }
}

/** The column with NULL where its struct is. */
function within(field: Column, outer: Uint8Array): Column {
  if (field.kind !== 'i32' && field.kind !== 'f64' && field.kind !== 'i64' && field.kind !== 'struct')
    throw new TypeError(`a ${field.kind} column is no key of fixed width`);
  return { ...field, valid: field.valid.map((valid, row) => (outer[row] === 0 ? 0 : valid)) };
}

function sameDouble(a: number, b: number): boolean {
  return a === b || (a !== a && b !== b);
}

function mix(hash: number, bits: number): number {
  const mixed = Math.imul(hash ^ bits, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

function grown<T extends Int32Array | Uint8Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
