/**
 * Rows looked up from a web service: GET with the key in the address, a JSON object as the answer. 404 and 204 say that
 * there is no row. Connections are kept; redirects are not followed.
 *
 * Source: RFC 9110 (status codes, Retry-After), RFC 3986 (percent-encoding of what stands between slashes).
 */
import https from 'node:https';
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
import { parseJson, valueAt } from '../../core/feed/json-path.ts';
import type { LookupAnswer, LookupConnector, LookupKey, LookupSource, LookupTable } from '../../core/lookup.ts';
import type { OutboundPolicy } from '../../core/security/outbound.ts';
import { http } from '../system/node-http.ts';
import { askOutside, type OutboundAnswer } from '../system/outbound.ts';

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Of an answer's text, for messages. */
const ANSWER_CHARACTERS = 200;
/** Connections that stay open without a request. */
const IDLE_SOCKETS_MAX = 64;

export interface HttpLookupParts {
  readonly policy: OutboundPolicy;
  /** Fills in references to secrets. Throws: CONFIG_INVALID. */
  readonly secret: (text: string) => string;
}

export class HttpLookups implements LookupConnector {
  readonly #parts: HttpLookupParts;

  constructor(parts: HttpLookupParts) {
    this.#parts = parts;
  }

  open(table: LookupTable): Promise<LookupSource> {
    const { policy, secret } = this.#parts;
    const { settings } = table;
    const headers = JSON.parse(String(settings['headers'] ?? '{}')) as Record<string, string>;
    const source = new HttpLookup(table, {
      policy,
      url: secret(String(settings['url'])),
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, secret(value)])),
      select: typeof settings['select'] === 'string' ? settings['select'] : '',
    });
    return Promise.resolve(source);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface HttpPlace {
  readonly policy: OutboundPolicy;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly select: string;
}

class HttpLookup implements LookupSource {
  readonly keysMax = 1;
  readonly #table: LookupTable;
  readonly #place: HttpPlace;
  readonly #agent;

  constructor(table: LookupTable, place: HttpPlace) {
    this.#table = table;
    this.#place = place;
    const options = { keepAlive: true, maxFreeSockets: IDLE_SOCKETS_MAX };
    this.#agent = place.url.startsWith('https:') ? new https.Agent(options) : new http.Agent(options);
  }

  async ask(keys: readonly LookupKey[], signal: AbortSignal): Promise<readonly LookupAnswer[]> {
    return await Promise.all(keys.map((key) => this.#one(key, signal)));
  }

  close(): Promise<void> {
    this.#agent.destroy();
    return Promise.resolve();
  }

  async #one(key: LookupKey, signal: AbortSignal): Promise<LookupAnswer> {
    const { policy, headers } = this.#place;
    const url = new URL(this.#urlOf(key));
    let answer: OutboundAnswer;
    try {
      answer = await askOutside(url, policy, {
        headers: { accept: 'application/json', 'user-agent': 'weir', ...headers },
        signal,
        bytesMax: ANSWER_BYTES_MAX,
        agent: this.#agent,
      });
    } catch (error) {
      if (isWeirError(error, 'FORBIDDEN')) throw error;
      throw new WeirError('LOOKUP_UNAVAILABLE', `${this.#name()} does not answer (${messageOf(error)})`, {
        cause: error,
      });
    }
    return this.#read(answer);
  }

  #urlOf(key: LookupKey): string {
    return this.#place.url.replaceAll(/(?<!\$)\{([^}]*)\}/g, (_, name: string) =>
      encodeURIComponent(key[this.#table.key.indexOf(name)] ?? ''),
    );
  }

  #read({ status, text }: OutboundAnswer): LookupAnswer {
    if (status === 404 || status === 410 || status === 204) return { kind: 'none' };
    const said = `${this.#name()} answered ${status}`;
    if (status === 401 || status === 403 || status === 407)
      throw new WeirError('UNAUTHORIZED', `${said}; check the headers of the lookup and the secrets in them`);
    if (status >= 500 || status === 408 || status === 425 || status === 429)
      throw new WeirError('LOOKUP_UNAVAILABLE', said);
    if (status !== 200) return { kind: 'bad', message: `${said}${shown(text)}, which is no row` };
    let row: unknown;
    try {
      row = valueAt(parseJson(text), this.#place.select);
    } catch {
      return { kind: 'bad', message: `${this.#name()} answered what is not JSON${shown(text)}` };
    }
    if (row === null) return { kind: 'none' };
    if (typeof row !== 'object' || Array.isArray(row)) {
      const where = this.#place.select === '' ? 'the answer' : this.#place.select;
      return { kind: 'bad', message: `${this.#name()}: ${where} is no JSON object${shown(text)}` };
    }
    const fields = new Map(Object.entries(row));
    return { kind: 'row', values: this.#table.columns.map(({ name }) => fields.get(name) ?? null) };
  }

  /** As the job file has it, without parameters: secrets and keys do not stand in it. */
  #name(): string {
    const { job, name, settings } = this.#table;
    const url = String(settings['url'])
      .replace(/\?.*$/, '')
      .replace(/\/\/[^/@]*@/, '//');
    return `job ${job}, lookup ${name}: GET ${url}`;
  }
}

function shown(text: string): string {
  return text === '' ? '' : ` (${text.slice(0, ANSWER_CHARACTERS)})`;
}
