/**
 * Rows posted to a web service, at least once: a request whose answer is lost is sent again with the same
 * Idempotency-Key, and after a crash rows may come again in other requests.
 *
 * Source: the Idempotency-Key HTTP header field of the IETF httpapi working group; Retry-After of RFC 9110, section 10.2.3.
 */
import { createHash } from 'node:crypto';
import { must } from '../../core/assert.ts';
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { SinkStats } from '../../core/ports.ts';
import type { BatchPart, BuryRows, EpochPlace, LanePlace, RowBatch, RowSink } from '../../core/row-sink.ts';

/** A service may not ask for a longer pause than this, ms. */
const RETRY_AFTER_MS_MAX = 300_000;
/** Of an answer's text, for messages. */
const ANSWER_CHARACTERS = 200;

export interface WebhookSinkParts {
  readonly job: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: 'array' | 'ndjson' | 'single';
  readonly batchRows: number;
  readonly timeoutMs: number;
  readonly onRejected: 'fail' | 'deadLetter' | 'drop';
  /** Needed under `onRejected: deadLetter`. */
  readonly bury?: BuryRows;
  /** Asked before every request. Throws: FORBIDDEN. */
  readonly requireHost: (host: string) => Promise<void>;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** Rows `first` to `last` of a part, in one request. */
interface Post {
  readonly place: LanePlace | EpochPlace;
  readonly part: BatchPart;
  readonly first: number;
  readonly last: number;
}

/** What became of a request. */
type Outcome =
  | { readonly kind: 'taken' }
  /** To be sent again, after a pause of so long at least. */
  | { readonly kind: 'again'; readonly reason: string; readonly waitMs: number }
  /** Its rows are not taken, by an answer of this status. */
  | { readonly kind: 'refused'; readonly status: number };

const TAKEN: Outcome = { kind: 'taken' };

/** Answers that say that the address is wrong, and nothing of the rows. */
const notOfRows: ReadonlySet<number> = new Set([404, 405, 410]);

export class WebhookSink implements RowSink {
  readonly #parts: WebhookSinkParts;
  readonly #closing = new AbortController();
  #inFlight = 0;
  #retries = 0;
  #blockedBy: string | null = null;
  #refused = 0;

  constructor(parts: WebhookSinkParts) {
    this.#parts = parts;
  }

  async write({ place, parts }: RowBatch, permit: WritePermit): Promise<void> {
    this.#inFlight++;
    try {
      for (const part of parts) for (const post of this.#postsOf(place, part)) await this.#send(post, permit);
    } finally {
      this.#inFlight--;
    }
  }

  stats(): SinkStats {
    return { inFlight: this.#inFlight, retries: this.#retries, blockedBy: this.#blockedBy, refused: this.#refused };
  }

  close(): Promise<void> {
    this.#closing.abort(new WeirError('FENCED', `${this.#name()} was closed`));
    return Promise.resolve();
  }

  *#postsOf(place: LanePlace | EpochPlace, part: BatchPart): Generator<Post> {
    const step = this.#parts.body === 'single' ? 1 : this.#parts.batchRows;
    for (let row = 0; row < part.rowCount; row += step)
      yield { place, part, first: row, last: Math.min(row + step, part.rowCount) - 1 };
  }

  /** Resolves when the rows are taken, left out or kept as dead letters. */
  async #send(post: Post, permit: WritePermit): Promise<void> {
    const { clock, rng } = this.#parts;
    for (let attempt = 0; ; attempt++) {
      permit.check();
      this.#closing.signal.throwIfAborted();
      const outcome = await this.#post(post);
      if (outcome.kind !== 'again') {
        this.#blockedBy = null;
        return outcome.kind === 'taken' ? undefined : await this.#leaveOut(post, outcome.status, permit);
      }
      this.#retries++;
      this.#blockedBy = outcome.reason;
      await clock.sleep(Math.max(outcome.waitMs, backoffMs(rng, attempt)), this.#closing.signal);
    }
  }

  /** Of several rows the good ones are still to be taken: each half is sent by itself, until a request is one row. */
  async #leaveOut(post: Post, status: number, permit: WritePermit): Promise<void> {
    const { onRejected, bury } = this.#parts;
    const { place, part, first, last } = post;
    if (onRejected === 'drop') {
      this.#refused += last - first + 1;
      return;
    }
    if (first < last) {
      const middle = Math.floor((first + last) / 2);
      await this.#send({ ...post, last: middle }, permit);
      await this.#send({ ...post, first: middle + 1 }, permit);
      return;
    }
    const offset = part.offsets?.[first];
    const partition = place.kind === 'lane' ? Number(place.lane.split('/').at(-1)) : 0;
    const record = offset === undefined ? null : { partition, offset };
    // Without the line feed at its end.
    const bytes = linesOf(part, first, first).slice(0, -1);
    const keep = must(bury, () => `${this.#name()} has nowhere to keep rows`);
    await keep(place.run, [{ bytes, record, place: `answered ${status}` }], permit);
    this.#refused++;
  }

  /** Throws: SINK_REFUSED, UNAUTHORIZED, FORBIDDEN. */
  async #post({ place, part, first, last }: Post): Promise<Outcome> {
    const { url, headers, body: kind, timeoutMs, onRejected, requireHost, clock } = this.#parts;
    const lines = linesOf(part, first, last);
    const body = kind === 'array' ? arrayOf(part, first, last) : kind === 'ndjson' ? lines : lines.subarray(0, -1);
    const rows = last - first + 1;
    let answer: Response;
    let text: string;
    try {
      await requireHost(new URL(url).hostname);
      answer = await fetch(url, {
        method: 'POST',
        // A redirect could lead anywhere, with the headers.
        redirect: 'manual',
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#closing.signal]),
        headers: {
          'content-type': kind === 'ndjson' ? 'application/x-ndjson' : 'application/json',
          'user-agent': 'weir',
          'idempotency-key': keyOf(place, part, first, last),
          ...headers,
        },
        body: body as Uint8Array<ArrayBuffer>,
      });
      text = await answer.text();
    } catch (error) {
      this.#closing.signal.throwIfAborted();
      if (isWeirError(error, 'FORBIDDEN')) throw error;
      const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
      return { kind: 'again', reason: `${this.#name()} does not answer (${cause})`, waitMs: 0 };
    }
    if (answer.ok) return TAKEN;
    const { status } = answer;
    const said = `${this.#name()} answered ${status}${text === '' ? '' : ` (${text.slice(0, ANSWER_CHARACTERS)})`}`;
    if (status >= 500 || status === 408 || status === 425 || status === 429)
      return { kind: 'again', reason: said, waitMs: retryAfterMs(answer.headers.get('retry-after'), clock.now()) };
    if (status === 401 || status === 403 || status === 407)
      throw new WeirError('UNAUTHORIZED', `${said}; check the headers of the sink and the secrets in them.`);
    if (status >= 400 && (onRejected === 'drop' || (onRejected === 'deadLetter' && !notOfRows.has(status))))
      return { kind: 'refused', status };
    throw new WeirError(
      'SINK_REFUSED',
      `${said} for ${rows} rows; correct the query, the address or the service, or write onRejected: deadLetter to keep such rows apart.`,
      { facts: { status, rows } },
    );
  }

  /** Without parameters, which may hold secrets. */
  #name(): string {
    const { job, url } = this.#parts;
    return `job ${job}, webhook ${url.replace(/\?.*$/, '').replace(/\/\/[^/@]*@/, '//')}`;
  }
}

/** The lines of rows, each with its line feed. */
function linesOf({ bytes, ends }: BatchPart, first: number, last: number): Uint8Array {
  return bytes.subarray(first === 0 ? 0 : ends?.[first - 1], ends?.[last]);
}

/** Lines as a JSON array. */
function arrayOf({ bytes, ends }: BatchPart, first: number, last: number): Uint8Array {
  const start = first === 0 ? 0 : (ends?.[first - 1] ?? 0);
  const body = new Uint8Array((ends?.[last] ?? 0) - start + 1);
  body[0] = 0x5b;
  body.set(bytes.subarray(start, ends?.[last]), 1);
  for (let row = first; row < last; row++) body[(ends?.[row] ?? 0) - start] = 0x2c;
  body[body.length - 1] = 0x5d;
  return body;
}

/** The same for the same rows in the same request, whoever sends it. */
function keyOf({ job, run, ...place }: LanePlace | EpochPlace, part: BatchPart, first: number, last: number): string {
  const where = place.kind === 'lane' ? place.lane : `${place.epoch}/${part.unit}`;
  const rows = part.offsets === null ? `${first}-${last}` : `${part.offsets[first]}-${part.offsets[last]}`;
  const start = first === 0 ? 0 : part.ends?.[first - 1];
  const content = createHash('sha256').update(part.bytes.subarray(start, part.ends?.[last])).digest('hex');
  return `${job}/${run}/${where}/${rows}/${content.slice(0, 16)}`;
}

/** Seconds or a date; 0 = none. */
function retryAfterMs(header: string | null, nowMs: number): number {
  if (header === null) return 0;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - nowMs;
  return Number.isFinite(ms) ? Math.min(RETRY_AFTER_MS_MAX, Math.max(0, ms)) : 0;
}
