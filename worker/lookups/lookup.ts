/**
 * The lookups of one table on one worker, for all lanes of the job: from keys to documents. Each key is answered from
 * the cache, by a request that is on its way, or by a new one; new ones go out in groups, so many at once, and are sent
 * again with backoff when they fail.
 */
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { must } from '../../core/assert.ts';
import { WeirError, codeOf, isWeirError, messageOf } from '../../core/errors.ts';
import type { LookupAnswer, LookupKey, LookupSource } from '../../core/lookup.ts';
import type { DataType } from '../../core/types.ts';
import { DocumentWriter, type Documents, type LookedUp } from '../../engine/lookups/lookup-rows.ts';
import type { LookupPlan } from '../../engine/plan/lookup-plan.ts';
import { timeZoneOf } from '../../engine/scan/time-zone.ts';
import { LookupCache } from './lookup-cache.ts';
import type { LookupObserver } from './lookup-observer.ts';

export interface LookupParts {
  readonly plan: LookupPlan;
  readonly source: LookupSource;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly observer: LookupObserver;
}

/** The document of the row; null = there is none; 'failed' = nobody knows. */
type Outcome = Uint8Array | null | 'failed';

export class Lookup {
  readonly #parts: LookupParts;
  readonly #cache: LookupCache;
  readonly #documents: DocumentWriter;
  /** Of the schema, for each column of the key. */
  readonly #keyPlaces: readonly number[];
  readonly #keyTypes: readonly DataType[];
  /** Keys on their way. */
  readonly #asked = new Map<string, Promise<Outcome>>();
  readonly #closing = new AbortController();
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;

  constructor(parts: LookupParts) {
    const { table, schema, limits, keys } = parts.plan;
    this.#parts = parts;
    this.#cache = new LookupCache(limits);
    const zone = must(timeZoneOf(keys.timeZone), () => `the plan names the unknown time zone ${keys.timeZone}`);
    this.#documents = new DocumentWriter(schema, zone);
    this.#keyPlaces = table.key.map((name) => schema.findIndex((field) => field.name === name));
    this.#keyTypes = this.#keyPlaces.map((place) => must(schema[place], () => `no key column ${place}`).type);
  }

  /**
   * What the table says of these keys, each given once. Throws: LOOKUP_UNAVAILABLE while the source does not answer and
   * the job waits for it; LOOKUP_FAILED where the job is to fail then; UNAUTHORIZED, FORBIDDEN, LOOKUP_REFUSED.
   */
  async resolve(keys: readonly LookupKey[]): Promise<LookedUp> {
    const outcomes: (Outcome | Promise<Outcome>)[] = [];
    const wanted: { readonly id: string; readonly key: LookupKey; readonly place: number }[] = [];
    const now = this.#parts.clock.mono();
    let joined = 0;
    for (const [place, key] of keys.entries()) {
      const id = keyId(key);
      const asked = this.#asked.get(id);
      const kept = asked === undefined ? this.#cache.get(id, now) : undefined;
      if (asked !== undefined) joined++;
      outcomes.push(asked ?? kept ?? null);
      if (asked === undefined && kept === undefined) wanted.push({ id, key, place });
    }
    const { source, plan, observer } = this.#parts;
    observer.keys(keys.length - joined - wanted.length, joined, wanted.length);
    const step = Math.max(1, Math.min(source.keysMax, plan.limits.batchKeys));
    for (let from = 0; from < wanted.length; from += step) {
      const group = wanted.slice(from, from + step);
      const answers = this.#ask(group.map(({ key }) => key));
      for (const [index, { id, place }] of group.entries()) {
        const outcome = answers.then((all) => must(all[index], () => `no answer for key ${index}`).outcome);
        this.#asked.set(id, outcome);
        const done = (): void => void this.#asked.delete(id);
        outcome.then(done, done);
        outcomes[place] = outcome;
      }
    }
    // All are on their way; each has a handler of its own for when it fails.
    const settled: Outcome[] = [];
    for (const outcome of outcomes) settled.push(outcome instanceof Promise ? await outcome : outcome);
    observer.kept(this.#cache.entries, this.#cache.bytes);
    return this.#tableOf(keys, settled);
  }

  async close(): Promise<void> {
    this.#closing.abort(new WeirError('FENCED', `${this.#name()} was closed`));
    this.#parts.observer.left();
    await this.#parts.source.close();
  }

  #tableOf(keys: readonly LookupKey[], outcomes: readonly Outcome[]): LookedUp {
    const found: Uint8Array[] = [];
    const failed: Uint8Array[] = [];
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome === null) continue;
      if (outcome !== 'failed') found.push(outcome);
      else failed.push(this.#keyOnly(must(keys[index], () => 'an outcome without a key')));
    }
    return { table: this.#parts.plan.table.name, rows: joinedUp(found), failed: joinedUp(failed) };
  }

  /** A row of which nothing is known but the key. */
  #keyOnly(key: LookupKey): Uint8Array {
    const members = this.#keyPlaces.map((place, index) => {
      const value = keyValue(this.#typeAt(index), key[index] ?? '');
      return `"c${place}":${typeof value === 'bigint' ? String(value) : JSON.stringify(value)}`;
    });
    return Buffer.from(`{${members.join(',')}}`, 'utf8');
  }

  #typeAt(index: number): DataType {
    return must(this.#keyTypes[index], () => `there is no key column ${index}`);
  }

  // ------------------------------------------------------------------------------------------------ asking

  /** One request and its repetitions. */
  async #ask(keys: readonly LookupKey[]): Promise<readonly { readonly outcome: Outcome }[]> {
    await this.#enter();
    try {
      const answers = await this.#answers(keys);
      const now = this.#parts.clock.mono();
      return keys.map((key, index) => {
        const outcome = this.#outcomeOf(
          key,
          must(answers[index], () => `no answer for key ${index}`),
        );
        if (outcome !== 'failed') this.#cache.set(keyId(key), outcome, now);
        return { outcome };
      });
    } catch (error) {
      const outcome = this.#gaveUp(error, keys.length);
      return keys.map(() => ({ outcome }));
    } finally {
      this.#leave();
    }
  }

  async #answers(keys: readonly LookupKey[]): Promise<readonly LookupAnswer[]> {
    const { source, clock, rng, plan, observer } = this.#parts;
    const { timeoutMs, retries } = plan.limits;
    for (let attempt = 0; ; attempt++) {
      const startedAt = clock.mono();
      const late = new AbortController();
      const cancel = clock.timer(timeoutMs, () =>
        late.abort(new WeirError('LOOKUP_UNAVAILABLE', `${this.#name()} did not answer within ${timeoutMs} ms`)),
      );
      const signal = AbortSignal.any([late.signal, this.#closing.signal]);
      try {
        const answers = await Promise.race([source.ask(keys, signal), aborted(signal)]);
        observer.request(clock.mono() - startedAt, null);
        return answers;
      } catch (error) {
        this.#closing.signal.throwIfAborted();
        observer.request(clock.mono() - startedAt, codeOf(error));
        if (!isWeirError(error) || !error.retryable || attempt >= retries) throw error;
      } finally {
        cancel();
      }
      await clock.sleep(backoffMs(rng, attempt), this.#closing.signal);
    }
  }

  /** Throws: LOOKUP_FAILED for an answer that is no row of the table. */
  #outcomeOf(key: LookupKey, answer: LookupAnswer): Outcome {
    if (answer.kind === 'none') return null;
    if (answer.kind === 'bad') return this.#bad(answer.message);
    const values = [...answer.values];
    // As it was asked for: an answer may write it otherwise, or not at all.
    for (const [index, place] of this.#keyPlaces.entries())
      values[place] = keyValue(this.#typeAt(index), key[index] ?? '');
    const document = this.#documents.write(values);
    if (typeof document !== 'string') return document;
    return this.#bad(`${this.#name()}: the value of ${document} is missing or not of its column's type`);
  }

  /** An answer that no repetition makes better. */
  #bad(message: string): Outcome {
    const { onError } = this.#parts.plan.limits;
    this.#parts.observer.failed(1);
    if (onError === 'null') return null;
    if (onError === 'deadLetter') return 'failed';
    throw new WeirError(
      'LOOKUP_FAILED',
      `${message}. Correct the table or its schema in the job, or write onError: deadLetter or null`,
    );
  }

  /** What becomes of keys whose request failed for good. Throws where the job does not go on without an answer. */
  #gaveUp(error: unknown, keys: number): Outcome {
    const { onError } = this.#parts.plan.limits;
    if (!isWeirError(error) || !error.retryable) throw error;
    if (onError === 'wait')
      throw new WeirError(
        'LOOKUP_UNAVAILABLE',
        `${this.#name()} does not answer (${messageOf(error)}); the job waits until it does`,
        { cause: error },
      );
    if (onError === 'fail')
      throw new WeirError(
        'LOOKUP_FAILED',
        `${this.#name()} did not answer (${messageOf(error)}) and onError is fail; start the job when it does, or write onError: wait`,
        { cause: error },
      );
    this.#parts.observer.failed(keys);
    return onError === 'null' ? null : 'failed';
  }

  #name(): string {
    const { table, place } = this.#parts.plan;
    return `job ${table.job}, lookup ${table.name} (${place})`;
  }

  // ------------------------------------------------------------------------------------------------ the window

  async #enter(): Promise<void> {
    while (this.#inFlight >= this.#parts.plan.limits.inFlight)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#inFlight++;
    this.#parts.observer.inFlight(this.#inFlight);
  }

  #leave(): void {
    this.#inFlight--;
    this.#parts.observer.inFlight(this.#inFlight);
    this.#waiting.shift()?.();
  }
}

/** Different keys have different texts. */
export function keyId(key: LookupKey): string {
  const [only = ''] = key;
  return key.length === 1 ? only : JSON.stringify(key);
}

/** The value that a key's text stands for, as JSON carries it. */
function keyValue(type: DataType, text: string): unknown {
  switch (type.kind) {
    case 'tinyint':
    case 'smallint':
    case 'int':
      return Number(text);
    case 'bigint':
      return BigInt(text);
    case 'boolean':
      return text === 'true';
    default:
      return text;
  }
}

function joinedUp(documents: readonly Uint8Array[]): Documents {
  const ends = new Uint32Array(documents.length);
  let length = 0;
  documents.forEach((document, index) => {
    length += document.byteLength;
    ends[index] = length;
  });
  const bytes = new Uint8Array(length);
  documents.forEach((document, index) => bytes.set(document, (ends[index] as number) - document.byteLength));
  return { bytes, ends };
}

/** For sources that take no notice of a signal. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
