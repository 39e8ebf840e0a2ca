/** Answers one reader's stream of requests: each when there are data for it, or when its wait is over. */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { ReadReply, ReadRequest } from '../../proto/gen/embedded.ts';
import { failureOf } from './failure.ts';
import type { PartitionLog } from './partition-log.ts';
import type { Topics } from './topics.ts';

const nothing = new Uint8Array(0);

export class ReadStream {
  readonly #call: ServerDuplexStream<ReadRequest, ReadReply>;
  readonly #topics: Topics;
  readonly #clock: Clock;
  /** Requests that wait for data: what ends the wait. */
  readonly #waiting = new Map<number, () => void>();
  readonly #cancelled = new Set<number>();
  #isOpen = true;

  constructor(call: ServerDuplexStream<ReadRequest, ReadReply>, topics: Topics, clock: Clock) {
    this.#call = call;
    this.#topics = topics;
    this.#clock = clock;
    call.on('data', (request: ReadRequest) => this.#take(request));
    call.on('end', () => this.close());
    call.on('cancelled', () => this.close());
    call.on('error', () => this.close());
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const wake of this.#waiting.values()) wake();
    this.#call.end();
  }

  #take(request: ReadRequest): void {
    if (!request.cancel) {
      void this.#answer(request);
      return;
    }
    const wake = this.#waiting.get(request.id);
    if (wake === undefined) return;
    this.#cancelled.add(request.id);
    wake();
  }

  async #answer(request: ReadRequest): Promise<void> {
    let reply: ReadReply;
    try {
      reply = await this.#read(request);
    } catch (error) {
      reply = { id: request.id, failure: failureOf(error), bytes: nothing, endOffset: 0, startOffset: 0 };
    }
    if (this.#isOpen && !this.#cancelled.delete(request.id)) this.#call.write(reply);
  }

  async #read(request: ReadRequest): Promise<ReadReply> {
    const topic = this.#topics.get(request.topic);
    if (topic.id !== request.topicId) {
      throw new WeirError(
        'TOPIC_RECREATED',
        `The topic ${request.topic} was deleted and created again: its id is ${topic.id} and was ${request.topicId}.`,
      );
    }
    const log = this.#topics.partition(request.topic, request.partition);
    const end = this.#clock.mono() + request.maxWaitMs;
    for (;;) {
      const bytes = await log.read(request.offset, request.maxBytes);
      const leftMs = end - this.#clock.mono();
      if (bytes.byteLength > 0 || leftMs <= 0 || !this.#isOpen || this.#cancelled.has(request.id)) {
        return { id: request.id, failure: null, bytes, endOffset: log.endOffset, startOffset: log.startOffset };
      }
      await this.#wait(request.id, log, leftMs, request.offset);
    }
  }

  #wait(id: number, log: PartitionLog, ms: number, offset: number): Promise<void> {
    // Data may have come between the read and now.
    if (log.endOffset > offset) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(id);
        stopTimer();
        stopWaiting();
        resolve();
      };
      const stopTimer = this.#clock.timer(ms, done);
      const stopWaiting = log.onAppend(done);
      this.#waiting.set(id, done);
    });
  }
}
