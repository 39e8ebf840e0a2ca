/** Polls an HTTP API: one request per step. What to ask and what answers mean is decided in core/feed. */
import type { Clock } from '../../core/clock.ts';
import { WeirError, messageOf } from '../../core/errors.ts';
import { durationMs } from '../../core/duration.ts';
import type { Feed, FeedStep, Json } from '../../core/feed/feed.ts';
import type { HttpAnswer, HttpRequest } from '../../core/feed/http-polls.ts';
import { afterNothing, afterPage, httpCursor, requestOf, requireAnswer } from '../../core/feed/http-polls.ts';
import { recordsOf, rowOf } from '../../core/feed/http-records.ts';
import type { HttpSpec } from '../../core/job/feed-spec.ts';

const REDIRECTS_MAX = 5;
const USER_AGENT = 'weir (stream processor)';

export interface HttpParts {
  readonly clock: Clock;
  /** Fills in `${env:…}`. */
  readonly secret: (text: string) => string;
  /** Throws: FORBIDDEN for a host that jobs may not reach. */
  readonly requireHost: (host: string) => Promise<void>;
}

interface Answer extends HttpAnswer {
  readonly url: string;
  readonly text: string;
}

export class HttpFeed implements Feed {
  readonly #spec: HttpSpec;
  readonly #parts: HttpParts;
  /** Monotonic ms before which nothing is asked. */
  #mayAskAt = Number.NEGATIVE_INFINITY;

  constructor(spec: HttpSpec, parts: HttpParts) {
    this.#spec = spec;
    this.#parts = parts;
  }

  async next(kept: Json, signal: AbortSignal): Promise<FeedStep> {
    const { clock, secret } = this.#parts;
    const cursor = httpCursor(kept, this.#spec);
    const request = requestOf(this.#spec, cursor, secret);
    await this.#turn(signal);
    const answer = await this.#ask(request, signal);
    const place = placeOf(request.url);
    requireAnswer(place, answer, clock.now());
    const waitMs = durationMs(this.#spec.every);
    if (answer.status === 304) return { rows: [], cursor: plain(afterNothing(cursor)), waitMs, caughtUp: true };
    const { whole, records } = recordsOf(place, this.#spec, answer.text);
    const after = afterPage(this.#spec, cursor, { answer, url: answer.url, whole, records });
    return {
      rows: records.map((record) => rowOf(record, this.#spec.id)),
      cursor: plain(after.cursor),
      waitMs: after.over ? waitMs : 0,
      caughtUp: after.over,
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Waits until the rate limit allows another request. */
  async #turn(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const { requestsPerSecond } = this.#spec;
    if (requestsPerSecond === undefined) return;
    const wait = this.#mayAskAt - clock.mono();
    if (wait > 0) await clock.sleep(wait, signal);
    this.#mayAskAt = clock.mono() + 1000 / requestsPerSecond;
  }

  async #ask(request: HttpRequest, signal: AbortSignal): Promise<Answer> {
    const { clock } = this.#parts;
    const timeoutMs = durationMs(this.#spec.timeout);
    const tooLong = new AbortController();
    const cancel = clock.timer(timeoutMs, () => tooLong.abort(new Error(`no answer within ${this.#spec.timeout}`)));
    try {
      return await this.#follow(request, AbortSignal.any([signal, tooLong.signal]));
    } catch (error) {
      if (signal.aborted || error instanceof WeirError) throw error;
      const reason = tooLong.signal.aborted ? messageOf(tooLong.signal.reason) : causeOf(error);
      const text = `${placeOf(request.url)} does not answer: ${reason}.`;
      throw new WeirError('SOURCE_UNAVAILABLE', text, { cause: error });
    } finally {
      cancel();
    }
  }

  /** Redirects lead to other hosts only where no credentials go with the request. */
  async #follow(request: HttpRequest, signal: AbortSignal): Promise<Answer> {
    const headers = { 'user-agent': USER_AGENT, ...Object.fromEntries(request.headers) };
    const isSecret = this.#spec.auth !== undefined || Object.keys(this.#spec.headers).length > 0;
    let { url } = request;
    for (let redirects = 0; ; redirects++) {
      const { method, body } = request;
      await this.#parts.requireHost(new URL(url).hostname);
      const response = await fetch(url, {
        method,
        headers,
        redirect: 'manual',
        signal,
        ...(body === null ? {} : { body }),
      });
      const location = response.headers.get('location');
      if (response.status < 300 || response.status >= 400 || response.status === 304 || location === null)
        return {
          status: response.status,
          header: (name) => response.headers.get(name),
          url,
          text: await this.#text(response),
        };
      await response.body?.cancel();
      const target = new URL(location, url);
      if (redirects === REDIRECTS_MAX || (isSecret && target.origin !== new URL(url).origin)) {
        const why = redirects === REDIRECTS_MAX ? 'it redirects too often' : 'credentials are not sent to another host';
        throw new WeirError(
          'FEED_REFUSED',
          `${placeOf(url)} redirects to ${target.origin}: ${why}; write the right url.`,
        );
      }
      url = target.href;
    }
  }

  async #text(response: Response): Promise<string> {
    if (response.body === null) return '';
    const { responseBytesMax } = this.#spec;
    const decoder = new TextDecoder();
    let bytes = 0;
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength;
      if (bytes > responseBytesMax) {
        const message = `${placeOf(response.url)} answered more than ${responseBytesMax} bytes; ask for smaller pages, or raise responseBytesMax.`;
        throw new WeirError('FEED_REFUSED', message);
      }
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  }
}

/** The address without its parameters, which may hold secrets. */
function placeOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

function causeOf(error: unknown): string {
  return error instanceof Error && error.cause instanceof Error ? messageOf(error.cause) : messageOf(error);
}

function plain(cursor: object): Json {
  return cursor as unknown as Json;
}
