import assert from 'node:assert/strict';
import { test } from 'node:test';
import { methodsAt } from './methods.ts';

test('a path tells its methods, with parameters or without', () => {
  assert.deepEqual(methodsAt('/healthz'), ['GET']);
  assert.deepEqual(methodsAt('/v1/jobs'), ['GET', 'POST']);
  assert.ok(methodsAt('/v1/jobs/users').includes('PUT'));
  assert.deepEqual(methodsAt('/v1/jobs/users/nothing'), []);
  assert.deepEqual(methodsAt('/schemas/jobXv1Xjson'), []);
});
