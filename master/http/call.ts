/** What handlers of routes take and give; checks of what a request brings, by the table of routes. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { WeirError } from '../../core/errors.ts';
import type { Caller } from '../../core/security/roles.ts';
import { includesRole } from '../../core/security/roles.ts';
import type { CodePolicy } from '../service.ts';
import type { RouteSpec, RouteId, Routes } from './routes.ts';

export interface Answer {
  readonly status: number;
  /** Sent as JSON, or as it stands when `type` is given; undefined = nothing. */
  readonly body?: unknown;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

type QueryOf<R extends RouteSpec> = R['query'] extends z.ZodType
  ? z.output<R['query']>
  : Readonly<Record<string, never>>;
type BodyOf<R extends RouteSpec> = R['body'] extends 'jobFile'
  ? string
  : R['body'] extends z.ZodType
    ? z.output<R['body']>
    : undefined;

/** A request that was checked. */
export interface Call<R extends RouteSpec> {
  readonly params: Readonly<Record<string, string>>;
  readonly query: QueryOf<R>;
  readonly body: BodyOf<R>;
  /** Who asks: has the role that the route needs. */
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** `null` = the handler has answered by itself. */
export type Handler<R extends RouteSpec> = (call: Call<R>) => Promise<Answer | null> | Answer | null;
export type Handlers<Ids extends RouteId = RouteId> = { readonly [Id in Ids]: Handler<Routes[Id]> };

/** What becomes of a job with code that the caller sends. */
export function codeOf({ role }: Caller): CodePolicy {
  return includesRole(role, 'submitter-code') ? 'allowed' : 'refused';
}

export const ok = (body: unknown, status = 200): Answer => ({ status, body });

/** Throws: USAGE with what is wrong. */
export function checkCall(
  spec: RouteSpec,
  caller: Caller,
  request: FastifyRequest,
  reply: FastifyReply,
): Call<RouteSpec> {
  const query = spec.query === undefined ? {} : checked(spec.query, single(request.query), 'query parameter');
  return {
    params: request.params as Record<string, string>,
    query: query as Call<RouteSpec>['query'],
    body: (spec.body === undefined ? undefined : readBody(spec.body, request)) as Call<RouteSpec>['body'],
    caller,
    request,
    reply,
  };
}

/** Of a parameter that is given twice the last counts. */
function single(query: unknown): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries((query ?? {}) as Record<string, unknown>).map(([name, value]) => [
      name,
      Array.isArray(value) ? (value as unknown[]).at(-1) : value,
    ]),
  );
}

function readBody(body: NonNullable<RouteSpec['body']>, request: FastifyRequest): unknown {
  const text = typeof request.body === 'string' ? request.body : '';
  if (body === 'jobFile') {
    if (text !== '') return text;
    throw new WeirError('USAGE', 'The request has no body; send the job file, YAML or JSON.');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new WeirError(
      'USAGE',
      `The request needs a body of JSON${text === '' ? '' : '; what it has cannot be parsed'}.`,
    );
  }
  return checked(body, value, 'body');
}

function checked(schema: z.ZodType, value: unknown, what: string): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const place = (issue?.path ?? []).map(String).join('.');
  throw new WeirError(
    'USAGE',
    `The request's ${what}${place === '' ? '' : ` ${place}`} is wrong: ${issue?.message ?? 'it does not fit'}.`,
  );
}
