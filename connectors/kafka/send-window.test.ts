import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SendWindow } from './send-window.ts';

/** Sends that end when they are told to. */
function sender(window: SendWindow): {
  readonly sent: number[];
  send(bytes: number): { readonly done: Promise<number>; end(error?: Error): void };
} {
  const sent: number[] = [];
  return {
    sent,
    send(bytes) {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const done = window.run(bytes, () => {
        sent.push(bytes);
        return promise;
      });
      return { done, end: (error) => (error === undefined ? resolve(bytes) : reject(error)) };
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what fits is sent at once, the rest in order when there is room', async () => {
  const { sent, send } = sender(new SendWindow(100));
  const [first, second, third, fourth] = [send(60), send(40), send(50), send(1)];
  assert.deepEqual(sent, [60, 40]);
  second.end();
  assert.equal(await second.done, 40);
  await turn();
  assert.deepEqual(sent, [60, 40], 'the small one does not overtake');
  first.end();
  await turn();
  assert.deepEqual(sent, [60, 40, 50, 1]);
  third.end();
  fourth.end();
  assert.deepEqual(await Promise.all([first.done, third.done, fourth.done]), [60, 50, 1]);
});

test('more than the window holds goes alone', async () => {
  const { sent, send } = sender(new SendWindow(100));
  const [large, small] = [send(500), send(1)];
  assert.deepEqual(sent, [500]);
  large.end();
  await turn();
  assert.deepEqual(sent, [500, 1]);
  small.end();
  await small.done;
});

test('a failure gives its room back', async () => {
  const { sent, send } = sender(new SendWindow(100));
  const [failing, next] = [send(100), send(100)];
  failing.end(new Error('lost'));
  await assert.rejects(failing.done, /lost/);
  await turn();
  assert.deepEqual(sent, [100, 100]);
  next.end();
  await next.done;
});
