/**
 * The JSON kernel's side of a {@link JsonScanner}: its tables of keys and fields as the kernel reads them, and what the
 * kernel leaves to the scanner, record by record or value by value. The layouts are those of
 * engine/kernels/assembly/json.ts.
 */
import { assert } from '../../core/assert.ts';
import type { KernelArena } from '../kernels/kernel-arena.ts';
import { KERNEL_SLACK_BYTES } from '../kernels/kernels.ts';
import {
  BUILD_BIG_DECIMAL,
  BUILD_BINARY,
  BUILD_DECIMAL,
  BUILD_LIST,
  BUILD_MAP,
  BUILD_STRING,
  BUILD_STRUCT,
} from './column-builder.ts';
import type { ColumnBuilder } from './column-builder.ts';
import type { JsonScanner, ScanOptions } from './json-scanner.ts';
import type { ObjectShape } from './object-shape.ts';

const SHAPE_BYTES = 48;
const KEY_BYTES = 32;
const FIELD_BYTES = 40;
const BUCKETS = 64;
const CONTEXT_BYTES = 64;
const DEFERRED_BYTES = 16;
/** Keys of no column that are remembered, so that they can be expected: per document, and per object within it. */
const LEARNED_KEYS = 128;
const LEARNED_NESTED_KEYS = 32;
/** Bytes the pattern of a learned key takes at most. */
const LEARNED_PATTERN_BYTES = 80;
/** Values per batch that may be left to the scanner, beside those of columns that always are. */
const DEFERRED_SPARE = 1024;

const DEFERRED_LENGTH = -2;
const DEFERRED_VALID = 2;

/** A field as the kernel's list of deferred values names it. */
interface PlacedField {
  readonly builder: ColumnBuilder;
  /** Where its table entry stands in the image. */
  readonly at: number;
  /** Level of the object that holds it. */
  readonly depth: number;
}

export class KernelJson {
  readonly #scanner: JsonScanner;
  readonly #options: ScanOptions;
  readonly #fields: PlacedField[] = [];
  readonly #image: Uint8Array;
  readonly #view: DataView;
  /** Values per row that the kernel cannot read: lists, maps, binary. */
  readonly #deferredPerRow: number;
  /** Bytes of {@link #image} in use while it is laid out. */
  #used = 0;

  constructor(scanner: JsonScanner, options: ScanOptions) {
    this.#scanner = scanner;
    this.#options = options;
    this.#image = new Uint8Array(imageBytes(scanner, scanner.root, true));
    this.#view = new DataView(this.#image.buffer);
    this.#used = SHAPE_BYTES;
    this.#layOut(scanner.root, 0, 1);
    assert(this.#used <= this.#image.byteLength, () => 'the key tables are larger than planned');
    this.#deferredPerRow = this.#fields.filter(({ builder }) => isDeferredKind(builder.kind)).length;
  }

  /** Lays out an object at `at`: its keys, their patterns, the buckets and the fields, then the objects within. */
  #layOut(shape: ObjectShape, at: number, depth: number): void {
    const keysMax = shape.keys.length + 1 + (depth === 1 ? LEARNED_KEYS : LEARNED_NESTED_KEYS);
    const keys = this.#take(keysMax * KEY_BYTES);
    const buckets = this.#take(BUCKETS * 4);
    const fields = this.#take(shape.fields.length * FIELD_BYTES);
    const patterns = this.#used;
    const encoder = new TextEncoder();
    let count = 1;
    shape.keys.forEach((key, index) => {
      const pattern = encoder.encode(`"${key}":`);
      // Keys that cannot be written without escapes are found by the scanner only.
      if (JSON.stringify(key) !== `"${key}"`) return;
      const entry = keys + count++ * KEY_BYTES;
      const bucket = buckets + 4 * bucketOf(pattern);
      const text = this.#take(Math.ceil(pattern.byteLength / 16) * 16);
      this.#image.set(pattern, text);
      this.#words(entry, [
        text,
        pattern.byteLength,
        fields + index * FIELD_BYTES,
        0,
        this.#view.getUint32(bucket, true),
        (1 << Math.min(pattern.byteLength, 16)) - 1,
      ]);
      // A first guess: the order of the schema.
      this.#view.setUint32(entry - KEY_BYTES + 12, entry, true);
      this.#view.setUint32(bucket, entry, true);
    });
    const patternBytes = this.#used - patterns;
    this.#take((keysMax - count) * LEARNED_PATTERN_BYTES);
    const patternBytesMax = this.#used - patterns;
    this.#words(at, [keys, count, keysMax, patterns, patternBytes, patternBytesMax, buckets, fields]);
    this.#words(at + 32, [shape.fields.length, shape.required ? 1 : 0]);
    shape.fields.forEach((builder, index) => this.#layOutField(builder, fields + index * FIELD_BYTES, depth));
  }

  #layOutField(builder: ColumnBuilder, at: number, depth: number): void {
    const nested = builder.kind === BUILD_STRUCT ? this.#take(SHAPE_BYTES) : 0;
    this.#words(at, [builder.kind, this.#fields.length, 0, 0, 0, nested, builder.scale, builder.required ? 1 : 0]);
    if (builder.kind === BUILD_DECIMAL) this.#view.setBigInt64(at + 32, 10n ** BigInt(builder.precision), true);
    this.#fields.push({ builder, at, depth });
    if (nested > 0) this.#layOut(this.#scanner.shapeOf(builder), nested, depth + 1);
  }

  #take(bytes: number): number {
    const at = this.#used;
    this.#used += Math.ceil(bytes / 16) * 16;
    return at;
  }

  #words(at: number, values: readonly number[]): void {
    values.forEach((value, index) => this.#view.setUint32(at + 4 * index, value, true));
  }

  /**
   * Reads the documents of `rows` rows, at `starts` with `lengths` (addresses of 32-bit integers), into the scanner's
   * columns, which begin anew. Sets the bytes at `status` of the rows that the scanner has to read itself to 1, of all
   * others to 0; gives back how many there are, or -1 when the kernel cannot be used and nothing has happened.
   */
  scan(arena: KernelArena, rows: number, starts: number, lengths: number, status: number): number {
    const imageAt = arena.allocate(this.#image.byteLength);
    const context = arena.allocate(CONTEXT_BYTES);
    const deferredBytes = (rows * this.#deferredPerRow + DEFERRED_SPARE) * DEFERRED_BYTES;
    const deferred = arena.allocate(deferredBytes);
    if (imageAt === 0 || context === 0 || deferred === 0) return -1;
    if (!this.#scanner.beginPlaced(rows, arena)) return -1;
    // Whatever a damaged document makes the kernel read ends in these zeros.
    arena.reserve(2 * KERNEL_SLACK_BYTES);
    const { kernels, base } = arena;
    if (kernels === null) return -1;
    arena.bytes.fill(0, arena.length, arena.length + KERNEL_SLACK_BYTES);
    arena.length += KERNEL_SLACK_BYTES;
    for (const { builder, at } of this.#fields) {
      const { values, valid, nonAscii } = builder.addresses;
      this.#view.setUint32(at + 8, values, true);
      this.#view.setUint32(at + 12, valid, true);
      this.#view.setUint32(at + 16, nonAscii, true);
    }
    kernels.bytes.set(this.#image, imageAt);
    const { view } = kernels;
    const { depthMax, timeZone } = this.#options;
    const { fixedOffsetUs } = timeZone;
    view.setUint32(context, imageAt, true);
    view.setUint32(context + 4, base, true);
    view.setUint32(context + 8, depthMax, true);
    view.setUint32(context + 12, fixedOffsetUs === null ? 0 : 1, true);
    view.setBigInt64(context + 16, BigInt(fixedOffsetUs ?? 0), true);
    view.setUint32(context + 24, base + arena.length, true);
    view.setUint32(context + 28, arena.limit, true);
    view.setUint32(context + 32, deferred, true);
    view.setUint32(context + 36, deferred + deferredBytes, true);
    view.setUint32(context + 40, 0, true);
    kernels.bytes.fill(0, status, status + rows);
    let hard = kernels.run.scanRows(context, rows, starts, lengths, status);
    arena.length = view.getUint32(context + 24, true) - base;
    if (view.getUint32(context + 40, true) !== 0)
      this.#image.set(kernels.bytes.subarray(imageAt, imageAt + this.#image.byteLength));
    const deferredEnd = view.getUint32(context + 32, true);
    if (deferredEnd > deferred)
      hard += this.#readDeferred(
        new Int32Array(kernels.buffer, deferred, (deferredEnd - deferred) >>> 2),
        kernels.bytes,
        status,
      );
    return hard;
  }

  /**
   * Reads the values that the kernel left alone, from the last to the first: of a key that came twice only the last
   * counts, and only when nothing came after it that the kernel read. The number of rows with one that is not good.
   */
  #readDeferred(deferred: Int32Array, bytes: Uint8Array, status: number): number {
    let hard = 0;
    for (let at = deferred.length - 4; at >= 0; at -= 4) {
      const { builder, depth } = this.#fields[deferred[at]!]!;
      const row = deferred[at + 1]!;
      if (!isDeferred(builder, row) || bytes[status + row] !== 0) continue;
      if (this.#scanner.readValue(builder, row, deferred[at + 2]!, deferred[at + 3]!, depth)) continue;
      bytes[status + row] = 1;
      hard++;
    }
    return hard;
  }
}

function isDeferredKind(kind: number): boolean {
  return kind === BUILD_LIST || kind === BUILD_MAP || kind === BUILD_BINARY || kind === BUILD_BIG_DECIMAL;
}

function isDeferred(builder: ColumnBuilder, row: number): boolean {
  const { kind } = builder;
  return kind === BUILD_STRING || kind === BUILD_BINARY || kind === BUILD_LIST || kind === BUILD_MAP
    ? builder.length[row] === DEFERRED_LENGTH
    : builder.valid[row] === DEFERRED_VALID;
}

/** The kernel's hash of a key, over its length with both quotes and its name. */
function bucketOf(pattern: Uint8Array): number {
  let hash = pattern.byteLength - 1;
  for (let at = 1; at < pattern.byteLength - 2; at++) hash = (Math.imul(hash, 31) + pattern[at]!) >>> 0;
  return ((hash ^ (hash >>> 8)) >>> 0) & (BUCKETS - 1);
}

/** More than enough bytes for the tables of an object and those within it. */
function imageBytes(scanner: JsonScanner, shape: ObjectShape, outermost: boolean): number {
  const learned = outermost ? LEARNED_KEYS : LEARNED_NESTED_KEYS;
  const names = shape.keys.reduce((sum, key) => sum + Buffer.byteLength(key) + 32, 0);
  const own =
    SHAPE_BYTES +
    (shape.keys.length + 1) * (KEY_BYTES + FIELD_BYTES + LEARNED_PATTERN_BYTES) +
    names +
    learned * (KEY_BYTES + LEARNED_PATTERN_BYTES) +
    BUCKETS * 4 +
    64;
  return shape.fields
    .filter((field) => field.kind === BUILD_STRUCT)
    .reduce((sum, field) => sum + imageBytes(scanner, scanner.shapeOf(field), false), own);
}
