import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import type { ExchangeMessage } from '../../core/ports.ts';
import { noLog } from '../../test/conformance/no-log.ts';
import type { ListeningExchange } from './exchange-grpc.ts';
import { makeExchange } from './exchange-grpc.ts';
import { waitFor } from './test-cluster.ts';

function messageOf(part: number, bytes: Uint8Array, end: ExchangeMessage['end'] = null): ExchangeMessage {
  const key = { job: 'j', run: 1, token: 2 ** 40, epoch: 4, attempt: 1, from: 0, fromStage: 0 };
  return { ...key, part, stage: 1, port: 0, thread: 3, rowCount: 7, bytes, end };
}

function filled(count: number, salt: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, index) => (index * 31 + salt) & 0xff);
}

/** Two exchanges, closed whatever happens. */
async function withPair(
  body: (from: ListeningExchange, to: ListeningExchange) => Promise<void>,
  tokens: readonly [string, string] = ['secret', 'secret'],
): Promise<void> {
  const options = { host: '127.0.0.1', port: 0, log: noLog };
  const from = await makeExchange({ ...options, token: tokens[0] });
  const to = await makeExchange({ ...options, token: tokens[1] });
  try {
    await body(from, to);
  } finally {
    await from.transport.close();
    await to.transport.close();
  }
}

suite('exchange over gRPC', () => {
  test('messages arrive whole and in order, also those larger than a piece', () =>
    withPair(async (from, to) => {
      const arrived: ExchangeMessage[] = [];
      to.transport.receive((message) => {
        arrived.push(message);
        return Promise.resolve();
      });
      const link = from.transport.open(to.address);
      const messages = [0, 1, 1 << 20, (1 << 20) + 1, 5_000_000].map((size, part) =>
        messageOf(part, filled(size, part)),
      );
      messages.push(messageOf(9, new Uint8Array(0), { frames: 5, rows: 35, crc: 0xfedcba98 }));
      await Promise.all(messages.map((message) => link.send(message)));
      assert.deepEqual(
        arrived.map(({ part, bytes, end, rowCount, token }) => ({
          part,
          size: bytes.byteLength,
          end,
          rowCount,
          token,
        })),
        messages.map(({ part, bytes, end, rowCount, token }) => ({
          part,
          size: bytes.byteLength,
          end,
          rowCount,
          token,
        })),
      );
      arrived.forEach(({ bytes }, index) => {
        assert.ok(Buffer.from(bytes).equals(messages[index]?.bytes ?? Buffer.alloc(1)));
        assert.equal(bytes.byteOffset % 8, 0, 'frames are read where they lie');
      });
    }));

  test('a receiver that does not take them stops the sender after some bytes', () =>
    withPair(async (from, to) => {
      let taken = 0;
      let open: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      to.transport.receive(async () => {
        taken += 1;
        await gate;
      });
      const link = from.transport.open(to.address);
      let sent = 0;
      const all = Array.from({ length: 12 }, (_, part) =>
        link.send(messageOf(part, filled(1 << 20, part))).then(() => {
          sent += 1;
        }),
      );
      await waitFor('credit to be used up', () => sent >= 8 && taken >= 8);
      assert.ok(sent <= 9, `${sent} MiB were sent`);
      open();
      await Promise.all(all);
      await waitFor('the rest', () => taken === 12);
    }));

  test('an END is answered when everything before it was taken', () =>
    withPair(async (from, to) => {
      let open: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      let taken = 0;
      to.transport.receive(async () => {
        taken += 1;
        await gate;
      });
      const link = from.transport.open(to.address);
      let ended = false;
      const end = link.send(messageOf(0, new Uint8Array(0), { frames: 0, rows: 0, crc: 0 })).then(() => {
        ended = true;
      });
      await waitFor('the END to arrive', () => taken === 1);
      await link.send(messageOf(1, filled(10, 0)));
      assert.equal(ended, false);
      open();
      await end;
    }));

  test('nobody there: PEER_UNREACHABLE with the address; the next link tries anew', () =>
    withPair(async (from, to) => {
      const { address } = to;
      await to.transport.close();
      const link = from.transport.open(address);
      await assert.rejects(
        link.send(messageOf(0, filled(10, 0))),
        (error) => isWeirError(error, 'PEER_UNREACHABLE') && error.facts['peer'] === address,
      );
      assert.notEqual(from.transport.open(address), link);
    }));

  test('a receiver that goes away fails what was not taken', () =>
    withPair(async (from, to) => {
      let taken = 0;
      to.transport.receive(() => {
        taken += 1;
        return new Promise(() => undefined);
      });
      const link = from.transport.open(to.address);
      const end = link.send(messageOf(0, new Uint8Array(0), { frames: 0, rows: 0, crc: 0 }));
      const failed = assert.rejects(end, (error) => isWeirError(error, 'PEER_UNREACHABLE'));
      await waitFor('the END to arrive', () => taken === 1);
      await to.transport.close();
      await failed;
    }));

  test('another token is refused', () =>
    withPair(
      async (from, to) => {
        to.transport.receive(() => assert.fail('it was let in'));
        const end = messageOf(0, new Uint8Array(0), { frames: 0, rows: 0, crc: 0 });
        await assert.rejects(from.transport.open(to.address).send(end), (error) =>
          isWeirError(error, 'PEER_UNREACHABLE'),
        );
      },
      ['secret', 'another'],
    ));
});
