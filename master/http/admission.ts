/**
 * What happens to every request before its handler: security headers, the check for other web sites, who asks and
 * whether they may, handing on to the leader; and, when it was more than a look, the event that says who asked for what.
 * A route says in its config what it needs; one that says nothing, or does not exist, needs a token like any other.
 */
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { must } from '../../core/assert.ts';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/ports.ts';
import type { Access, Caller } from '../../core/security/roles.ts';
import { localCaller } from '../../core/security/roles.ts';
import type { ClusterEvent } from '../events.ts';
import type { Standing } from '../leadership.ts';
import type { Admission, Gate } from '../security/gate.ts';
import { FORWARDED_HEADER, forward } from './forward.ts';
import { foreignRequest } from './listen.ts';
import type { ProblemDocument } from './problems.ts';
import { methodsAt } from './methods.ts';
import { PROBLEM_TYPE, problem } from './problems.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a request to the route needs. */
    access?: Access;
    /** Answered by the master that is asked, leading or not. */
    here?: boolean;
  }
}

export interface AdmissionParts {
  readonly gate: Gate;
  /** Listened on. */
  readonly host: string;
  readonly log: Log;
  readonly clock: Pick<Clock, 'mono'>;
  readonly standing: () => Standing;
  readonly note: (facts: Pick<ClusterEvent, 'level' | 'kind' | 'message' | 'job'>) => void;
  /** Whose certificate the leader must show when it is asked by HTTPS; PEM. */
  readonly ca?: string;
}

/** Wrong tokens are told in the log so often at most, ms: whoever guesses must not fill the disk. */
const REFUSAL_LOG_INTERVAL_MS = 1000;

/** Adds the hooks; the result says who sent a request that a handler has got. */
export function addAdmission(app: FastifyInstance, parts: AdmissionParts): (request: FastifyRequest) => Caller {
  const callers = new WeakMap<FastifyRequest, Caller>();
  let refusals = 0;
  let refusalsToldAt = Number.NEGATIVE_INFINITY;
  const { gate, log, clock } = parts;

  const refused = (request: FastifyRequest): void => {
    refusals += 1;
    if (clock.mono() - refusalsToldAt < REFUSAL_LOG_INTERVAL_MS) return;
    log.warn({ method: request.method, from: request.ip, refusals }, 'requests without a valid token were refused');
    refusals = 0;
    refusalsToldAt = clock.mono();
  };

  app.addHook('onRequest', async (request, reply) => {
    setHeaders(reply);
    const foreign = foreignReason(request, parts.host);
    if (foreign !== null) return await sendProblem(reply, problem('UNAUTHORIZED', `Refused: ${foreign}.`, 403));
    const access = request.routeOptions.config.access ?? unknownPath(request, gate);
    const admission = gate.judge(request.headers.authorization, access);
    if (admission?.kind === 'unknown') {
      refused(request);
      return await sendRefusal(request, reply, admission);
    }
    if (admission?.kind === 'forbidden') {
      audit(request, admission.caller, 403, parts);
      return await sendRefusal(request, reply, admission);
    }
    callers.set(request, admission?.caller ?? localCaller);
    if (needsLeader(request)) await toLeader(request, reply, parts);
  });

  app.addHook('onResponse', (request, reply, done) => {
    const caller = callers.get(request);
    if (caller !== undefined && !handedOn.has(request)) audit(request, caller, reply.statusCode, parts);
    done();
  });

  return (request) => must(callers.get(request), () => 'a request that was admitted');
}

/** Requests that another master answers, and tells of. */
const handedOn = new WeakSet<FastifyRequest>();

function setHeaders(reply: FastifyReply): void {
  void reply.headers({
    'content-security-policy':
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'cross-origin-resource-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  });
}

function foreignReason(request: FastifyRequest, listensOn: string): string | null {
  const { host, origin, 'sec-fetch-site': site } = request.headers;
  return foreignRequest({ host, origin, fetchSite: typeof site === 'string' ? site : undefined }, listensOn);
}

/** What is not there needs a token where anything does, so that nobody learns by asking what there is. */
function unknownPath(request: FastifyRequest, gate: Gate): Access {
  const isLook = request.method === 'GET' && !request.url.startsWith('/v1');
  return gate.loopback && isLook && request.is404 ? 'local' : 'viewer';
}

function needsLeader({ routeOptions, url, is404 }: FastifyRequest): boolean {
  if (routeOptions.config.here === true) return false;
  if (!is404) return (routeOptions.url ?? '').startsWith('/v1');
  // That a path has no such method every master knows.
  return url.startsWith('/v1') && methodsAt(url.split('?')[0] ?? '').length === 0;
}

// ----------------------------------------------------------------------------------------------------------- refusals

async function sendRefusal(
  request: FastifyRequest,
  reply: FastifyReply,
  admission: Exclude<Admission, { readonly kind: 'admitted' }>,
): Promise<void> {
  if (admission.kind === 'unknown') {
    void reply.header('www-authenticate', 'Bearer realm="weir"');
    const remedy = 'send it as "Authorization: Bearer …", or give the weir command --token or WEIR_TOKEN.';
    const detail =
      request.headers.authorization === undefined
        ? `This master asks for a token: ${remedy}`
        : `This master does not take the token: it is another master's, has expired or was taken back. With one that is good: ${remedy}`;
    return await sendProblem(reply, problem('UNAUTHORIZED', detail));
  }
  const { caller, needed } = admission;
  void reply.header('www-authenticate', `Bearer realm="weir", error="insufficient_scope", scope="${needed}"`);
  const detail = `This needs the role ${needed}; the token ${caller.name} has the role ${caller.role}. An admin makes another one: weir token create NAME --role ${needed}.`;
  return await sendProblem(reply, problem('FORBIDDEN', detail));
}

// -------------------------------------------------------------------------------------------------------------- audit

/** Roles whose requests change something; a look is no event. */
const changing = new Set<Access>(['operator', 'submitter-declarative', 'submitter-code', 'admin']);
/** Requests that send something to look at it. */
const looks = new Set(['/v1/validate', '/v1/try', '/v1/query']);

function audit(request: FastifyRequest, caller: Caller, status: number, { log, note }: AdmissionParts): void {
  const { access } = request.routeOptions.config;
  const route = request.routeOptions.url ?? '';
  if (access === undefined || !changing.has(access)) return;
  if (status !== 403 && (request.method === 'GET' || looks.has(route))) return;
  const { name } = (request.params ?? {}) as { readonly name?: string };
  const job = route.startsWith('/v1/jobs/') ? (name ?? null) : null;
  const path = printable(request.url.split('?')[0] ?? '');
  const body = typeof request.body === 'string' && request.body !== '' ? ` body sha256:${shortHash(request.body)}` : '';
  const outcome = status < 400 ? 'done' : status === 403 ? 'refused' : `failed (${status})`;
  const message = `${caller.name} (${caller.role}): ${request.method} ${path}${body}: ${outcome}.`;
  const level = status === 403 ? 'warn' : 'info';
  note({ level, kind: 'audit', job, message });
  const facts = { audit: true, caller: caller.name, role: caller.role, method: request.method, path, status, job };
  log[level](facts, message);
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function printable(text: string): string {
  return text.slice(0, 300).replaceAll(/[^\x21-\x7e]/g, '?');
}

// -------------------------------------------------------------------------------------------------------- the leader

async function toLeader(request: FastifyRequest, reply: FastifyReply, parts: AdmissionParts): Promise<void> {
  const standing = parts.standing();
  const forwarded = request.headers[FORWARDED_HEADER] !== undefined;
  if (standing.role === 'standby' && standing.leader !== null && !forwarded) {
    const { leader } = standing;
    handedOn.add(request);
    const stillLeads = (): boolean => {
      const now = parts.standing();
      return now.role === 'standby' && now.leader === leader;
    };
    return await forward(
      request,
      reply,
      { base: leader, ...(parts.ca === undefined ? {} : { ca: parts.ca }) },
      stillLeads,
    );
  }
  const reason = notReady(standing);
  if (reason === null) return;
  void reply.header('retry-after', '1');
  await sendProblem(reply, problem('MASTER_UNREACHABLE', `The master is not ready yet: ${reason}.`));
}

/** For a master that knows of no others. */
export const leads: Standing = { role: 'leader' };

/** Why this master cannot answer for the cluster at the moment, or null. */
export function notReady(standing: Standing): string | null {
  switch (standing.role) {
    case 'leader':
      return null;
    case 'opening':
      // Before it has read its jobs it would take every job for a new one.
      return 'the jobs are being read from the metadata store';
    case 'standby':
      return standing.leader === null ? 'no master leads yet' : 'this master does not lead';
  }
}

async function sendProblem(reply: FastifyReply, document: ProblemDocument): Promise<void> {
  await send(reply, document.status, document, PROBLEM_TYPE);
}

/** Sends a JSON document. */
export async function send(
  reply: FastifyReply,
  status: number,
  body: unknown,
  type = 'application/json',
): Promise<void> {
  await reply
    .code(status)
    .type(type)
    .send(`${JSON.stringify(body)}\n`);
}
