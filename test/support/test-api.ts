/** A small HTTP API for tests of feeds: people in pages, as randomuser.me gives them, and whatever fault a test asks for. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TestApi {
  /** Without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Paths with parameters, in the order they were asked. */
  readonly requests: { readonly path: string; readonly headers: IncomingMessage['headers'] }[];
  /** People there are; tests make it grow. */
  people: number;
  /** Answers of the next requests instead of the right ones; `hang` never answers. */
  readonly faults: (Fault | 'hang')[];
  close(): Promise<void>;
}

export interface Fault {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The person with a number, in the shape of randomuser.me. */
export function person(number: number): Readonly<Record<string, unknown>> {
  return {
    login: { uuid: `user-${String(number).padStart(6, '0')}`, username: `name${number}` },
    name: { title: 'Ms', first: `First${number}`, last: `Last${number}` },
    gender: number % 2 === 0 ? 'female' : 'male',
    email: `name${number}@example.com`,
    location: { country: ['Spain', 'Norway', 'Brazil'][number % 3], postcode: 10_000 + number },
    seq: number,
  };
}

const PAGE = 10;

/** Serves `/people?page=N` (results, info), `/people-after?after=SEQ`, `/all.csv`, `/all.xml`, `/all.ndjson`, `/linked`. */
export async function startTestApi(people = 25, port = 0): Promise<TestApi> {
  const requests: TestApi['requests'] = [];
  const faults: TestApi['faults'] = [];
  const state = { people };
  const open = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    requests.push({ path: request.url ?? '', headers: request.headers });
    const fault = faults.shift();
    if (fault === 'hang') {
      open.add(response);
      return;
    }
    if (fault !== undefined) {
      response.writeHead(fault.status, fault.headers).end(fault.body ?? '');
      return;
    }
    answer(request, response, state.people);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    requests,
    faults,
    get people() {
      return state.people;
    },
    set people(count) {
      state.people = count;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse, people: number): void {
  const url = new URL(request.url ?? '/', 'http://api');
  const all = Array.from({ length: people }, (_, index) => person(index));
  const page = Number(url.searchParams.get('page') ?? '1');
  const results = all.slice((page - 1) * PAGE, page * PAGE);
  const more = page * PAGE < people;
  switch (url.pathname) {
    case '/people':
      return json(request, response, {
        results,
        info: { page, seed: 'weir', next: more ? `/people?page=${page + 1}` : null },
      });
    case '/linked':
      if (more) response.setHeader('link', `</linked?page=${page + 1}>; rel="next", </linked?page=1>; rel="first"`);
      return json(request, response, results);
    case '/people-after': {
      const after = Number(url.searchParams.get('after') ?? '-1');
      return json(request, response, { results: all.filter(({ seq }) => Number(seq) > after).slice(0, PAGE) });
    }
    case '/cursor': {
      const from = Number(url.searchParams.get('token') ?? '0');
      const next = from + PAGE < people ? String(from + PAGE) : '';
      return json(request, response, { items: all.slice(from, from + PAGE), next });
    }
    case '/offset': {
      const from = Number(url.searchParams.get('offset') ?? '0');
      return json(request, response, { items: all.slice(from, from + Number(url.searchParams.get('limit'))) });
    }
    case '/private':
      if (request.headers.authorization !== 'Bearer right') {
        response.writeHead(401).end('no');
        return;
      }
      return json(request, response, { results });
    case '/all.csv':
      response.writeHead(200, { 'content-type': 'text/csv' });
      response.end(
        `id,name,seq\r\n${all.map(({ seq }) => `u${String(seq)},"Last, ${String(seq)}",${String(seq)}`).join('\r\n')}\r\n`,
      );
      return;
    case '/all.xml':
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.end(
        `<?xml version="1.0"?><feed><!-- all -->${all.map(({ seq }) => `<user id="u${String(seq)}"><name>A &amp; B ${String(seq)}</name><seq>${String(seq)}</seq></user>`).join('')}</feed>`,
      );
      return;
    case '/all.ndjson':
      response.end(all.map((one) => JSON.stringify(one)).join('\n'));
      return;
    default:
      response.writeHead(404).end('nothing here');
  }
}

function json(request: IncomingMessage, response: ServerResponse, value: unknown): void {
  const body = JSON.stringify(value);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 12)}"`;
  response.setHeader('etag', etag);
  if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
  else response.writeHead(200, { 'content-type': 'application/json' }).end(body);
}
