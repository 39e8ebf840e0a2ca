/**
 * Files in a bucket of S3 or a service that speaks its protocol. It must honour `If-None-Match: *` on PUT, which is what
 * keeps two writers from both creating an entry of the log: Amazon does, as do MinIO and others; a service that ignores it
 * is found out when the sink is opened.
 */
import type { Clock } from '../../core/clock.ts';
import { WeirError, messageOf } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type { FilePlace } from './file-place.ts';
import type { S3Credentials } from './s3-signature.ts';
import { encodeS3, signed } from './s3-signature.ts';

const REQUEST_MS_MAX = 60_000;
const REMOVED_AT_ONCE = 8;

export interface S3Options {
  readonly bucket: string;
  /** Ends with a slash, or is empty. */
  readonly prefix: string;
  /** Base address; buckets are in the path there. undefined = Amazon's. */
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly credentials: S3Credentials;
  /** An answer that takes longer is none, ms; default: a minute. */
  readonly requestMsMax?: number;
}

export class S3Place implements FilePlace {
  readonly description: string;
  readonly moves = false;
  readonly #options: S3Options;
  readonly #clock: Clock;

  constructor(options: S3Options, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.description = `s3://${options.bucket}/${options.prefix}`;
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    await this.#expect(await this.#send('PUT', name, { body: bytes }), 'write', name);
  }

  async create(name: string, bytes: Uint8Array): Promise<boolean> {
    const answer = await this.#send('PUT', name, { body: bytes, headers: { 'if-none-match': '*' } });
    // 409: another creation of the same name is under way; it is told apart by trying again.
    if (answer.status === 412) {
      await answer.arrayBuffer();
      return false;
    }
    await this.#expect(answer, 'create', name);
    return true;
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    const answer = await this.#send('GET', name);
    if (answer.status === 404) {
      await answer.arrayBuffer();
      return undefined;
    }
    return new Uint8Array(await this.#expect(answer, 'read', name));
  }

  async list(prefix: string): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
    const found: { name: string; bytes: number }[] = [];
    for (let from: string | undefined = ''; from !== undefined;) {
      const query: Record<string, string> = { 'list-type': '2', prefix: this.#options.prefix + prefix };
      if (from !== '') query['continuation-token'] = from;
      const answer = await this.#expect(await this.#send('GET', null, { query }), 'list', prefix);
      const text = Buffer.from(answer).toString('utf8');
      for (const [, contents = ''] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
        const name = unescaped(/<Key>(.*?)<\/Key>/s.exec(contents)?.[1] ?? '');
        found.push({
          name: name.slice(this.#options.prefix.length),
          bytes: Number(/<Size>(\d+)<\/Size>/.exec(contents)?.[1] ?? 0),
        });
      }
      const next: string | undefined = /<NextContinuationToken>(.*?)<\/NextContinuationToken>/s.exec(text)?.[1];
      from = next === undefined ? undefined : unescaped(next);
    }
    return found;
  }

  move(): Promise<void> {
    throw new WeirError('UNSUPPORTED', `${this.description} does not move files.`);
  }

  async remove(names: readonly string[]): Promise<void> {
    for (let from = 0; from < names.length; from += REMOVED_AT_ONCE) {
      await Promise.all(
        names.slice(from, from + REMOVED_AT_ONCE).map(async (name) => {
          const answer = await this.#send('DELETE', name);
          if (answer.status !== 404) await this.#expect(answer, 'remove', name);
        }),
      );
    }
  }

  /** `name` null = the bucket itself. Throws: SINK_UNAVAILABLE. */
  async #send(
    method: string,
    name: string | null,
    more: {
      readonly body?: Uint8Array;
      readonly headers?: Readonly<Record<string, string>>;
      readonly query?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<Response> {
    const { region, credentials, requestMsMax = REQUEST_MS_MAX } = this.#options;
    const url = this.#url(name, more.query ?? {});
    const body = more.body ?? new Uint8Array(0);
    const headers = signed({ method, url, headers: more.headers ?? {}, body }, region, credentials, this.#clock.now());
    try {
      return await fetch(url, {
        method,
        headers,
        signal: AbortSignal.timeout(requestMsMax),
        ...(method === 'PUT' ? { body: body as Uint8Array<ArrayBuffer> } : {}),
      });
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
      throw new WeirError(
        'SINK_UNAVAILABLE',
        `${this.description}: ${url.host} does not answer (${cause}); it is tried again.`,
        {
          cause: error,
        },
      );
    }
  }

  #url(name: string | null, query: Readonly<Record<string, string>>): URL {
    const { bucket, endpoint, region, prefix } = this.#options;
    const path = name === null ? '' : encodeS3(prefix + name, true);
    const base =
      endpoint === undefined
        ? `https://${bucket}.s3.${region}.amazonaws.com`
        : `${endpoint.replace(/\/$/, '')}/${bucket}`;
    const text = Object.entries(query).map(([key, value]) => `${encodeS3(key)}=${encodeS3(value)}`);
    return new URL(`${base}/${path}${text.length === 0 ? '' : `?${text.join('&')}`}`);
  }

  async #expect(answer: Response, what: string, name: string): Promise<ArrayBuffer> {
    const body = await answer.arrayBuffer();
    if (answer.ok) return body;
    const text = Buffer.from(body).toString('utf8');
    const said = /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? '';
    const [code, remedy] = failureOf(answer.status, said);
    throw new WeirError(
      code,
      `${this.description}: it could not ${what} ${name}: ${answer.status}${said === '' ? '' : ` ${said}`}; ${remedy}.`,
      { facts: { status: answer.status, s3Code: said } },
    );
  }
}

function failureOf(status: number, said: string): readonly [ErrorCode, string] {
  if (said === 'NoSuchBucket') return ['SINK_REFUSED', 'create the bucket, or correct the path'];
  if (said === 'RequestTimeTooSkewed') return ['CLOCK_SKEW', 'set the clock of the worker'];
  if (status === 401 || status === 403)
    return ['UNAUTHORIZED', 'check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may do'];
  if (status === 409 || status === 408 || status === 429 || status >= 500)
    return ['SINK_UNAVAILABLE', 'it is tried again'];
  return ['SINK_REFUSED', 'the service refuses it'];
}

function unescaped(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll(/&#(\d+);/g, (_, digits: string) => String.fromCharCode(Number(digits)))
    .replaceAll('&amp;', '&');
}
