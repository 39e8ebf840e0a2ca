/** Reads topics of the embedded process. */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { assert } from '../../core/assert.ts';
import type { Clock } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import { offset, partition, topicId } from '../../core/ids.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import type { Fetched, FetchRequest, OffsetQuery, Source, SourceReader, TopicDescription } from '../../core/ports.ts';
import type { ReadReply, ReadRequest } from '../../proto/gen/embedded.ts';
import type { EmbeddedConnection } from './client.ts';
import { errorOf } from './failure.ts';

/** Beyond a request's own wait, ms: after that the process is taken for lost. */
const ANSWER_GRACE_MS = 5000;

export class EmbeddedSource implements Source {
  readonly #connection: EmbeddedConnection;
  readonly #clock: Clock;
  readonly #readers = new Set<EmbeddedReader>();

  constructor(connection: EmbeddedConnection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  async describe(topic: string): Promise<TopicDescription> {
    const reply = await this.#connection.call((client) => client.describeTopic, { topic }, 'SOURCE_UNAVAILABLE');
    return {
      topic: reply.topic,
      topicId: topicId(reply.topicId),
      partitions: Array.from({ length: reply.partitions }, (_, index) => partition(index)),
    };
  }

  async offsets(topic: string, partitions: readonly Partition[], query: OffsetQuery): Promise<Map<Partition, Offset>> {
    const asked =
      query === 'earliest'
        ? { earliest: true }
        : query === 'latest'
          ? { latest: true }
          : { timestampMs: query.timestampMs };
    const request = { topic, partitions: [...partitions], ...asked };
    const reply = await this.#connection.call((client) => client.listOffsets, request, 'SOURCE_UNAVAILABLE');
    assert(reply.offsets.length === partitions.length, () => 'one offset per partition');
    return new Map(partitions.map((number, index) => [number, offset(reply.offsets[index] ?? 0)]));
  }

  open(topic: TopicDescription): SourceReader {
    const reader = new EmbeddedReader(this.#connection, topic, this.#clock, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }

  /** Does nothing: no other tool looks into the embedded process. */
  showOffsets(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#readers].map((reader) => reader.close()));
  }
}

interface WaitingFetch {
  readonly resolve: (fetched: Fetched) => void;
  readonly reject: (error: unknown) => void;
  readonly end: () => void;
}

type ReadCall = ClientDuplexStream<ReadRequest, ReadReply>;

/** One stream, on which every partition asks and is answered by itself. A broken stream is replaced at the next fetch. */
class EmbeddedReader implements SourceReader {
  readonly #connection: EmbeddedConnection;
  readonly #topic: TopicDescription;
  readonly #clock: Clock;
  readonly #onClose: () => void;
  readonly #waiting = new Map<number, WaitingFetch>();
  #call: ReadCall | undefined;
  #nextId = 1;
  #isClosed = false;

  constructor(connection: EmbeddedConnection, topic: TopicDescription, clock: Clock, onClose: () => void) {
    this.#connection = connection;
    this.#topic = topic;
    this.#clock = clock;
    this.#onClose = onClose;
  }

  fetch(request: FetchRequest): Promise<Fetched> {
    if (this.#isClosed)
      return Promise.reject(new WeirError('SOURCE_UNAVAILABLE', `The reader of ${this.#topic.topic} is closed.`));
    const { signal } = request;
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const call = (this.#call ??= this.#open());
      const abort = (): void => {
        this.#settle(id)?.reject(signal?.reason);
        call.write({ ...emptyRequest, id, cancel: true });
      };
      const stopTimer = this.#clock.timer(request.maxWaitMs + ANSWER_GRACE_MS, () => {
        this.#break(call, new Error(`no answer within ${request.maxWaitMs + ANSWER_GRACE_MS} ms`));
      });
      const end = (): void => {
        stopTimer();
        signal?.removeEventListener('abort', abort);
      };
      this.#waiting.set(id, { resolve, reject, end });
      signal?.addEventListener('abort', abort, { once: true });
      call.write({
        id,
        cancel: false,
        topic: this.#topic.topic,
        topicId: this.#topic.topicId,
        partition: request.partition,
        offset: request.offset,
        maxBytes: request.maxBytes,
        maxWaitMs: request.maxWaitMs,
      });
    });
  }

  close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#onClose();
      if (this.#call !== undefined) this.#break(this.#call, new Error('the reader was closed'));
    }
    return Promise.resolve();
  }

  #open(): ReadCall {
    const call = this.#connection.client.read();
    call.on('data', (reply: ReadReply) => this.#take(reply));
    call.on('error', (error) => this.#break(call, error));
    call.on('end', () => this.#break(call, new Error('the embedded process ended the stream')));
    return call;
  }

  #take(reply: ReadReply): void {
    const waiting = this.#settle(reply.id);
    if (waiting === undefined) return;
    if (reply.failure !== null) {
      waiting.reject(errorOf(reply.failure));
      return;
    }
    // The bytes are a part of the message's buffer; a copy of their own can be transferred to a thread.
    const bytes = new Uint8Array(reply.bytes);
    const end = offset(reply.endOffset);
    waiting.resolve({
      bytes,
      transferable: true,
      aborted: [],
      lastStableOffset: end,
      highWatermark: end,
      logStartOffset: offset(reply.startOffset),
    });
  }

  #settle(id: number): WaitingFetch | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.end();
    return waiting;
  }

  /** Ends a stream for good; what waits on it fails as unavailable. */
  #break(call: ReadCall, cause: unknown): void {
    if (this.#call !== call) return;
    this.#call = undefined;
    call.cancel();
    const error = this.#connection.unavailable('SOURCE_UNAVAILABLE', cause);
    for (const id of this.#waiting.keys()) this.#settle(id)?.reject(error);
  }
}

const emptyRequest: ReadRequest = {
  id: 0,
  cancel: false,
  topic: '',
  topicId: '',
  partition: 0,
  offset: 0,
  maxBytes: 0,
  maxWaitMs: 0,
};
