/**
 * Answers of Fetch, read while they arrive: the records of each partition go straight into memory of their own, which a
 * thread can then be given without another copy. What stands around them is a few dozen bytes.
 */
import { WeirError } from '../../core/errors.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import type { MemoryPool } from '../../core/memory-pool.ts';
import type { AbortedTransaction } from '../../core/record-batch.ts';

export interface FetchedPartition {
  readonly partition: Partition;
  readonly errorCode: number;
  readonly highWatermark: Offset;
  readonly lastStableOffset: Offset;
  readonly logStartOffset: Offset;
  readonly aborted: readonly AbortedTransaction[];
  /** At the start of memory in which nothing else lies; the last batch may be cut short. */
  readonly records: Buffer<ArrayBuffer>;
}

export interface FetchAnswer {
  readonly throttleTimeMs: number;
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

/** One answer with the frame around it. */
export interface ReceivedAnswer {
  /** Bytes after the frame's length. */
  readonly size: number;
  readonly correlationId: number;
  readonly answer: FetchAnswer;
}

/** Asks for the bytes that fill `into`; goes on when they are there. */
type Reading<T> = Generator<Uint8Array, T, undefined>;

const UUID_BYTES = 16;
/** Fewer are copied sooner than the system is asked for them alone. */
const ROOM_BYTES_MIN = 4096;

/** Puts the answers of one connection together from whatever pieces they come in. */
export class FetchAnswers {
  readonly #frame: Frame;
  readonly #onAnswer: (received: ReceivedAnswer) => void;
  #reading: Reading<ReceivedAnswer>;
  /** What the bytes that come next are for. */
  #target: Uint8Array;
  #filled = 0;

  /** `onAnswer` gets the answers in order; the memory of their records is its own. */
  constructor(memory: MemoryPool, onAnswer: (received: ReceivedAnswer) => void) {
    this.#frame = new Frame(memory);
    this.#onAnswer = onAnswer;
    this.#reading = this.#frame.read();
    this.#target = NOTHING;
    this.#advance();
  }

  /** Takes what it needs of the bytes; they may be overwritten afterwards. Throws: SOURCE_UNAVAILABLE for lengths that cannot be. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength;) {
      const length = Math.min(this.#target.byteLength - this.#filled, bytes.byteLength - at);
      this.#target.set(bytes.subarray(at, at + length), this.#filled);
      at += length;
      this.#filled += length;
      this.#advance();
    }
  }

  /** Where the next bytes may be put instead of being pushed; null where there are few, whoever brings them. */
  get room(): Uint8Array | null {
    return this.#target.byteLength - this.#filled < ROOM_BYTES_MIN ? null : this.#target.subarray(this.#filled);
  }

  /** The next `length` bytes stand at the start of {@link room}. Throws: as {@link push}. */
  put(length: number): void {
    this.#filled += length;
    this.#advance();
  }

  /** Goes on until bytes are missing. */
  #advance(): void {
    while (this.#filled === this.#target.byteLength) {
      const step = this.#reading.next();
      this.#filled = 0;
      if (step.done === true) {
        this.#reading = this.#frame.read();
        this.#target = NOTHING;
        this.#onAnswer(step.value);
      } else this.#target = step.value;
    }
  }
}

const NOTHING = new Uint8Array(0);

/** Reads one frame after another: length, correlation id, and the body of Fetch v13. */
class Frame {
  readonly #memory: MemoryPool;
  /** For one field at a time. */
  readonly #field = Buffer.alloc(UUID_BYTES);
  readonly #fields = Array.from({ length: UUID_BYTES + 1 }, (_, length) => this.#field.subarray(0, length));
  /** Bytes of the frame that are still to come. */
  #left = 0;

  constructor(memory: MemoryPool) {
    this.#memory = memory;
  }

  *read(): Reading<ReceivedAnswer> {
    this.#left = 4;
    const size = yield* this.#i32();
    if (size < 4) throw impossible();
    this.#left = size;
    const correlationId = yield* this.#i32();
    yield* this.#tags();
    const throttleTimeMs = yield* this.#i32();
    const errorCode = yield* this.#i16();
    yield* this.#i32(); // session
    const partitions: FetchedPartition[] = [];
    for (let topics = yield* this.#count(); topics > 0; topics--) {
      yield* this.#skip(UUID_BYTES);
      for (let count = yield* this.#count(); count > 0; count--) partitions.push(yield* this.#partition());
      yield* this.#tags();
    }
    yield* this.#skip(this.#left);
    return { size, correlationId, answer: { throttleTimeMs, errorCode, partitions } };
  }

  *#partition(): Reading<FetchedPartition> {
    const partition = (yield* this.#i32()) as Partition;
    const errorCode = yield* this.#i16();
    const highWatermark = (yield* this.#i64()) as Offset;
    const lastStableOffset = (yield* this.#i64()) as Offset;
    const logStartOffset = (yield* this.#i64()) as Offset;
    const aborted: AbortedTransaction[] = [];
    for (let count = yield* this.#count(); count > 0; count--) {
      yield* this.#take(8);
      const producerId = this.#field.readBigInt64BE();
      aborted.push({ producerId, firstOffset: (yield* this.#i64()) as Offset });
      yield* this.#tags();
    }
    yield* this.#i32(); // preferred read replica: only for clients that name their rack
    const length = yield* this.#count();
    if (length > this.#left) throw impossible();
    const records = Buffer.from(this.#memory.take(length), 0, length);
    yield* this.#fill(records);
    yield* this.#tags();
    return { partition, errorCode, highWatermark, lastStableOffset, logStartOffset, aborted, records };
  }

  /** A compact length; null counts as none. */
  *#count(): Reading<number> {
    return Math.max(0, (yield* this.#uvarint()) - 1);
  }

  *#tags(): Reading<void> {
    for (let count = yield* this.#uvarint(); count > 0; count--) {
      yield* this.#uvarint();
      yield* this.#skip(yield* this.#uvarint());
    }
  }

  *#uvarint(): Reading<number> {
    for (let value = 0, scale = 1; ; scale *= 0x80) {
      yield* this.#take(1);
      const byte = this.#field.readUInt8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  *#i16(): Reading<number> {
    yield* this.#take(2);
    return this.#field.readInt16BE();
  }

  *#i32(): Reading<number> {
    yield* this.#take(4);
    return this.#field.readInt32BE();
  }

  /** A safe integer: offsets. */
  *#i64(): Reading<number> {
    yield* this.#take(8);
    return this.#field.readInt32BE() * 4294967296 + this.#field.readUInt32BE(4);
  }

  *#skip(length: number): Reading<void> {
    for (let left = length; left > 0; left -= UUID_BYTES) yield* this.#take(Math.min(left, UUID_BYTES));
  }

  /** The next bytes, at the start of `#field`; at most as many as it has. */
  *#take(length: number): Reading<void> {
    yield* this.#fill(this.#fields[length] ?? NOTHING);
  }

  *#fill(target: Uint8Array): Reading<void> {
    if (target.byteLength > this.#left) throw impossible();
    this.#left -= target.byteLength;
    yield target;
  }
}

function impossible(): WeirError {
  return new WeirError('SOURCE_UNAVAILABLE', 'Kafka sent an answer whose lengths do not fit each other.');
}
