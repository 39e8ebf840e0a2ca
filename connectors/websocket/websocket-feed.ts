/**
 * Messages of a WebSocket. What comes while the last messages are being appended waits in memory; what the server said
 * while nobody was connected is missed, unless it repeats it when asked (`resume`).
 */
import type { Clock } from '../../core/clock.ts';
import { WeirError, messageOf } from '../../core/errors.ts';
import { durationMs } from '../../core/duration.ts';
import type { Feed, FeedRow, FeedStep, Json } from '../../core/feed/feed.ts';
import { rowOf } from '../../core/feed/http-records.ts';
import { parseJson, textOf, valueAt } from '../../core/feed/json-path.ts';
import type { WebSocketSpec } from '../../core/job/feed-spec.ts';

/** Longest wait for messages within one step, ms. */
const STEP_MS = 1000;
/** Characters of messages that wait; beyond, the connection is given up. */
const WAITING_MAX = 16 * 1024 * 1024;
const ROWS_MAX = 10_000;

export interface WebSocketParts {
  readonly clock: Clock;
  /** Fills in `${env:…}`. */
  readonly secret: (text: string) => string;
  /** Throws: FORBIDDEN for a host that jobs may not reach. */
  readonly requireHost: (host: string) => Promise<void>;
}

/** Node's WebSocket takes headers, which browsers' do not. */
type WithHeaders = new (url: string, options: { readonly protocols: string[]; readonly headers: object }) => WebSocket;

export class WebSocketFeed implements Feed {
  readonly #spec: WebSocketSpec;
  readonly #parts: WebSocketParts;
  #connection: Connection | null = null;
  /** Given by the last step and not known to be appended: given again when it is asked again. */
  #given: readonly string[] = [];

  constructor(spec: WebSocketSpec, parts: WebSocketParts) {
    this.#spec = spec;
    this.#parts = parts;
  }

  async next(kept: Json, signal: AbortSignal): Promise<FeedStep> {
    const last = lastOf(kept);
    if (this.#given.length === 0) this.#given = await this.#messages(last, signal);
    const records = this.#given.flatMap((message) => this.#recordsOf(message));
    const rows = records.map(({ row }) => row);
    const cursor = { last: records.at(-1)?.resume ?? last };
    return { rows, cursor, waitMs: 0, caughtUp: this.#given.length === 0 };
  }

  appended(): Promise<void> {
    this.#given = [];
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#connection?.close();
    this.#connection = null;
    return Promise.resolve();
  }

  /** The next messages, none after a while without any. */
  async #messages(last: string | null, signal: AbortSignal): Promise<readonly string[]> {
    const { clock } = this.#parts;
    this.#connection ??= await this.#connect(last, signal);
    const connection = this.#connection;
    try {
      await connection.waitFor(STEP_MS, signal);
      if (connection.count > 0 && connection.count < ROWS_MAX)
        await clock.sleep(durationMs(this.#spec.batchEvery), signal);
      return connection.take(ROWS_MAX);
    } catch (error) {
      connection.close();
      this.#connection = null;
      throw error;
    }
  }

  #recordsOf(message: string): { readonly row: FeedRow; readonly resume: string | null }[] {
    const { records: path, id, resume } = this.#spec;
    let whole: unknown;
    try {
      whole = parseJson(message);
    } catch {
      // Text that is no JSON goes on as it is, unless records are looked for in it.
      return path === '' ? [{ row: rowOf(message, undefined), resume: null }] : [];
    }
    const found = valueAt(whole, path);
    if (found === undefined || found === null) return [];
    return (Array.isArray(found) ? found : [found]).map((record) => ({
      row: rowOf(record, id),
      resume: resume === undefined ? null : (textOf(valueAt(record, resume.field)) ?? null),
    }));
  }

  async #connect(last: string | null, signal: AbortSignal): Promise<Connection> {
    const { secret, clock, requireHost } = this.#parts;
    const { url, timeout, protocols, heartbeat, silence, resume } = this.#spec;
    const headers = Object.fromEntries(
      Object.entries(this.#spec.headers).map(([name, value]) => [name, secret(value)]),
    );
    await this.#reachable(requireHost(new URL(secret(url)).hostname));
    const socket = new (WebSocket as unknown as WithHeaders)(secret(url), { protocols: [...protocols], headers });
    const connection = new Connection(socket, placeOf(url), clock, durationMs(silence), heartbeat?.message);
    try {
      await connection.opened(durationMs(timeout), signal);
    } catch (error) {
      connection.close();
      throw signal.aborted ? error : await this.#refusal(secret(url), headers, error);
    }
    const greeting = last === null || resume === undefined ? this.#spec.subscribe : resume.subscribe;
    for (const message of greeting) socket.send(secret(message.replaceAll('{last}', last ?? '')));
    if (heartbeat !== undefined) connection.beat(durationMs(heartbeat.every));
    return connection;
  }

  /** A name that is not resolved at the moment may be later. */
  async #reachable(asked: Promise<void>): Promise<void> {
    try {
      await asked;
    } catch (error) {
      if (error instanceof WeirError) throw error;
      const text = `${placeOf(this.#spec.url)} cannot be connected to: ${messageOf(error)}.`;
      throw new WeirError('SOURCE_UNAVAILABLE', text, { cause: error });
    }
  }

  /** A WebSocket does not tell with which status it was refused; asking without an upgrade does. */
  async #refusal(url: string, headers: Readonly<Record<string, string>>, error: unknown): Promise<WeirError> {
    const { clock } = this.#parts;
    const tooLong = new AbortController();
    const cancel = clock.timer(durationMs(this.#spec.timeout), () => tooLong.abort());
    const answer = await fetch(url.replace(/^ws/, 'http'), { headers, redirect: 'manual', signal: tooLong.signal })
      .then(async (response) => {
        await response.body?.cancel();
        return response.status;
      })
      .catch(() => null);
    cancel();
    const place = placeOf(this.#spec.url);
    if (answer === 401 || answer === 403) {
      const text = `${place} answered ${answer}: the credentials were refused; correct headers or url of the source.`;
      return new WeirError('UNAUTHORIZED', text, { cause: error });
    }
    return new WeirError('SOURCE_UNAVAILABLE', `${place} cannot be connected to: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

/** One connection and the messages that wait. */
class Connection {
  readonly #socket: WebSocket;
  readonly #place: string;
  readonly #clock: Clock;
  readonly #silenceMs: number;
  readonly #heartbeat: string | undefined;
  #waiting: string[] = [];
  #waitingLength = 0;
  #heardAt: number;
  #failure: WeirError | null = null;
  #changed = Promise.withResolvers<void>();
  #cancelBeat: () => void = () => undefined;

  constructor(socket: WebSocket, place: string, clock: Clock, silenceMs: number, heartbeat: string | undefined) {
    this.#socket = socket;
    this.#place = place;
    this.#clock = clock;
    this.#silenceMs = silenceMs;
    this.#heartbeat = heartbeat;
    this.#heardAt = clock.mono();
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => this.#wake());
    socket.addEventListener('message', ({ data }: MessageEvent) => this.#take(data));
    socket.addEventListener('error', (event) =>
      this.#fail(messageOf((event as { readonly error?: unknown }).error ?? 'it failed')),
    );
    socket.addEventListener('close', ({ code, reason }) =>
      this.#fail(`closed with ${code}${reason === '' ? '' : ` (${reason})`}`),
    );
  }

  get count(): number {
    return this.#waiting.length;
  }

  async opened(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const until = this.#clock.mono() + timeoutMs;
    while (this.#socket.readyState === WebSocket.CONNECTING && this.#failure === null) {
      if (this.#clock.mono() >= until) throw this.#unavailable(`no answer within ${timeoutMs} ms`);
      await this.#change(until - this.#clock.mono(), signal);
    }
    if (this.#failure !== null) throw this.#failure;
    this.#heardAt = this.#clock.mono();
  }

  /** Until there is a message, at most so long. Throws: SOURCE_UNAVAILABLE when nothing will come any more. */
  async waitFor(ms: number, signal: AbortSignal): Promise<void> {
    const until = this.#clock.mono() + ms;
    while (this.#waiting.length === 0) {
      if (this.#failure !== null) throw this.#failure;
      const now = this.#clock.mono();
      if (now - this.#heardAt >= this.#silenceMs) throw this.#unavailable(`it said nothing for ${this.#silenceMs} ms`);
      if (now >= until) return;
      await this.#change(Math.min(until, this.#heardAt + this.#silenceMs) - now, signal);
    }
  }

  take(max: number): readonly string[] {
    const taken = this.#waiting.splice(0, max);
    for (const { length } of taken) this.#waitingLength -= length;
    return taken;
  }

  beat(everyMs: number): void {
    this.#cancelBeat = this.#clock.timer(everyMs, () => {
      if (this.#socket.readyState !== WebSocket.OPEN) return;
      this.#socket.send(this.#heartbeat ?? '');
      this.beat(everyMs);
    });
  }

  close(): void {
    this.#cancelBeat();
    this.#socket.close();
  }

  #take(data: unknown): void {
    const text = typeof data === 'string' ? data : new TextDecoder().decode(data as ArrayBuffer);
    this.#waiting.push(text);
    this.#waitingLength += text.length;
    this.#heardAt = this.#clock.mono();
    if (this.#waitingLength > WAITING_MAX) {
      this.#fail('it sends faster than its messages are appended');
      this.#socket.close();
    }
    this.#wake();
  }

  #fail(reason: string): void {
    this.#failure ??= this.#unavailable(reason);
    this.#wake();
  }

  #unavailable(reason: string): WeirError {
    return new WeirError('SOURCE_UNAVAILABLE', `the connection to ${this.#place} ended: ${reason}.`);
  }

  async #change(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const both = AbortSignal.any([signal, woken.signal]);
    const slept = this.#clock.sleep(Math.max(0, ms), both).catch(() => undefined);
    await Promise.race([this.#changed.promise, slept]);
    woken.abort();
    signal.throwIfAborted();
  }

  #wake(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    resolve();
  }
}

function lastOf(kept: Json): string | null {
  if (typeof kept !== 'object' || kept === null || !('last' in kept)) return null;
  return typeof kept['last'] === 'string' ? kept['last'] : null;
}

/** The address without its parameters, which may hold secrets. */
function placeOf(url: string): string {
  return url.replace(/[?#].*$/, '');
}
