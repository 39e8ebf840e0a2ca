/**
 * ColumnBatch: rows as columns, without a row object or a string per value. Text and binary values are ranges of a
 * byte buffer (UTF-8, unescaped); numbers are typed arrays. A row's validity is a byte per row (1 = has a value).
 * Owned by one operator at a time, within one thread.
 */
export interface BytesColumn {
  readonly kind: 'bytes';
  readonly data: Uint8Array;
  readonly start: Int32Array;
  /** Bytes; -1 = null. */
  readonly length: Int32Array;
  /** 1 where the value may hold bytes ≥ 0x80; 0 = certainly ASCII. */
  readonly nonAscii: Uint8Array;
}

/** boolean (0/1), tinyint, smallint, int, date (days since 1970-01-01). */
export interface Int32Column {
  readonly kind: 'i32';
  readonly values: Int32Array;
  readonly valid: Uint8Array;
}

/**
 * float, double, and timestamp (µs since 1970-01-01 UTC: exact from 1684 to 2255; beyond, truncated towards the past
 * to what a double holds).
 */
export interface Float64Column {
  readonly kind: 'f64';
  readonly values: Float64Array;
  readonly valid: Uint8Array;
}

/** bigint, and decimal of precision ≤ 18 as its unscaled value. `words` is the same memory: [low, high] per value. */
export interface Int64Column {
  readonly kind: 'i64';
  readonly values: BigInt64Array;
  readonly words: Int32Array;
  readonly valid: Uint8Array;
}

/** decimal of precision > 18 as its unscaled value. */
export interface BigDecimalColumn {
  readonly kind: 'big';
  readonly values: bigint[];
  readonly valid: Uint8Array;
}

export interface ListColumn {
  readonly kind: 'list';
  /** Range of the elements in `element`; length -1 = null. */
  readonly start: Int32Array;
  readonly length: Int32Array;
  readonly element: Column;
}

export interface MapColumn {
  readonly kind: 'map';
  readonly start: Int32Array;
  readonly length: Int32Array;
  readonly keys: Column;
  readonly values: Column;
}

export interface StructColumn {
  readonly kind: 'struct';
  readonly valid: Uint8Array;
  /** One per field; values of rows without the struct are null. */
  readonly fields: readonly Column[];
}

export type Column =
  | BytesColumn
  | Int32Column
  | Float64Column
  | Int64Column
  | BigDecimalColumn
  | ListColumn
  | MapColumn
  | StructColumn;

/** Facts about the record each row came from, in the order of rows. Functions like uuid() and topic() read them. */
export interface RowOrigins {
  readonly topic: string;
  readonly partition: number;
  /** Record offset. */
  readonly offset: Float64Array;
  /** Kafka record timestamp, ms. */
  readonly timestampMs: Float64Array;
  /** Index of the row within its record: 0, or counting up under explode. */
  readonly index: Int32Array;
  /** Index of the record in the scanned input batch: where to find its raw bytes and write time. */
  readonly record: Int32Array;
}

export interface ColumnBatch {
  readonly rowCount: number;
  readonly columns: readonly Column[];
  readonly origins: RowOrigins;
}

/** A record that an operator could not process: an index into `deadLetterReasons` and where it happened. */
export interface RowFailure {
  /** Index of the record in the scanned input batch. */
  readonly record: number;
  readonly reason: number;
  /** Column or expression name; static text of the job, never data. */
  readonly place: string;
}
