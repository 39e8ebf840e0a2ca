/** TLS and SASL against a broker that wants both. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import type { ErrorCode } from '../../core/errors.ts';
import { isWeirError } from '../../core/errors.ts';
import { partition } from '../../core/ids.ts';
import { always, batchOf } from '../../test/conformance/source.ts';
import type { Service } from '../../test/services/services.ts';
import { startKafka } from '../../test/services/services.ts';
import { KafkaLogWriter } from './kafka-log-writer.ts';
import { KafkaSource } from './kafka-source.ts';
import { kafkaOptionsFromEnv } from './options.ts';
import { parts, readVisible } from './test-log.ts';

const run = promisify(execFile);
const own = {
  skip: process.env['KAFKA_BROKERS'] === undefined ? false : 'KAFKA_BROKERS names servers with settings of their own',
};
const STORE_PASSWORD = 'changeit';
/** Of a session that was signed in for; kafkajs renews it 10 s before its end. ms */
const SESSION_MS = 13_000;

suite('TLS and SASL', own, () => {
  let folder: string;
  let server: Service;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weir-kafka-tls-'));
    await certificates(folder);
    server = await startKafka({
      protocol: 'SASL_SSL',
      properties: securityProperties(folder),
      formatArgs: [
        '--add-scram',
        'SCRAM-SHA-512=[name=app,password=app-secret]',
        '--add-scram',
        'SCRAM-SHA-512=[name=limited,password=limited-secret]',
      ],
    });
  });
  after(async () => {
    await server?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  const good = (): Record<string, string> => ({
    KAFKA_BROKERS: server.address,
    KAFKA_SSL_CA: join(folder, 'ca.pem'),
    KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
    KAFKA_SASL_USERNAME: 'app',
    KAFKA_SASL_PASSWORD: 'app-secret',
  });

  for (const [name, change] of [
    ['SCRAM-SHA-512', {}],
    ['PLAIN', { KAFKA_SASL_MECHANISM: 'PLAIN', KAFKA_SASL_USERNAME: 'plain', KAFKA_SASL_PASSWORD: 'plain-secret' }],
  ] as const) {
    test(`${name} over TLS reads and writes`, async () => {
      const options = kafkaOptionsFromEnv({ ...good(), ...change });
      assert.ok(options !== undefined);
      const source = new KafkaSource(options, parts);
      const writer = new KafkaLogWriter(options, parts);
      const topic = `events_${name.toLowerCase().replaceAll('-', '_')}`;
      try {
        await writer.createTopic(topic, 1);
        await writer.append([{ topic, partition: partition(0), batch: batchOf('a', 0, 3) }], always);
        const reader = source.open(await source.describe(topic));
        assert.equal((await readVisible(reader, { end: 3 })).length, 3);
      } finally {
        await source.close();
        await writer.close();
      }
    });
  }

  test('a session that runs out is renewed between two fetches, whose answers stay theirs', async () => {
    const options = kafkaOptionsFromEnv(good());
    assert.ok(options !== undefined);
    const failed: unknown[] = [];
    const debug = (fields: object, message?: string): void => {
      if (message === 'fetching failed') failed.push(fields);
    };
    const source = new KafkaSource(options, { ...parts, log: { ...parts.log, debug } });
    const writer = new KafkaLogWriter(options, parts);
    try {
      await writer.createTopic('renewed', 1);
      const reader = source.open(await source.describe('renewed'));
      const until = performance.now() + SESSION_MS;
      for (let count = 0; performance.now() < until; count++) {
        await writer.append(
          [{ topic: 'renewed', partition: partition(0), batch: batchOf(`r${count}-`, 0, 2) }],
          always,
        );
        const read = await readVisible(reader, { from: count * 2, end: count * 2 + 2 });
        assert.deepEqual(
          read.map(({ offset: at }) => at),
          [count * 2, count * 2 + 1],
        );
        await sleep(200);
      }
      assert.deepEqual(failed, []);
    } finally {
      await source.close();
      await writer.close();
    }
  });

  test('a wrong password', () =>
    refused({ KAFKA_SASL_PASSWORD: 'wrong' }, 'UNAUTHORIZED', /refused the credentials .*KAFKA_SASL_PASSWORD/));

  test('a mechanism the broker does not offer', () =>
    refused(
      { KAFKA_SASL_MECHANISM: 'SCRAM-SHA-256' },
      'UNAUTHORIZED',
      /does not support the requested SASL mechanism.*KAFKA_SASL_MECHANISM/,
    ));

  test('no credentials', () =>
    refused(
      { KAFKA_SASL_MECHANISM: '', KAFKA_SASL_USERNAME: '', KAFKA_SASL_PASSWORD: '' },
      'SOURCE_UNAVAILABLE',
      /credentials \(KAFKA_SASL_USERNAME\)/,
    ));

  test('a certificate nobody vouches for', () =>
    refused(
      { KAFKA_SSL_CA: '', KAFKA_SSL: 'true' },
      'SOURCE_UNAVAILABLE',
      /certificate is not trusted .*KAFKA_SSL_CA/,
    ));

  test('no TLS', () => refused({ KAFKA_SSL_CA: '' }, 'SOURCE_UNAVAILABLE', /wants TLS \(KAFKA_SSL\)/));

  test('rights that are missing are named with the topic', async () => {
    const options = kafkaOptionsFromEnv({
      ...good(),
      KAFKA_SASL_USERNAME: 'limited',
      KAFKA_SASL_PASSWORD: 'limited-secret',
    });
    assert.ok(options !== undefined);
    const source = new KafkaSource(options, parts);
    const writer = new KafkaLogWriter(options, parts);
    const named = (error: unknown): boolean =>
      isWeirError(error, 'UNAUTHORIZED') &&
      error.message.includes('private_topic') &&
      !error.message.includes('secret');
    try {
      await assert.rejects(source.describe('private_topic'), named);
      const batch = { topic: 'private_topic', partition: partition(0), batch: batchOf('a', 0, 1) };
      await assert.rejects(writer.append([batch], always), named);
    } finally {
      await source.close();
      await writer.close();
    }
  });

  async function refused(change: Readonly<Record<string, string>>, code: ErrorCode, message: RegExp): Promise<void> {
    const options = kafkaOptionsFromEnv({ ...good(), ...change });
    assert.ok(options !== undefined);
    const source = new KafkaSource(options, parts);
    try {
      await assert.rejects(source.describe('events'), (error) => {
        assert.ok(isWeirError(error, code), `${String(error)} ${isWeirError(error) ? error.code : ''}`);
        assert.match(error.message, message);
        assert.ok(error.message.includes(server.address));
        assert.ok(!error.message.includes('secret'));
        return true;
      });
    } finally {
      await source.close();
    }
  }
});

function securityProperties(folder: string): Record<string, string> {
  const login = 'org.apache.kafka.common.security';
  return {
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:app;User:plain;User:ANONYMOUS',
    'sasl.enabled.mechanisms': 'SCRAM-SHA-512,PLAIN',
    'sasl.mechanism.inter.broker.protocol': 'PLAIN',
    'listener.name.clients.scram-sha-512.sasl.jaas.config': `${login}.scram.ScramLoginModule required;`,
    'listener.name.clients.plain.sasl.jaas.config': `${login}.plain.PlainLoginModule required username="plain" password="plain-secret" user_plain="plain-secret";`,
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.location': join(folder, 'server.p12'),
    'ssl.keystore.password': STORE_PASSWORD,
    'connections.max.reauth.ms': String(SESSION_MS),
    // The broker checks its own certificate before it starts.
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': join(folder, 'ca.pem'),
  };
}

/** `ca.pem`, and `server.p12` for 127.0.0.1 signed by it. */
async function certificates(folder: string): Promise<void> {
  const keytool = (...args: string[]): Promise<unknown> =>
    run('keytool', [...args, '-storetype', 'PKCS12', '-storepass', STORE_PASSWORD], { cwd: folder });
  const key = ['-keyalg', 'EC', '-validity', '2'];
  await keytool(
    '-genkeypair',
    '-alias',
    'ca',
    '-dname',
    'CN=weir test authority',
    ...key,
    '-ext',
    'bc:c',
    '-keystore',
    'ca.p12',
  );
  await keytool('-exportcert', '-rfc', '-alias', 'ca', '-keystore', 'ca.p12', '-file', 'ca.pem');
  await keytool('-genkeypair', '-alias', 'server', '-dname', 'CN=localhost', ...key, '-keystore', 'server.p12');
  await keytool('-certreq', '-alias', 'server', '-keystore', 'server.p12', '-file', 'server.csr');
  await keytool(
    '-gencert',
    '-rfc',
    '-alias',
    'ca',
    '-keystore',
    'ca.p12',
    '-infile',
    'server.csr',
    '-outfile',
    'server.pem',
    '-validity',
    '2',
    '-ext',
    'san=dns:localhost,ip:127.0.0.1',
  );
  await keytool('-importcert', '-noprompt', '-alias', 'ca', '-keystore', 'server.p12', '-file', 'ca.pem');
  await keytool('-importcert', '-noprompt', '-alias', 'server', '-keystore', 'server.p12', '-file', 'server.pem');
  assert.match(readFileSync(join(folder, 'ca.pem'), 'utf8'), /BEGIN CERTIFICATE/);
}
