import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoreHost } from './store-host.ts';

test('what is called before the end is done; what is called after it is refused, and does not disturb the end', async () => {
  for (let round = 0; round < 10; round++) {
    const host = await StoreHost.start(null);
    const call = (): Promise<unknown> => host.call('putDefinition', [{ hash: 'h', text: 't' }]);
    const before = call();
    const end = host.close();
    const late: Promise<void>[] = [];
    // While the thread closes its database.
    for (const until = performance.now() + 5; performance.now() < until;)
      late.push(assert.rejects(call(), { code: 'STORE_UNAVAILABLE' }));
    await before;
    await end;
    await Promise.all(late);
  }
});
