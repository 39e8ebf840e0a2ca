import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppendOrder } from './append-order.ts';

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('appends of one owner begin when the one before is acknowledged, those of others at once', async () => {
  const order = new AppendOrder();
  const begun: string[] = [];
  const first = Promise.withResolvers<void>();
  const append = (name: string, done: Promise<void>) => (): Promise<void> => {
    begun.push(name);
    return done;
  };
  const all = [
    order.run('a', append('a1', first.promise)),
    order.run('a', append('a2', Promise.resolve())),
    order.run('a', append('a3', Promise.resolve())),
    order.run('b', append('b1', Promise.resolve())),
  ];
  await settled();
  assert.deepEqual(begun, ['a1', 'b1']);
  first.resolve();
  await Promise.all(all);
  assert.deepEqual(begun, ['a1', 'b1', 'a2', 'a3']);
});

test('nothing goes out behind what was lost, until the owner begins anew', async () => {
  const order = new AppendOrder();
  const begun: string[] = [];
  const lost = Promise.withResolvers<void>();
  const first = order.run('a', () => lost.promise);
  const second = order.run('a', async () => void begun.push('second'));
  lost.reject(new Error('lost'));
  await assert.rejects(first, /lost/);
  await assert.rejects(second, /lost/);
  await order.run('a', async () => void begun.push('again'));
  assert.deepEqual(begun, ['again']);
});
