/** Talks to the master: token, JSON, problem documents. */
import { Store } from './store.ts';
import type { JobProblem } from './wire.ts';

/** A refused or failed request, in the words of the master. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly problems: readonly JobProblem[];

  constructor(status: number, code: string, message: string, problems: readonly JobProblem[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.problems = problems;
  }

  /** The master has no such route: it is older than this page. */
  get unserved(): boolean {
    return (this.status === 404 && /There is no (GET|POST|PUT|DELETE) /.test(this.message)) || this.status === 501;
  }
}

const TOKEN_KEY = 'weir-token';

/** True while the master refuses what this page sends as token. */
export const locked = new Store(false);

function readToken(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given !== null) {
    sessionStorage.setItem(TOKEN_KEY, given);
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(TOKEN_KEY);
}

let token = readToken();

/** Kept for this tab alone. */
export function setToken(value: string): void {
  token = value;
  sessionStorage.setItem(TOKEN_KEY, value);
  locked.set(false);
}

export interface RequestOptions {
  readonly method?: string;
  /** Sent as JSON; a string goes as it is. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** The answer, whatever its body. Throws: ApiError. */
export async function open(path: string, options: RequestOptions = {}): Promise<Response> {
  const { method = 'GET', body, signal } = options;
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  if (body !== undefined) headers['content-type'] = typeof body === 'string' ? 'application/yaml' : 'application/json';
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new ApiError(0, 'MASTER_UNREACHABLE', 'The master does not answer.');
  }
  if (answer.ok) return answer;
  if (answer.status === 401) locked.set(true);
  const document = (await answer.json().catch(() => ({}))) as {
    code?: string;
    detail?: string;
    problems?: readonly JobProblem[];
  };
  throw new ApiError(
    answer.status,
    document.code ?? 'INTERNAL',
    document.detail ?? `The master answered ${answer.status}.`,
    document.problems,
  );
}

/** Throws: ApiError. */
export async function ask<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const answer = await open(path, options);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

/** A path of a job's resources. */
export function jobPath(name: string, rest = ''): string {
  return `/v1/jobs/${encodeURIComponent(name)}${rest}`;
}
