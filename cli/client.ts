/** The master's REST interface as the commands use it. */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { http } from '../connectors/system/node-http.ts';
import type { ErrorCode } from '../core/errors.ts';
import { WeirError, errorTable } from '../core/errors.ts';
import type { JobProblem } from '../core/job/problem.ts';
import type { QueryResult } from '../core/ports.ts';
import type { SavepointView } from '../master/http/documents.ts';
import type { ApplyOutcome } from '../master/service.ts';
import type { JobView, WorkerView } from '../master/views.ts';
import type { Target } from './settings.ts';

/** ms for a whole answer; a query may take its time. */
const REQUEST_TIMEOUT_MS = 60_000;

/** Actions without a body. */
export type JobAction = 'stop' | 'pause' | 'cancel' | 'start' | 'resume';

interface Answer {
  readonly status: number;
  /** The master says that nothing was done and asking again may help. */
  readonly mayRepeat: boolean;
  readonly body: unknown;
}

/** While nobody leads, as after the death of a master, a request is tried again for so long, ms. */
const LEADERLESS_LIMIT_MS = 10_000;
const LEADERLESS_PAUSE_MS = 200;
/** A master that may have frozen is given so long to say whether it is there, when there are others, ms. */
const READY_LIMIT_MS = 1500;

/** All methods throw MASTER_UNREACHABLE, UNAUTHORIZED, and what the master answers with. */
export class MasterClient {
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  get address(): string {
    return this.#target.address;
  }

  /** Any route of REST by its path. */
  async request<T>(method: string, path: string, body?: unknown): Promise<T> {
    return await this.#ask<T>(method, path, body === undefined ? undefined : JSON.stringify(body));
  }

  /** As {@link request}, of a route that takes a job file; a refused file comes back as its problems, not as an error. */
  async requestOrProblems<T>(
    method: string,
    path: string,
    body: unknown,
  ): Promise<{ readonly value: T } | { readonly problems: readonly JobProblem[] }> {
    const answer = await this.#send(method, path, JSON.stringify(body), 'application/json');
    const problems = answer.status === 422 ? problemsOf(answer.body) : undefined;
    return problems === undefined ? { value: this.#value<T>(answer) } : { problems };
  }

  /** As {@link request}, with the text of a job file. */
  async sendFile<T>(method: string, path: string, text: string): Promise<T> {
    return this.#value<T>(await this.#send(method, path, text, 'application/yaml'));
  }

  /**
   * Calls `onEvent` with what each server-sent event holds until the signal aborts or the master ends the stream, and
   * `onOpen` when it has begun.
   */
  async follow(path: string, onEvent: (data: unknown) => void, signal: AbortSignal, onOpen: () => void): Promise<void> {
    const address = await this.#master();
    const { token, ca } = this.#target;
    let response: IncomingMessage;
    try {
      response = await openStream(new URL(address + path), { token, ca, signal });
    } catch (cause) {
      if (signal.aborted) return;
      throw unreachableMaster(address, cause);
    }
    if (response.statusCode !== 200) {
      const body = parseBody(Buffer.concat(await response.toArray()).toString());
      this.#value({ status: response.statusCode ?? 0, mayRepeat: false, body });
      return;
    }
    onOpen();
    let text = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response) {
        text += decoder.decode(chunk as Uint8Array, { stream: true });
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const lines = text.slice(0, end).split('\n');
          text = text.slice(end + 2);
          const data = lines.find((line) => line.startsWith('data: '))?.slice('data: '.length);
          if (data !== undefined) onEvent(JSON.parse(data) as unknown);
        }
      }
    } catch (error) {
      if (!signal.aborted) throw unreachableMaster(address, error);
    }
  }

  /** `selector`: labels, as core/job/labels.ts reads them. */
  async jobs(selector?: string): Promise<readonly JobView[]> {
    const query = selector === undefined ? '' : `?label=${encodeURIComponent(selector)}`;
    return (await this.#ask<{ jobs: JobView[] }>('GET', `/v1/jobs${query}`)).jobs;
  }

  async jobNames(selector: string): Promise<readonly string[]> {
    const path = `/v1/jobs?fields=summary&label=${encodeURIComponent(selector)}`;
    return (await this.#ask<{ jobs: { readonly name: string }[] }>('GET', path)).jobs.map(({ name }) => name);
  }

  async job(name: string): Promise<JobView> {
    return await this.#ask<JobView>('GET', `/v1/jobs/${encodeURIComponent(name)}`);
  }

  async workers(): Promise<readonly WorkerView[]> {
    return (await this.#ask<{ workers: WorkerView[] }>('GET', '/v1/workers')).workers;
  }

  /** A refused file comes back as an outcome, not as an error. */
  async apply(
    name: string,
    text: string,
    options: { readonly dryRun: boolean; readonly start?: string; readonly paused?: boolean },
  ): Promise<ApplyOutcome> {
    const query = new URLSearchParams();
    if (options.dryRun) query.set('dryRun', 'true');
    if (options.start !== undefined) query.set('start', options.start);
    if (options.paused === true) query.set('paused', 'true');
    const answer = await this.#send(
      'PUT',
      `/v1/jobs/${encodeURIComponent(name)}?${query.toString()}`,
      text,
      'application/yaml',
    );
    const problems = problemsOf(answer.body);
    if (answer.status === 422 && problems !== undefined) return { kind: 'refused', problems };
    return this.#value<ApplyOutcome>(answer);
  }

  async act(name: string, action: JobAction): Promise<void> {
    await this.#ask('POST', `/v1/jobs/${encodeURIComponent(name)}/${action}`);
  }

  async remove(name: string): Promise<void> {
    await this.#ask('DELETE', `/v1/jobs/${encodeURIComponent(name)}`);
  }

  /** Runs the epochs that are due in a job triggered by hand; how many there were. */
  async step(name: string): Promise<{ readonly epochs: number }> {
    return await this.#ask('POST', `/v1/jobs/${encodeURIComponent(name)}/step`, '{}');
  }

  /** `to`: default the revision before. What people should know of the change. */
  async rollback(name: string, to?: number): Promise<readonly string[]> {
    const query = to === undefined ? '' : `?to=${to}`;
    const path = `/v1/jobs/${encodeURIComponent(name)}/rollback${query}`;
    return (await this.#ask<{ warnings?: readonly string[] } | undefined>('POST', path))?.warnings ?? [];
  }

  async savepoints(job: string): Promise<readonly SavepointView[]> {
    const path = `/v1/jobs/${encodeURIComponent(job)}/savepoints`;
    return (await this.#ask<{ savepoints: SavepointView[] }>('GET', path)).savepoints;
  }

  async createSavepoint(job: string, name: string): Promise<SavepointView> {
    return await this.#ask('PUT', `/v1/jobs/${encodeURIComponent(job)}/savepoints/${encodeURIComponent(name)}`);
  }

  async deleteSavepoint(job: string, name: string): Promise<void> {
    await this.#ask('DELETE', `/v1/jobs/${encodeURIComponent(job)}/savepoints/${encodeURIComponent(name)}`);
  }

  async query(cql: string): Promise<QueryResult> {
    return await this.#ask<QueryResult>('POST', '/v1/query', JSON.stringify({ cql }));
  }

  async #ask<T>(method: string, path: string, body?: string): Promise<T> {
    return this.#value<T>(await this.#send(method, path, body, 'application/json'));
  }

  #value<T>(answer: Answer): T {
    if (answer.status < 400) return answer.body as T;
    const { code, detail } = (answer.body ?? {}) as { code?: string; detail?: string };
    if (code === undefined || !Object.hasOwn(errorTable, code)) {
      throw new WeirError(
        'MASTER_UNREACHABLE',
        `What answers at ${this.#target.address} is no master of Weir (HTTP status ${answer.status}).`,
      );
    }
    throw new WeirError(code as ErrorCode, detail ?? errorTable[code as ErrorCode].text);
  }

  /** Goes on to another master when one is not there, and waits while nobody leads; no request is sent twice that was taken. */
  async #send(method: string, path: string, body: string | undefined, type: string): Promise<Answer> {
    const deadline = performance.now() + LEADERLESS_LIMIT_MS;
    for (;;) {
      const answer = await this.#sendTo(await this.#master(), method, path, body, type);
      if (answer.status !== 503 || !answer.mayRepeat || performance.now() > deadline) return answer;
      await sleep(LEADERLESS_PAUSE_MS);
    }
  }

  /** The first master that is ready to answer; the first one of all when none is, or it is the only one. */
  async #master(): Promise<string> {
    const { address, others = [], token, ca } = this.#target;
    if (others.length === 0) return address;
    for (const one of [address, ...others]) {
      try {
        const { status } = await ask({
          url: new URL(`${one}/readyz`),
          method: 'GET',
          token,
          ca,
          limitMs: READY_LIMIT_MS,
        });
        if (status === 200) return one;
      } catch {
        // The next one is asked.
      }
    }
    return address;
  }

  async #sendTo(
    address: string,
    method: string,
    path: string,
    body: string | undefined,
    type: string,
  ): Promise<Answer> {
    const { token, ca } = this.#target;
    const url = new URL(address + path);
    try {
      return await ask({
        url,
        method,
        token,
        ca,
        limitMs: this.#target.requestLimitMs ?? REQUEST_TIMEOUT_MS,
        ...(body === undefined ? {} : { body, type }),
      });
    } catch (cause) {
      throw unreachableMaster(address, cause);
    }
  }
}

interface Request {
  readonly url: URL;
  readonly method: string;
  readonly token: string | null;
  readonly ca: string | undefined;
  readonly limitMs: number;
  readonly body?: string;
  readonly type?: string;
}

/** Rejects with what Node says when no answer comes. */
async function ask({ url, method, token, ca, limitMs, body, type }: Request): Promise<Answer> {
  const { request } = await clientOf(url);
  const headers: OutgoingHttpHeaders = {
    accept: 'application/json',
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) }),
  };
  const answered = Promise.withResolvers<Answer>();
  const options = { method, headers, signal: AbortSignal.timeout(limitMs), ...(await trust(ca)) };
  const outgoing = request(url, options, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', answered.reject);
    response.on('end', () =>
      answered.resolve({
        status: response.statusCode ?? 0,
        mayRepeat: response.headers['retry-after'] !== undefined,
        body: parseBody(Buffer.concat(chunks).toString()),
      }),
    );
  });
  outgoing.on('error', answered.reject);
  outgoing.end(body);
  return await answered.promise;
}

async function clientOf(url: URL): Promise<Pick<typeof http, 'request'>> {
  return url.protocol === 'https:' ? await import('node:https') : http;
}

/** The system's certificates stay good beside those given. */
async function trust(ca: string | undefined): Promise<{ readonly ca?: readonly string[] }> {
  if (ca === undefined) return {};
  const { getCACertificates } = await import('node:tls');
  return { ca: [...getCACertificates('default'), ca] };
}

/** The head of an answer that goes on. */
async function openStream(
  url: URL,
  {
    token,
    ca,
    signal,
  }: {
    readonly token: string | null;
    readonly ca: string | undefined;
    readonly signal: AbortSignal;
  },
): Promise<IncomingMessage> {
  const { request } = await clientOf(url);
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  const options = { headers, signal, ...(await trust(ca)) };
  return await new Promise((resolve, reject) => {
    request(url, options, resolve).on('error', reject).end();
  });
}

function unreachableMaster(address: string, cause: unknown): WeirError {
  const { code, name } = cause as { code?: string; name?: string };
  if (/CERT|ALTNAME|SELF_SIGNED|ISSUER|VERIFY/.test(code ?? '')) {
    return new WeirError(
      'UNAUTHORIZED',
      `The certificate of the master at ${address} is not to be trusted (${code}); give the file ca.pem of its security folder with --ca or WEIR_CA.`,
      { cause },
    );
  }
  if (code?.startsWith('HPE_') === true) {
    return new WeirError(
      'MASTER_UNREACHABLE',
      `What listens at ${address} does not speak HTTP: it may be the port of the workers (7077) or of the embedded process (7079). REST is at 7080, unless the master was told another port.`,
      { cause },
    );
  }
  const why = name === 'TimeoutError' || name === 'AbortError' ? 'no answer in time' : (code ?? 'connection failed');
  const remedy = 'start one with "npm start" or "weir master", or name another with --address or WEIR_ADDRESS.';
  return new WeirError('MASTER_UNREACHABLE', `No master answers at ${address} (${why}); ${remedy}`, { cause });
}

function parseBody(text: string): unknown {
  try {
    return text === '' ? null : (JSON.parse(text) as unknown);
  } catch {
    return null;
  }
}

function problemsOf(body: unknown): readonly JobProblem[] | undefined {
  const problems = (body as { problems?: unknown } | null)?.problems;
  return Array.isArray(problems) ? (problems as JobProblem[]) : undefined;
}
