import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import type { LoadedService } from './load.ts';
import { CONTROL_MESSAGE_BYTES_MAX, EMBEDDED_MESSAGE_BYTES_MAX, loadControl, loadEmbedded } from './load.ts';
import type { Heartbeat, MasterMessage, WorkerMessage } from './gen/control.ts';
import type { AppendRequest, ListOffsetsRequest, ReadReply } from './gen/embedded.ts';

test('every message of both files keeps every field through encode and decode', () => {
  const files: [string, Pick<LoadedService<never, never>, 'message'>][] = [
    ['control', loadControl()],
    ['embedded', loadEmbedded()],
  ];
  for (const [file, loaded] of files) {
    const text = readFileSync(new URL(`${file}.proto`, import.meta.url), 'utf8');
    const names = [...text.matchAll(/^message (\w+)/gm)].map((match) => match[1] ?? '');
    assert.ok(names.length > 10);
    for (const name of names) {
      const body = new RegExp(`^message ${name} \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(text)?.[1] ?? '';
      const value = sample(body);
      const { encode, decode } = loaded.message<Record<string, unknown>>(name);
      const decoded = decode(encode(value));
      for (const [field, expected] of Object.entries(value))
        assert.deepEqual(decoded[field], expected, `${file}.${name}.${field}`);
    }
  }
});

/** A value for every scalar field of a message's text; of a oneof the last one. */
function sample(body: string): Record<string, unknown> {
  const values = new Map<string, unknown>([
    ['string', 'Grüße'],
    ['bool', true],
    ['bytes', Buffer.from([0, 255, 1])],
    ['int32', -7],
    ['int64', Number.MAX_SAFE_INTEGER],
    ['double', 0.5],
  ]);
  const value: Record<string, unknown> = {};
  const oneof = /oneof \w+ \{([\s\S]*?)\}/.exec(body)?.[1] ?? '';
  const outside = body.replace(/oneof \w+ \{[\s\S]*?\}/, '');
  const fields = [...outside.matchAll(fieldPattern), ...[...oneof.matchAll(fieldPattern)].slice(-1)];
  for (const [, repeated, type, name] of fields) {
    const one = values.get(type ?? '');
    const camel = (name ?? '').replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    if (one !== undefined) value[camel] = repeated === undefined ? one : [one, one];
  }
  return value;
}

const fieldPattern = /^\s+(repeated )?(\w+) (\w+) = \d+;/gm;

test('nested messages, oneofs and defaults look as the generated types say', () => {
  const worker = loadControl().message<WorkerMessage>('WorkerMessage');
  const heartbeat: Heartbeat = {
    sequence: 1,
    eventLoopDelayMs: 0,
    rssBytes: 0,
    lanes: [],
    jobs: [],
    schemaChanges: [],
  };
  const message = worker.decode(worker.encode({ body: 'heartbeat', heartbeat }));
  assert.equal(message.body, 'heartbeat');
  assert.deepEqual(message.heartbeat, heartbeat);
  assert.equal('register' in message, false);

  const master = loadControl().message<MasterMessage>('MasterMessage');
  assert.equal(master.decode(master.encode({ drained: {} })).body, 'drained');
  assert.equal(master.decode(Buffer.alloc(0)).body, undefined);

  const reply = loadEmbedded().message<ReadReply>('ReadReply').decode(Buffer.alloc(0));
  assert.deepEqual(
    { ...reply, bytes: reply.bytes.byteLength },
    { id: 0, failure: null, bytes: 0, endOffset: 0, startOffset: 0 },
  );

  const offsets = loadEmbedded().message<ListOffsetsRequest>('ListOffsetsRequest');
  assert.equal(offsets.decode(offsets.encode({ topic: 't', partitions: [0], timestampMs: 0 })).query, 'timestampMs');
});

test('bytes are carried as they are', () => {
  const append = loadEmbedded().message<AppendRequest>('AppendRequest');
  const batch = new Uint8Array(1000).map((_, index) => index & 255);
  const back = append.decode(
    append.encode({ appends: [{ topic: 't', partition: 3, batch: batch.subarray(10, 900) }] }),
  );
  assert.deepEqual(new Uint8Array(back.appends[0]?.batch ?? []), batch.slice(10, 900));
});

test('clients and servers of both services share message limits and keepalive', () => {
  assert.equal(loadControl().options['grpc.max_receive_message_length'], CONTROL_MESSAGE_BYTES_MAX);
  assert.equal(loadEmbedded().options['grpc.max_send_message_length'], EMBEDDED_MESSAGE_BYTES_MAX);
  assert.ok(loadControl().options['grpc.keepalive_time_ms'] !== undefined);
  const client = loadControl().client('127.0.0.1:1');
  assert.equal(typeof client.connect, 'function');
  client.close();
});

test('the checked-in types are what the .proto files give', () => {
  execFileSync(process.execPath, [fileURLToPath(new URL('../scripts/gen-proto.ts', import.meta.url)), '--check']);
});
