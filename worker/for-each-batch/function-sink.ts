/**
 * A function of the job as a sink. Rows of an epoch come in parts that every attempt cuts alike: those of a partition, or
 * those of a key group of a stage with state; each part is a call. What is called again has the same rows in the same
 * order, for an epoch's ranges are durable before its first effect.
 */
import { Piscina } from 'piscina';
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
import type { BatchInfo, ModuleSource } from '../../core/job/user-functions.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { SinkStats } from '../../core/ports.ts';
import type { BatchPart, EpochPlace, RowBatch, RowSink } from '../../core/row-sink.ts';
import type { Field } from '../../core/types.ts';
import { must } from '../../core/assert.ts';
import { answered } from '../compute-thread.ts';
import type { ThreadReply, ThreadRequest } from '../thread.ts';

/** JavaScript objects of the function, MiB. */
const HEAP_MIB_MAX = 512;
/** A thread that starts anew has so long for the job's code before a call's own time begins, ms. */
const LOAD_MS_MAX = 30_000;

export interface FunctionSinkParts {
  readonly job: string;
  readonly module: ModuleSource;
  /** Of the job's sinks. */
  readonly sink: number;
  readonly columns: readonly Pick<Field, 'name' | 'type'>[];
  readonly timeoutMs: number;
  readonly retries: number;
  readonly clock: Clock;
  readonly rng: Rng;
}

export class FunctionSink implements RowSink {
  readonly #parts: FunctionSinkParts;
  readonly #pool: Piscina<ThreadRequest, ThreadReply>;
  readonly #closing = new AbortController();
  #inFlight = 0;
  #retries = 0;
  #blockedBy: string | null = null;

  constructor(parts: FunctionSinkParts) {
    this.#parts = parts;
    // The thread's file stands in the folder above: .ts in the checkout, .js when built.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#pool = new Piscina<ThreadRequest, ThreadReply>({
      filename: new URL(`../thread.${extension}`, import.meta.url).href,
      minThreads: 1,
      maxThreads: 1,
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX },
    });
    // A thread that died answers by the call it died in.
    this.#pool.on('error', () => undefined);
  }

  async write({ place, parts }: RowBatch, permit: WritePermit): Promise<void> {
    const epoch = must(place.kind === 'epoch' ? place : null, () => 'functions are called by epochs');
    this.#inFlight++;
    try {
      for (const [part, lines] of partsOf(parts)) await this.#call(infoOf(epoch, part), lines, permit);
    } finally {
      this.#inFlight--;
    }
  }

  stats(): SinkStats {
    return { inFlight: this.#inFlight, retries: this.#retries, blockedBy: this.#blockedBy };
  }

  async close(): Promise<void> {
    this.#closing.abort(new WeirError('FENCED', `the functions of job ${this.#parts.job} are closed`));
    await this.#pool.destroy();
  }

  async #call(info: BatchInfo, lines: Uint8Array, permit: WritePermit): Promise<void> {
    const { module, sink, columns, clock, rng, retries, timeoutMs } = this.#parts;
    for (let attempt = 0; ; attempt++) {
      permit.check();
      this.#closing.signal.throwIfAborted();
      try {
        await this.#within(LOAD_MS_MAX, { kind: 'loadJob', module });
        await this.#within(timeoutMs, { kind: 'batch', call: { module, sink, columns, lines, info } });
        this.#blockedBy = null;
        return;
      } catch (error) {
        this.#closing.signal.throwIfAborted();
        const failure = this.#failed(error, info);
        if (attempt >= retries) throw failure;
        this.#retries++;
        this.#blockedBy = failure.message;
        await clock.sleep(backoffMs(rng, attempt), this.#closing.signal);
      }
    }
  }

  async #within(timeoutMs: number, request: ThreadRequest): Promise<void> {
    const { clock } = this.#parts;
    const late = new AbortController();
    const cancel = clock.timer(timeoutMs, () =>
      late.abort(
        new WeirError('USER_CODE_TIMEOUT', `it was not done within ${timeoutMs} ms, and its thread was ended`),
      ),
    );
    try {
      answered(await this.#pool.run(request, { signal: late.signal }));
    } catch (error) {
      throw late.signal.aborted ? late.signal.reason : error;
    } finally {
      cancel();
    }
  }

  #failed(error: unknown, { batchId, part }: BatchInfo): WeirError {
    const code = isWeirError(error, 'USER_CODE_TIMEOUT') ? 'USER_CODE_TIMEOUT' : 'USER_CODE_FAILED';
    return new WeirError(
      code,
      `job ${this.#parts.job}: its forEachBatch failed for batch ${batchId}, part ${part}: ${messageOf(error)}`,
      { cause: error, facts: { batchId, part } },
    );
  }
}

function infoOf({ job, run, epoch, epochTsUs }: EpochPlace, part: string): BatchInfo {
  return { job, run, batchId: epoch, part, id: `${job}/${run}/${epoch}/${part}`, time: Math.floor(epochTsUs / 1000) };
}

/**
 * The rows by what they came out of. Key groups move between workers, so that rows of state go by group: whoever has it,
 * its rows are the same.
 */
function partsOf(parts: readonly BatchPart[]): Map<string, Uint8Array> {
  const pieces = new Map<string, Uint8Array[]>();
  for (const part of parts) {
    const ends = must(part.ends, () => 'rows without ends');
    for (let row = 0; row < part.rowCount; row++) {
      const name = part.groups === null ? part.unit : `${part.unit}/${part.groups[row]}`;
      const rows = pieces.get(name) ?? [];
      rows.push(part.bytes.subarray(row === 0 ? 0 : ends[row - 1], ends[row]));
      pieces.set(name, rows);
    }
  }
  return new Map([...pieces].map(([name, rows]) => [name, Buffer.concat(rows)]));
}
