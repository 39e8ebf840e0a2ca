import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { openApiDocument } from './openapi.ts';
import type { RouteSpec } from './routes.ts';
import { pathParameters, routes } from './routes.ts';

type Json = Readonly<Record<string, unknown>>;

suite('OpenAPI', () => {
  const document = openApiDocument('1.2.3');
  const text = JSON.stringify(document);
  const paths = document['paths'] as Readonly<Record<string, Readonly<Record<string, Json>>>>;

  test('every route stands there once, with its role and its parameters', () => {
    const all = Object.entries(routes) as [string, RouteSpec][];
    for (const [id, spec] of all) {
      const operation = paths[spec.path]?.[spec.method.toLowerCase()];
      assert.equal(operation?.['operationId'], id);
      assert.equal(operation['x-weir-role'], spec.role);
      const parameters = (operation['parameters'] as readonly Json[]).filter((one) => one['in'] === 'path');
      assert.deepEqual(
        parameters.map((one) => one['name']),
        pathParameters(spec.path),
      );
    }
    const count = Object.values(paths).reduce((sum, methods) => sum + Object.keys(methods).length, 0);
    assert.equal(count, all.length);
  });

  test('every reference leads somewhere', () => {
    const { schemas, responses } = document['components'] as Readonly<Record<string, Json>>;
    const references = [...text.matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/g)];
    assert.ok(references.length > 100);
    for (const [, kind, name = ''] of references)
      assert.ok((kind === 'schemas' ? schemas : responses)?.[name] !== undefined, `${kind}/${name}`);
    assert.doesNotMatch(text, /"\$ref":"#\/(?!components)/);
  });

  test('what changes something is not for viewers, and nothing of /v1 is open', () => {
    const reading = new Set(['validateJob', 'tryJob', 'diffJob', 'queryTables']);
    for (const [id, { method, role, path }] of Object.entries(routes) as [string, RouteSpec][]) {
      if (method !== 'GET' && !reading.has(id)) assert.notEqual(role, 'viewer', id);
      assert.equal(role === 'open' || role === 'local', !path.startsWith('/v1'), id);
    }
  });
});
