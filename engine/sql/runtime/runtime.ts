import { assert } from '../../../core/assert.ts';
import type { DeadLetterReason } from '../../../core/errors.ts';
import { deadLetterReasons } from '../../../core/errors.ts';
import type { RowOrigins } from '../../column-batch.ts';
import type { TimeZone } from '../../scan/time-zone.ts';

/**
 * What an expression raises for a record that it cannot process. Not an Error: it is thrown once per bad record and
 * must not pay for a stack trace.
 */
export class EvalFailure {
  /** Index into `deadLetterReasons`. */
  readonly reason: number;

  constructor(reason: DeadLetterReason) {
    this.reason = deadLetterReasons.indexOf(reason);
  }
}

const castInvalid = new EvalFailure('CAST_INVALID');
const overflow = new EvalFailure('ARITHMETIC_OVERFLOW');
const divideByZero = new EvalFailure('DIVIDE_BY_ZERO');
const expressionFailed = new EvalFailure('EXPRESSION_FAILED');

export function raiseCastInvalid(): never {
  throw castInvalid;
}

export function raiseOverflow(): never {
  throw overflow;
}

export function raiseDivideByZero(): never {
  throw divideByZero;
}

export function raiseExpressionFailed(): never {
  throw expressionFailed;
}

/**
 * The failure behind anything thrown by an expression, or null for what is a bug and must go on up. A RangeError is
 * the engine's own limit on strings, regular expressions and bigints: it concerns one record only.
 */
export function failureOf(thrown: unknown): EvalFailure | null {
  if (thrown instanceof EvalFailure) return thrown;
  return thrown instanceof RangeError ? expressionFailed : null;
}

/** The function with null where it would raise for a record: the try_ form of it. */
export function orNull<A extends unknown[], R>(call: (...args: A) => R): (...args: A) => R | null {
  return (...args) => {
    try {
      return call(...args);
    } catch (thrown) {
      if (failureOf(thrown) === null) throw thrown;
      return null;
    }
  };
}

/** Methods of Node's buffers that its types leave out: toString without the look at the encoding's name. */
interface SlicingBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

/** Most queries compute no text; those that do double it a few times, once. */
const INITIAL_ARENA_BYTES = 1024;
const KEPT_ARENA_BYTES = 8 * 1024 * 1024;
/** Longest text made in one piece; keeps a `repeat` of a record's making from taking the process down. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024;
/** All texts of one batch together: starts must stay within an int32. */
const ARENA_BYTES_MAX = 1024 * 1024 * 1024;

/**
 * What generated loops work with: the arena that holds the bytes of computed texts, the result registers of byte
 * kernels, and the facts about the rows' records. One per program; valid from one `reset` to the next.
 */
export class Runtime {
  /** Result registers: kernels that give text leave start, length and the non-ASCII flag here. */
  s = 0;
  l = 0;
  f = 0;
  /** The arena. Grows by copying: starts stay true, the buffer object changes. */
  data: Buffer = Buffer.allocUnsafeSlow(INITIAL_ARENA_BYTES);
  used = 0;
  origins: RowOrigins = { topic: '', partition: 0, offset: none, timestampMs: none, index: noInts, record: noInts };
  /** The session time zone. */
  readonly zone: TimeZone;
  #viewed: Uint8Array = this.data;
  #view = this.data as SlicingBuffer;

  constructor(zone: TimeZone) {
    this.zone = zone;
  }

  reset(origins: RowOrigins): void {
    this.used = 0;
    this.origins = origins;
    if (this.data.length > KEPT_ARENA_BYTES) this.data = Buffer.allocUnsafeSlow(INITIAL_ARENA_BYTES);
  }

  /** Makes room for `bytes` more; returns where they go. The caller advances `used` by what it wrote. */
  reserve(bytes: number): number {
    const end = this.used + bytes;
    if (end > this.data.length) this.#grow(bytes, end);
    return this.used;
  }

  #grow(bytes: number, end: number): void {
    if (bytes > TEXT_BYTES_MAX) throw expressionFailed;
    // Not the fault of the record at hand: whether it fails must not depend on its neighbours in the batch.
    assert(end <= ARENA_BYTES_MAX, () => 'the texts computed for one batch take more than 1 GiB');
    const larger = Buffer.allocUnsafeSlow(Math.max(end, Math.min(this.data.length * 2, ARENA_BYTES_MAX)));
    this.data.copy(larger, 0, 0, this.used);
    this.data = larger;
  }

  /** Copies bytes into the arena unless they are there already. */
  keep(data: Uint8Array, start: number, length: number, nonAscii: number): void {
    this.l = length;
    this.f = nonAscii;
    if (data === this.data) {
      this.s = start;
      return;
    }
    const at = this.reserve(length);
    this.s = at;
    const arena = this.data;
    if (length < 48) {
      for (let index = 0; index < length; index++) arena[at + index] = data[start + index] as number;
    } else {
      arena.set(data.subarray(start, start + length), at);
    }
    this.used = at + length;
  }

  /** The bytes as a JS string. */
  text(data: Uint8Array, start: number, length: number, nonAscii: number): string {
    if (this.#viewed !== data) {
      this.#viewed = data;
      this.#view = (
        Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
      ) as SlicingBuffer;
    }
    return nonAscii === 0 ? this.#view.latin1Slice(start, start + length) : this.#view.utf8Slice(start, start + length);
  }

  /** Writes a JS string into the arena as UTF-8. */
  put(text: string): void {
    const length = text.length;
    const at = this.reserve(length * 3);
    const arena = this.data;
    let index = 0;
    if (length < 64) {
      for (; index < length; index++) {
        const code = text.charCodeAt(index);
        if (code >= 0x80) break;
        arena[at + index] = code;
      }
    }
    this.s = at;
    if (index === length) {
      this.l = length;
      this.f = 0;
    } else {
      this.l = arena.write(text, at, 'utf8');
      this.f = 1;
    }
    this.used = at + this.l;
  }

  /** Copies a byte array into the arena. */
  putBytes(bytes: Uint8Array): void {
    this.keep(bytes, 0, bytes.length, 1);
  }
}

const none = new Float64Array(0);
const noInts = new Int32Array(0);
