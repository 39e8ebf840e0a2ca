/**
 * Confluent's Schema Registry API, version 7, of which this uses: schemas by id, and the latest version of a subject, with
 * everything they refer to; finding, judging and registering the schemas of sinks. A schema never changes under its
 * id, so it is asked for once per process.
 */
import { z } from 'zod';
import { backoffMs } from '../../core/clock.ts';
import type { Clock, Rng } from '../../core/clock.ts';
import { messageOf, WeirError } from '../../core/errors.ts';
import { askOutside } from '../system/outbound.ts';
import type { RegistryOptions } from './options.ts';

/** What a sink writes with. */
export interface SinkSchema {
  readonly kind: 'AVRO' | 'PROTOBUF';
  readonly schema: string;
  /** Texts that a .proto imports, each before those that import it; each is registered under its name. */
  readonly references: readonly { readonly name: string; readonly schema: string }[];
}

/** A schema with what it refers to, each before those that refer to it. */
export interface RegisteredSchema {
  readonly id: number;
  readonly type: 'AVRO' | 'PROTOBUF' | 'JSON';
  readonly schema: string;
  readonly references: readonly { readonly name: string; readonly schema: string }[];
}

/** That there is no schema under an id. */
export interface UnknownSchema {
  readonly id: number;
  readonly type: 'UNKNOWN';
}

/** How a request ended; `unknown`: the registry does not have what was asked for. */
export type RegistryOutcome = 'ok' | 'unknown' | 'failed';

export interface RegistryParts {
  readonly clock: Clock;
  readonly rng: Rng;
  /** Told after every request. */
  readonly onRequest?: (outcome: RegistryOutcome) => void;
}

const REQUEST_MS_MAX = 5000;
/** Of an answer. */
const ANSWER_BYTES_MAX = 8 << 20;
/** Requests for one answer, before the caller is told that there is none. */
const ATTEMPTS = 3;
/** An id that is not there may come: producers register before they write, but registries copy from each other. */
const UNKNOWN_MS = 30_000;
/** Schemas that one schema refers to, directly or not. */
const REFERENCES_MAX = 256;

const reference = z.object({ name: z.string(), subject: z.string(), version: z.number().int() });
type Reference = z.output<typeof reference>;
const idAnswer = z.object({ id: z.number().int() });
const versionAnswer = z.object({ version: z.number().int() });
const compatibleAnswer = z.object({ is_compatible: z.boolean() });
const errorAnswer = z.object({ error_code: z.number(), message: z.string().default('no reason given') });
const answer = z.object({
  schema: z.string(),
  schemaType: z.enum(['AVRO', 'PROTOBUF', 'JSON']).nullish(),
  references: z.array(reference).nullish(),
  id: z.number().int().optional(),
});
type Answer = z.output<typeof answer>;

interface Question {
  readonly path: string;
  /** Sent by POST; absent = GET. */
  readonly body?: {
    readonly schema: string;
    readonly schemaType: SinkSchema['kind'];
    readonly references?: readonly Reference[];
  };
}

/** One per registry and process. Owns nothing that has to be closed. */
export class SchemaRegistryClient {
  readonly #options: RegistryOptions;
  readonly #parts: RegistryParts;
  readonly #byId = new Map<number, Promise<RegisteredSchema | UnknownSchema>>();

  constructor(options: RegistryOptions, parts: RegistryParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /**
   * The schema of an id. Throws: SCHEMA_REGISTRY_UNAVAILABLE, UNAUTHORIZED, SCHEMA_INVALID when what it refers to is not
   * there.
   */
  byId(id: number): Promise<RegisteredSchema | UnknownSchema> {
    let known = this.#byId.get(id);
    if (known === undefined) {
      known = this.#read(id);
      this.#byId.set(id, known);
      const forget = (): void => void this.#byId.delete(id);
      known.then((found) => {
        if (found.type === 'UNKNOWN') this.#parts.clock.timer(UNKNOWN_MS, forget);
      }, forget);
    }
    return known;
  }

  /**
   * The latest schema of a subject; undefined when there is none. Throws: SCHEMA_REGISTRY_UNAVAILABLE, UNAUTHORIZED,
   * SCHEMA_INVALID.
   */
  async latest(subject: string): Promise<RegisteredSchema | undefined> {
    const found = await this.#get(answer, { path: `${subjectPath(subject)}/versions/latest` });
    return found === undefined ? undefined : await this.#whole(found, found.id ?? 0);
  }

  /**
   * The id of a schema under a subject; undefined when the subject does not have it. Throws:
   * SCHEMA_REGISTRY_UNAVAILABLE, UNAUTHORIZED.
   */
  async find(subject: string, schema: SinkSchema): Promise<number | undefined> {
    const references = await this.#versionsOf(schema);
    if (references === undefined) return undefined;
    return (await this.#get(idAnswer, { path: subjectPath(subject), body: bodyOf(schema, references) }))?.id;
  }

  /**
   * Whether the subject would take a schema beside its latest one, by the compatibility that it asks for. One that refers
   * to what is not registered yet can be judged only when it is registered. Throws: SCHEMA_REGISTRY_UNAVAILABLE,
   * UNAUTHORIZED.
   */
  async accepts(subject: string, schema: SinkSchema): Promise<boolean> {
    const references = await this.#versionsOf(schema);
    if (references === undefined) return true;
    const path = `/compatibility${subjectPath(subject)}/versions/latest`;
    const judged = await this.#get(compatibleAnswer, { path, body: bodyOf(schema, references) });
    // A subject without a version takes any.
    return judged?.is_compatible ?? true;
  }

  /**
   * The id of a schema, which is registered when it is new, after what it refers to. Throws: SCHEMA_REGISTRY_UNAVAILABLE,
   * UNAUTHORIZED, SCHEMA_REFUSED.
   */
  async register(subject: string, schema: SinkSchema): Promise<number> {
    const known: Reference[] = [];
    for (const { name, schema: text } of schema.references) {
      const referred: SinkSchema = { ...schema, schema: text };
      const references = known.filter((each) => imports(text, each.name));
      await this.#register(name, referred, references);
      const version = await this.#versionOf(name, referred, references);
      if (version === undefined) throw this.#unavailable(`it does not find ${name}, which it has just taken`);
      known.push({ name, subject: name, version });
    }
    return await this.#register(
      subject,
      schema,
      known.filter(({ name }) => imports(schema.schema, name)),
    );
  }

  async #register(subject: string, schema: SinkSchema, references: readonly Reference[]): Promise<number> {
    const question = { path: `${subjectPath(subject)}/versions`, body: bodyOf(schema, references) };
    const registered = await this.#get(idAnswer, question);
    if (registered === undefined)
      throw this.#unavailable('it answers 404 to a new schema, so it probably takes none at this address');
    return registered.id;
  }

  /** What the schema imports, as the registry has it; undefined where it lacks some of it. */
  async #versionsOf(schema: SinkSchema): Promise<Reference[] | undefined> {
    const known: Reference[] = [];
    for (const { name, schema: text } of schema.references) {
      const references = known.filter((each) => imports(text, each.name));
      const version = await this.#versionOf(name, { ...schema, schema: text }, references);
      if (version === undefined) return undefined;
      known.push({ name, subject: name, version });
    }
    return known.filter(({ name }) => imports(schema.schema, name));
  }

  async #versionOf(subject: string, schema: SinkSchema, references: readonly Reference[]): Promise<number | undefined> {
    const question = { path: subjectPath(subject), body: bodyOf(schema, references) };
    return (await this.#get(versionAnswer, question))?.version;
  }

  async #read(id: number): Promise<RegisteredSchema | UnknownSchema> {
    // A negative number is none that a registry gives out.
    const found = id < 0 ? undefined : await this.#get(answer, { path: `/schemas/ids/${id}` });
    return found === undefined ? { id, type: 'UNKNOWN' } : await this.#whole(found, id);
  }

  async #whole({ schema, schemaType, references }: Answer, id: number): Promise<RegisteredSchema> {
    const found = new Map<string, string>();
    await this.#addReferences(references ?? [], found, new Set());
    return {
      id,
      type: schemaType ?? 'AVRO',
      schema,
      references: [...found].map(([name, text]) => ({ name, schema: text })),
    };
  }

  async #addReferences(
    references: readonly Reference[],
    found: Map<string, string>,
    asked: Set<string>,
  ): Promise<void> {
    for (const { name, subject, version } of references) {
      const place = `${subject}/${version}`;
      if (asked.has(place) || found.has(name)) continue;
      asked.add(place);
      if (asked.size > REFERENCES_MAX)
        throw new WeirError(
          'SCHEMA_INVALID',
          `A schema of ${this.#options.url} refers to more than ${REFERENCES_MAX}.`,
        );
      const referred = await this.#get(answer, { path: `${subjectPath(subject)}/versions/${version}` });
      if (referred === undefined) {
        throw new WeirError(
          'SCHEMA_INVALID',
          `A schema of ${this.#options.url} refers to version ${version} of ${subject}, which the registry does not have.`,
        );
      }
      await this.#addReferences(referred.references ?? [], found, asked);
      found.set(name, referred.schema);
    }
  }

  /** undefined = there is none. */
  async #get<T>(shape: z.ZodType<T>, question: Question): Promise<T | undefined> {
    const { clock, rng } = this.#parts;
    for (let attempt = 0; ; attempt++) {
      try {
        const found = await this.#ask(shape, question);
        this.#parts.onRequest?.(found === undefined ? 'unknown' : 'ok');
        return found;
      } catch (error) {
        this.#parts.onRequest?.('failed');
        if (!(error instanceof WeirError) || !error.retryable || attempt + 1 >= ATTEMPTS) throw error;
        await clock.sleep(backoffMs(rng, attempt));
      }
    }
  }

  async #ask<T>(shape: z.ZodType<T>, { path, body }: Question): Promise<T | undefined> {
    const { url, authorization, outbound = { kind: 'all' } } = this.#options;
    let status: number;
    let text: string;
    try {
      // Redirects are not followed: credentials must not go to another host.
      const answered = await askOutside(new URL(`${url}${path}`), outbound, {
        headers: {
          accept: 'application/vnd.schemaregistry.v1+json, application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/vnd.schemaregistry.v1+json' }),
          ...(authorization === undefined ? {} : { authorization }),
        },
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(REQUEST_MS_MAX),
        bytesMax: ANSWER_BYTES_MAX,
      });
      ({ status, text } = answered);
    } catch (error) {
      if (error instanceof WeirError) throw error;
      throw this.#unavailable(causeOf(error), error);
    }
    if (status === 404) {
      if (isRegistryError(text)) return undefined;
      throw this.#unavailable(`it answers 404 without an error code, so ${url} is probably not the API's address`);
    }
    if (status === 401 || status === 403) {
      throw new WeirError(
        'UNAUTHORIZED',
        `The schema registry ${url} refuses the credentials (${status}); set SCHEMA_REGISTRY_USERNAME and ` +
          `SCHEMA_REGISTRY_PASSWORD, or SCHEMA_REGISTRY_TOKEN.`,
      );
    }
    if (status === 409 || status === 422) {
      const { data } = errorAnswer.safeParse(jsonOf(text));
      throw new WeirError(
        'SCHEMA_REFUSED',
        `The schema registry ${url} does not take a schema at ${path} (${status}): ${data?.message ?? 'no reason given'}.`,
      );
    }
    if (status !== 200) throw this.#unavailable(`it answers ${status}`);
    const parsed = shape.safeParse(jsonOf(text));
    if (!parsed.success)
      throw this.#unavailable('its answer is none of the API’s, so the address is probably another one');
    return parsed.data;
  }

  #unavailable(why: string, cause?: unknown): WeirError {
    return new WeirError(
      'SCHEMA_REGISTRY_UNAVAILABLE',
      `The schema registry ${this.#options.url} cannot be asked: ${why}; what needs its schemas waits until it answers.`,
      { cause },
    );
  }
}

function bodyOf({ schema, kind }: SinkSchema, references: readonly Reference[]): NonNullable<Question['body']> {
  return { schema, schemaType: kind, ...(references.length === 0 ? {} : { references }) };
}

/** Whether the text of a .proto imports the file. */
function imports(text: string, name: string): boolean {
  const found = text.matchAll(/(?<![\w.])import\s+(?:public\s+|weak\s+)?["']([^"']+)["']/g);
  return [...found].some(([, imported]) => imported === name);
}

function subjectPath(subject: string): string {
  return `/subjects/${encodeURIComponent(subject)}`;
}

/** Whether a 404 is the registry's own: a proxy or another server says so too. */
function isRegistryError(text: string): boolean {
  return z.object({ error_code: z.number() }).safeParse(jsonOf(text)).success;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of fetch, which tells the reason one level below. */
function causeOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return messageOf(inner) === '' && inner instanceof Error ? inner.name : messageOf(inner);
}
