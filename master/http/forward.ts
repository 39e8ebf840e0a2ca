/**
 * Hands a request on to the master that leads and its answer back, so that a client may ask any master. What was
 * refused for good is told apart from what may be sent again without harm: only that carries Retry-After.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import https from 'node:https';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { http } from '../../connectors/system/node-http.ts';
import { must } from '../../core/assert.ts';
import { PROBLEM_TYPE, problem } from './problems.ts';

/** Marks what one master has handed on already: it is not handed on again. */
export const FORWARDED_HEADER = 'weir-forwarded';
/** A leader that has frozen answers nothing; so often it is asked whether it still leads, ms. */
const CHECK_INTERVAL_MS = 250;

/** Headers of one connection, and those that tell of a browser: this master has judged them. */
const ownHeaders = new Set([
  'connection',
  'keep-alive',
  'host',
  'origin',
  'referer',
  'sec-fetch-site',
  'transfer-encoding',
  'upgrade',
  'expect',
]);

/** Where the master is that leads. */
export interface LeaderAddress {
  /** Base URL. */
  readonly base: string;
  /** Whose certificate it must show; PEM. */
  readonly ca?: string;
}

/** Answers `request` by what the leader answers; gives up when `stillLeads` says no. */
export async function forward(
  request: FastifyRequest,
  reply: FastifyReply,
  { base: leader, ca }: LeaderAddress,
  stillLeads: () => boolean,
): Promise<void> {
  const { raw } = request;
  const headers: OutgoingHttpHeaders = { [FORWARDED_HEADER]: '1' };
  for (const [name, value] of Object.entries(raw.headers)) {
    if (!ownHeaders.has(name) && value !== undefined) headers[name] = value;
  }
  // The body's length goes with it: without one it would not be sent in one piece.
  const url = new URL(leader);
  const outgoing = (url.protocol === 'https:' ? https : http).request(url, {
    // The path as it came, never resolved against anything: `//elsewhere/` is a path too.
    path: must(raw.url, () => 'a URL'),
    ...(ca === undefined ? {} : { ca }),
    method: request.method,
    headers,
    // A kept connection may have died with its master, which would look like a request of unknown fate.
    agent: false,
  });
  let connected = false;
  outgoing.on('socket', (socket) => {
    if (socket.connecting) socket.once('connect', () => (connected = true));
    else connected = true;
  });
  const answered = Promise.withResolvers<IncomingMessage>();
  outgoing.on('response', answered.resolve);
  outgoing.on('error', answered.reject);
  const check = setInterval(() => {
    if (!stillLeads()) outgoing.destroy(new Error('it does not lead any more'));
  }, CHECK_INTERVAL_MS);
  raw.pipe(outgoing);
  let response: IncomingMessage;
  try {
    response = await answered.promise;
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    const repeatable = !connected || request.method !== 'POST';
    if (repeatable) void reply.header('retry-after', '1');
    const detail = `The leading master at ${leader} did not answer (${why}); another one takes over within seconds.`;
    const document = problem('MASTER_UNREACHABLE', detail, repeatable ? 503 : 502);
    await reply
      .code(document.status)
      .type(PROBLEM_TYPE)
      .send(`${JSON.stringify(document)}\n`);
    return;
  } finally {
    clearInterval(check);
  }
  for (const name of ['content-type', 'retry-after', 'www-authenticate'] as const) {
    const value = response.headers[name];
    if (value !== undefined) void reply.header(name, value);
  }
  await reply.code(response.statusCode ?? 502).send(response);
}
