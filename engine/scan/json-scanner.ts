/**
 * JSON documents straight into columns. Only the fields of the schema are kept, but every byte is checked: a document
 * is accepted exactly when `JSON.parse` accepts it, and a field has the value `JSON.parse` gives it (duplicate keys:
 * the last wins), but integers are exact. Strings stay ranges of the bytes they came in; the few with escapes are
 * written out as plain UTF-8 behind them.
 */
import { assert } from '../../core/assert.ts';
import type { DataType } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import type { KernelArena } from '../kernels/kernel-arena.ts';
import { BUILD_BOOLEAN, BUILD_LIST, BUILD_MAP, BUILD_STRING, BUILD_STRUCT, ColumnBuilder } from './column-builder.ts';
import { jsonBytes, stringFlags } from './json-bytes.ts';
import { JsonValues } from './json-values.ts';
import { BEFORE_FIRST_KEY, type KeyLayout } from './key-layout.ts';
import { asciiText } from './numbers.ts';
import { expectedKey, objectShape, type ObjectShape } from './object-shape.ts';
import { scanReasons } from './scan-reasons.ts';
import type { TimeZone } from './time-zone.ts';
import { unescapeJson } from './utf8.ts';

const { CLOSE_BRACE, CLOSE_BRACKET, COLON, COMMA, OPEN_BRACE, OPEN_BRACKET, QUOTE } = jsonBytes;
const { FLAG_ESCAPE } = stringFlags;
const { MISSING, NONE, NOT_JSON, TOO_DEEP } = scanReasons;

/** A column to fill: `path` is its key in the document. */
export interface ScanField {
  readonly name: string;
  readonly path: string;
  readonly type: DataType;
  readonly required: boolean;
}

/** How documents are read. */
export interface ScanOptions {
  /** Levels of nesting allowed; the document's own object is the first. */
  readonly depthMax: number;
  /** Zone of times written without one. */
  readonly timeZone: TimeZone;
}

/** Reads documents into columns; rows stay null where a document is not good. */
export class JsonScanner extends JsonValues {
  readonly #root: ObjectShape;
  readonly #shapes = new Map<ColumnBuilder, ObjectShape>();
  readonly #fields: readonly ColumnBuilder[];
  readonly #columns: readonly number[];
  /** Of the key last read: its id in the layout. */
  #keyId = 0;

  /** Throws: UNSUPPORTED for a type no record can hold. */
  constructor(fields: readonly ScanField[], options: ScanOptions, arena: ByteBuffer) {
    super(arena, options.depthMax, options.timeZone);
    // Two columns may read one key; they share one builder.
    const paths = [...new Set(fields.map((field) => field.path))];
    this.#fields = paths.map((path) => {
      const [first, ...others] = fields.filter((field) => field.path === path);
      assert(
        first !== undefined && others.every((other) => JSON.stringify(other.type) === JSON.stringify(first.type)),
        () => `two types for ${path}`,
      );
      const builder = new ColumnBuilder(
        first.type,
        first.name,
        first.required || others.some((other) => other.required),
      );
      this.#addShapes(builder, first.type);
      return builder;
    });
    this.#columns = fields.map((field) => paths.indexOf(field.path));
    this.#root = objectShape(this.#fields, paths);
  }

  #addShapes(builder: ColumnBuilder, type: DataType): void {
    if (type.kind === 'struct') {
      const names = type.fields.map((field) => field.name);
      this.#shapes.set(builder, objectShape(builder.children, names));
      type.fields.forEach((field, index) => this.#addShapes(builder.children[index]!, field.type));
    } else if (type.kind === 'array') {
      this.#addShapes(builder.children[0]!, type.element);
    } else if (type.kind === 'map') {
      assert(type.key.kind === 'string', () => `keys of a JSON object are STRING, not those of ${builder.place}`);
      this.#addShapes(builder.children[1]!, type.value);
    }
  }

  /** The document's own object. */
  get root(): ObjectShape {
    return this.#root;
  }

  /** The object of a struct of the schema. */
  shapeOf(struct: ColumnBuilder): ObjectShape {
    const shape = this.#shapes.get(struct);
    assert(shape !== undefined, () => `${struct.place} is no struct`);
    return shape;
  }

  /** Begins a batch of at most `rows` documents, which stand in the arena. */
  begin(rows: number): void {
    for (const field of this.#fields) field.begin(rows);
    this.refresh();
  }

  /** The same with columns in kernel memory, for the kernel; false when that has no room. */
  beginPlaced(rows: number, arena: KernelArena): boolean {
    return this.#fields.every((field) => field.beginPlaced(rows, arena));
  }

  /** The columns in the order of the fields, over `data`, the arena's bytes. Valid until the next {@link begin}. */
  columns(data: Uint8Array = this.arena.bytes): Column[] {
    const columns = this.#fields.map((field) => field.column(data));
    return this.#columns.map((index) => columns[index]!);
  }

  /** The field that the last failed {@link scan} was about; empty when it was the whole record. */
  get place(): string {
    return this.failurePlace;
  }

  /**
   * Reads the document `[start, end)` of the arena into `row`. -1 when it was good; else an index into
   * `deadLetterReasons`, the row is null again and may be used for the next document.
   */
  scan(start: number, end: number, row: number): number {
    this.failure = NONE;
    this.broken = NOT_JSON;
    let at = this.blanks(start, end);
    if (at < end && this.bytes[at] === OPEN_BRACE) {
      if (this.depthMax < 1) this.broken = TOO_DEEP;
      else {
        at = this.#object(this.#root, row, at + 1, end, 1);
        if (at >= 0 && this.blanks(at, end) === end) {
          if (this.failure === NONE) return NONE;
          this.setNull(row);
          return this.failure;
        }
      }
    }
    this.setNull(row);
    this.failurePlace = '';
    return this.broken;
  }

  /**
   * Reads the value `[start, end)` of the arena, which stands `depth` levels deep, into the field; false when it is not
   * good, and the record has to be scanned to know why.
   */
  readValue(field: ColumnBuilder, row: number, start: number, end: number, depth: number): boolean {
    this.refresh();
    this.failure = NONE;
    field.setNull(row);
    return this.#value(field, row, start, end, depth) === end && this.failure === NONE;
  }

  /** As {@link scan}, for a row that another has begun to fill. */
  rescan(start: number, end: number, row: number): number {
    this.refresh();
    this.setNull(row);
    return this.scan(start, end, row);
  }

  /** Moves what row `from` holds to row `to`. */
  moveRow(from: number, to: number): void {
    for (const field of this.#fields) field.moveRow(from, to);
  }

  setNull(row: number): void {
    for (const field of this.#fields) field.setNull(row);
  }

  /**
   * Reads an object from behind its brace into the fields of `shape`; the position behind it, or -1 when it is
   * malformed. A wrong value is kept as #failure, the first by the schema's order.
   */
  #object(shape: ObjectShape, row: number, at: number, end: number, depth: number): number {
    const { layout, fields } = shape;
    let bytes = this.bytes;
    let view = this.view;
    let failed = false;
    let key = BEFORE_FIRST_KEY;
    at = this.blanks(at, end);
    if (at < end && bytes[at] === CLOSE_BRACE) return this.#endOfObject(shape, row, at + 1, false);
    for (;;) {
      const guess = layout.successor[key]!;
      const behind = guess > 0 ? expectedKey(layout, guess, view, at, end) : -1;
      if (behind >= 0) {
        key = guess;
        at = behind;
      } else {
        at = this.#key(layout, at, end);
        if (at < 0) break;
        const found = this.#keyId;
        if (found > 0) layout.successor[key] = found;
        key = found > 0 ? found : BEFORE_FIRST_KEY;
        bytes = this.bytes;
        view = this.view;
      }
      if (at < end && bytes[at]! <= 0x20) at = this.blanks(at, end);
      const field = layout.fieldOf[key]!;
      // Most values are short strings without escapes: they are done here, without a call that cannot be inlined.
      const close = at < end && bytes[at] === QUOTE ? this.plainString(view, at + 1, end) : -1;
      if (close >= 0 && (field < 0 || (fields[field]!.kind === BUILD_STRING && this.flags === 0))) {
        if (field >= 0) {
          const column = fields[field]!;
          column.start[row] = at + 1;
          column.length[row] = close - at - 1;
          column.nonAscii[row] = 0;
          if (failed) shape.failure[field] = NONE;
        }
        at = close + 1;
      } else if (field < 0) {
        at = this.skip(at, end, depth);
      } else {
        if (close >= 0) {
          this.fromString(fields[field]!, row, at + 1, close, this.flags);
          at = close + 1;
        } else {
          at = this.#value(fields[field]!, row, at, end, depth);
        }
        bytes = this.bytes;
        view = this.view;
        if (this.failure !== NONE) {
          shape.failure[field] = this.failure;
          shape.failurePlace[field] = this.failurePlace;
          this.failure = NONE;
          failed = true;
        } else if (failed) {
          shape.failure[field] = NONE;
        }
      }
      if (at < 0) break;
      if (at < end && bytes[at] !== COMMA) {
        at = this.blanks(at, end);
        if (at < end && bytes[at] === CLOSE_BRACE) return this.#endOfObject(shape, row, at + 1, failed);
      }
      if (at >= end || bytes[at] !== COMMA) break;
      at++;
      if (at < end && bytes[at]! <= 0x20) at = this.blanks(at, end);
    }
    return this.#endOfObject(shape, row, -1, failed);
  }

  /** Settles what failed in an object and what is missing; gives back `at`. */
  #endOfObject(shape: ObjectShape, row: number, at: number, failed: boolean): number {
    if (failed) this.#takeFailure(shape);
    if (shape.required && at >= 0 && this.failure === NONE) this.#requireFields(shape, row);
    return at;
  }

  /** The first failed field of the object that ended; forgets all. */
  #takeFailure(shape: ObjectShape): void {
    for (let field = shape.failure.length - 1; field >= 0; field--) {
      if (shape.failure[field] === NONE) continue;
      this.failure = shape.failure[field]!;
      this.failurePlace = shape.failurePlace[field]!;
      shape.failure[field] = NONE;
    }
  }

  #requireFields(shape: ObjectShape, row: number): void {
    for (const field of shape.fields) {
      if (!field.required || !field.isNull(row)) continue;
      this.failure = MISSING;
      this.failurePlace = field.place;
      return;
    }
  }

  /**
   * Reads a key that was not the expected one, and its colon; the position behind that, the key's id in #keyId
   * (-1 = of no interest).
   */
  #key(layout: KeyLayout, at: number, end: number): number {
    if (at >= end || this.bytes[at] !== QUOTE) return -1;
    const start = at + 1;
    const close = this.string(start, end);
    if (close < 0) return -1;
    if ((this.flags & FLAG_ESCAPE) === 0) {
      this.#keyId = layout.find(this.bytes, start, close, true);
    } else {
      const mark = this.arena.length;
      unescapeJson(this.arena, start, close);
      this.refresh();
      this.#keyId = layout.find(this.bytes, mark, this.arena.length, false);
      this.arena.length = mark;
    }
    const colon = this.blanks(close + 1, end);
    return colon < end && this.bytes[colon] === COLON ? colon + 1 : -1;
  }

  /** Reads the value at `at` into the field; the position behind it, -1 when it is malformed or too deep. */
  #value(field: ColumnBuilder, row: number, at: number, end: number, depth: number): number {
    if (at >= end) return -1;
    const byte = this.bytes[at]!;
    switch (byte) {
      case QUOTE: {
        const close = this.string(at + 1, end);
        if (close < 0) return -1;
        const flags = this.flags;
        if (field.kind === BUILD_STRING && flags === 0) {
          field.start[row] = at + 1;
          field.length[row] = close - at - 1;
          field.nonAscii[row] = 0;
        } else {
          this.fromString(field, row, at + 1, close, flags);
        }
        return close + 1;
      }
      case OPEN_BRACE:
        if (field.kind === BUILD_STRUCT) return this.#struct(field, row, at, end, depth + 1);
        if (field.kind === BUILD_MAP) return this.#map(field, row, at, end, depth + 1);
        return this.other(field, row, at, this.skip(at, end, depth));
      case OPEN_BRACKET:
        if (field.kind === BUILD_LIST) return this.#list(field, row, at, end, depth + 1);
        return this.other(field, row, at, this.skip(at, end, depth));
      case 0x74:
      case 0x66: {
        const behind = this.literal(at, end);
        if (field.kind !== BUILD_BOOLEAN) return this.other(field, row, at, behind);
        field.i32[row] = byte === 0x74 ? 1 : 0;
        field.valid[row] = 1;
        return behind;
      }
      case 0x6e:
        field.setNull(row);
        return this.literal(at, end);
      default: {
        const behind = this.number(at, end);
        if (behind < 0) return -1;
        this.fromNumber(field, row, at, behind);
        return behind;
      }
    }
  }

  #struct(field: ColumnBuilder, row: number, at: number, end: number, depth: number): number {
    if (depth > this.depthMax) {
      this.broken = TOO_DEEP;
      return -1;
    }
    field.setNull(row);
    const behind = this.#object(this.#shapes.get(field)!, row, at + 1, end, depth);
    if (behind >= 0 && this.failure === NONE) field.valid[row] = 1;
    return behind;
  }

  #list(field: ColumnBuilder, row: number, at: number, end: number, depth: number): number {
    if (depth > this.depthMax) {
      this.broken = TOO_DEEP;
      return -1;
    }
    const element = field.children[0]!;
    const start = element.count;
    let count = 0;
    at = this.blanks(at + 1, end);
    if (at < end && this.bytes[at] === CLOSE_BRACKET) {
      at++;
    } else {
      for (;;) {
        const elementRow = element.append();
        count++;
        at = this.#value(element, elementRow, at, end, depth);
        if (at < 0) return -1;
        if (element.required && this.failure === NONE && element.isNull(elementRow))
          this.fail(element, elementRow, MISSING);
        at = this.blanks(at, end);
        if (at >= end) return -1;
        const byte = this.bytes[at++];
        if (byte === CLOSE_BRACKET) break;
        if (byte !== COMMA) return -1;
        at = this.blanks(at, end);
      }
    }
    field.start[row] = start;
    field.length[row] = count;
    return at;
  }

  /** An object as a map. Its entries are read once more when a key comes twice: then the earlier ones are left out. */
  #map(field: ColumnBuilder, row: number, at: number, end: number, depth: number): number {
    if (depth > this.depthMax) {
      this.broken = TOO_DEEP;
      return -1;
    }
    const [keys, values] = [field.children[0]!, field.children[1]!];
    const start = keys.count;
    const behind = this.#mapEntries(keys, values, at, end, depth, null);
    if (behind < 0) return -1;
    const superseded = this.#supersededEntries(keys, start);
    if (superseded !== null) {
      keys.count = start;
      values.count = start;
      this.failure = NONE;
      this.#mapEntries(keys, values, at, end, depth, superseded);
    }
    field.start[row] = start;
    field.length[row] = keys.count - start;
    return behind;
  }

  #mapEntries(
    keys: ColumnBuilder,
    values: ColumnBuilder,
    at: number,
    end: number,
    depth: number,
    without: ReadonlySet<number> | null,
  ): number {
    at = this.blanks(at + 1, end);
    if (at < end && this.bytes[at] === CLOSE_BRACE) return at + 1;
    for (let entry = 0; ; entry++) {
      if (at >= end || this.bytes[at] !== QUOTE) return -1;
      const close = this.string(at + 1, end);
      if (close < 0) return -1;
      const skipped = without?.has(entry) === true;
      if (!skipped) this.fromString(keys, keys.append(), at + 1, close, this.flags);
      at = this.blanks(close + 1, end);
      if (at >= end || this.bytes[at] !== COLON) return -1;
      at = this.blanks(at + 1, end);
      if (skipped) {
        at = this.skip(at, end, depth);
      } else {
        const row = values.append();
        at = this.#value(values, row, at, end, depth);
        if (at >= 0 && values.required && this.failure === NONE && values.isNull(row)) this.fail(values, row, MISSING);
      }
      if (at < 0) return -1;
      at = this.blanks(at, end);
      if (at >= end) return -1;
      const byte = this.bytes[at++];
      if (byte === CLOSE_BRACE) return at;
      if (byte !== COMMA) return -1;
      at = this.blanks(at, end);
    }
  }

  /** Entries (by index within the map) whose key comes again later; null when there are none. */
  #supersededEntries(keys: ColumnBuilder, start: number): Set<number> | null {
    const last = new Map<string, number>();
    let superseded: Set<number> | null = null;
    for (let row = start; row < keys.count; row++) {
      const from = keys.start[row]!;
      const length = keys.length[row]!;
      // Bytes as code units: a string that is equal exactly when the bytes are.
      const text = length < 0 ? '' : asciiText(this.bytes, from, from + length);
      const earlier = last.get(text);
      if (earlier !== undefined) (superseded ??= new Set()).add(earlier);
      last.set(text, row - start);
    }
    return superseded;
  }
}
