/** The OpenAPI 3.1 document, made from the table of routes. */
import { z } from 'zod';
import { jobSpecSchema } from '../../core/job/spec.ts';
import type { RouteSpec } from './routes.ts';
import { PARAMETER_LENGTH_MAX, pathParameters, routes } from './routes.ts';
import * as shapes from './schemas.ts';

type Json = Readonly<Record<string, unknown>>;

/** What a path parameter may be. */
const parameterSchemas = new Map<string, Json>([
  ['name', { type: 'string', pattern: '^[a-z][a-z0-9-]{0,62}$' }],
  ['savepoint', { type: 'string', pattern: '^[a-z0-9][a-z0-9._-]{0,62}$' }],
  ['topic', { type: 'string', pattern: '^[A-Za-z0-9._-]{1,249}$' }],
  ['id', { type: 'string', pattern: `^[A-Za-z0-9._-]{1,${PARAMETER_LENGTH_MAX}}$` }],
]);

/** Schemas that stand in the document once, by their names there. */
const named = new Map<unknown, string>([
  [jobSpecSchema, 'JobFile'],
  ...Object.entries(shapes).flatMap(([name, schema]): [unknown, string][] =>
    name.endsWith('Schema') ? [[schema, name.charAt(0).toUpperCase() + name.slice(1, -'Schema'.length)]] : [],
  ),
]);

/** Names of those that requests carry. */
const requests = new Set(
  Object.values(routes as Readonly<Record<string, RouteSpec>>).flatMap(
    ({ body }) => named.get(body === 'jobFile' ? jobSpecSchema : body) ?? [],
  ),
);

const PROBLEM_REF = { $ref: '#/components/responses/Problem' };
/** What every route that asks for a token may answer. */
const COMMON_PROBLEMS = [400, 401, 403, 503];
/** Of what is sent with a request. */
const TOO_LARGE = 413;

/** `version`: of Weir. The same document for the same version. */
export function openApiDocument(version: string): Json {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [id, spec] of Object.entries(routes) as [string, RouteSpec][])
    (paths[spec.path] ??= {})[spec.method.toLowerCase()] = operation(id, spec);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Weir',
      version,
      description:
        'Jobs, their data and the cluster. Errors are RFC 9457 problem documents with a stable `code`. ' +
        'x-weir-role names the role that a request needs.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:7080' }],
    tags: [...new Set(Object.values(routes).map(({ tag }) => tag))].map((name) => ({ name })),
    security: [{ token: [] }, {}],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: Object.fromEntries(
        [...named].map(([schema, name]) => [
          name,
          jsonSchema(schema as z.ZodType, requests.has(name) ? 'input' : 'output'),
        ]),
      ),
      responses: {
        Problem: {
          description: 'What is wrong',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    },
  };
}

function operation(id: string, spec: RouteSpec): Json {
  const common = spec.role === 'open' ? [400, 403] : COMMON_PROBLEMS;
  const problems = [...common, ...(spec.body === undefined ? [] : [TOO_LARGE]), ...(spec.problems ?? [])];
  const answered = Object.entries(spec.answers).map(([status, answer]) => [status, answerOf(spec, answer)]);
  const others = problems.filter((status) => !(status in spec.answers)).map((status) => [String(status), PROBLEM_REF]);
  return {
    operationId: id,
    tags: [spec.tag],
    summary: spec.summary,
    'x-weir-role': spec.role,
    ...(spec.role === 'open' ? { security: [] } : {}),
    parameters: [...pathParameters(spec.path).map(pathParameter), ...queryParameters(spec)],
    ...(spec.body === undefined ? {} : { requestBody: requestBody(spec.body) }),
    responses: Object.fromEntries(
      [...answered, ...others].toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
    ) as Json,
  };
}

function pathParameter(name: string): Json {
  return { name, in: 'path', required: true, schema: parameterSchemas.get(name) ?? { type: 'string' } };
}

function queryParameters(spec: RouteSpec): Json[] {
  const parameters = Object.entries(spec.query?.shape ?? {}).map(([name, field]): Json => {
    const { description, ...schema } = jsonSchema(field as z.ZodType, 'input');
    return { name, in: 'query', required: false, schema, ...(description === undefined ? {} : { description }) };
  });
  if (spec.path !== '/v1/jobs/{name}' || (spec.method !== 'PUT' && spec.method !== 'PATCH')) return parameters;
  const ifMatch = 'The revision that the job must be at, in quotes or not; 0 = there must be none. Otherwise 412';
  const schema = { type: 'string', pattern: '^(\\*|(W/)?"?[0-9]{1,15}"?)$' };
  return [...parameters, { name: 'If-Match', in: 'header', required: false, schema, description: ifMatch }];
}

function requestBody(body: NonNullable<RouteSpec['body']>): Json {
  if (body !== 'jobFile') {
    const type = body === shapes.jobPatchSchema ? 'application/merge-patch+json' : 'application/json';
    return { required: true, content: { [type]: { schema: schemaOf(body, 'input') } } };
  }
  // What is no job file is a mistake in it (422, or not valid), whatever it is: it is read as text.
  const content = { schema: schemaOf(jobSpecSchema, 'input') };
  return { required: true, content: { 'application/yaml': content, 'application/json': content } };
}

/** What is not JSON of a shape in schemas.ts. */
const textSchemas = new Map<string, Json>([
  ['application/schema+json', { type: 'object' }],
  [
    'text/event-stream',
    {
      type: 'object',
      description: 'One event of the stream',
      required: ['event', 'data'],
      properties: {
        event: { type: 'string', enum: ['event', 'progress', 'jobs', 'job', 'workers', 'log'] },
        data: { type: 'string', description: 'A JSON document' },
        id: { type: 'string', description: 'Of events: what Last-Event-ID takes' },
      },
    },
  ],
]);

function answerOf(spec: RouteSpec, answer: RouteSpec['answers'][number]): Json {
  if (answer === null) return { description: 'Done' };
  if (typeof answer === 'string')
    return {
      description: spec.summary,
      content: { [answer]: { schema: textSchemas.get(answer) ?? { type: 'string' } } },
    };
  return { description: spec.summary, content: { 'application/json': { schema: schemaOf(answer, 'output') } } };
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const name = named.get(schema);
  return name === undefined ? jsonSchema(schema, io) : { $ref: `#/components/schemas/${name}` };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io, unrepresentable: 'any' });
  return rest;
}
