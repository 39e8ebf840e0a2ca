import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import { kafkaOptionsFromEnv } from './options.ts';

const refused = (env: Readonly<Record<string, string>>, message: RegExp): void => {
  assert.throws(
    () => kafkaOptionsFromEnv(env),
    (error) => isWeirError(error, 'CONFIG_INVALID') && message.test(error.message),
  );
};

test('brokers, with the usual port where none is given', () => {
  assert.deepEqual(kafkaOptionsFromEnv({ KAFKA_BROKERS: ' a:1, b ,[::1]:3' }), {
    brokers: ['a:1', 'b:9092', '[::1]:3'],
    clientId: 'weir',
  });
  assert.deepEqual(kafkaOptionsFromEnv({ KAFKA_BROKERS: 'a:1' }, 'b:2')?.brokers, ['b:2']);
  for (const none of [{}, { KAFKA_BROKERS: '' }, { KAFKA_BROKERS: ' , ' }])
    assert.equal(kafkaOptionsFromEnv(none), undefined);
  refused({ KAFKA_BROKERS: 'kafka://a:1' }, /KAFKA_BROKERS holds "kafka:\/\/a:1"/);
});

test('TLS is on when asked for or when a file is given, and its files must be PEM', () => {
  const file = join(tmpdir(), `weir-ca-${process.pid}.pem`);
  writeFileSync(file, '-----BEGIN CERTIFICATE-----\n');
  const base = { KAFKA_BROKERS: 'a:1' };
  assert.deepEqual(kafkaOptionsFromEnv({ ...base, KAFKA_SSL: 'true' })?.tls, {});
  assert.equal(kafkaOptionsFromEnv({ ...base, KAFKA_SSL: 'false', KAFKA_SSL_CA: file })?.tls, undefined);
  assert.match(kafkaOptionsFromEnv({ ...base, KAFKA_SSL_CA: file })?.tls?.ca ?? '', /BEGIN/);
  refused({ ...base, KAFKA_SSL: 'yes' }, /write true or false/);
  refused({ ...base, KAFKA_SSL_CA: '/nowhere' }, /KAFKA_SSL_CA cannot be read/);
  refused({ ...base, KAFKA_SSL_CERT: file }, /must be set together/);
  writeFileSync(file, 'DER');
  refused({ ...base, KAFKA_SSL_CA: file }, /no PEM text/);
});

test('SASL needs both halves of the credentials and a known mechanism', () => {
  const base = { KAFKA_BROKERS: 'a:1', KAFKA_SASL_USERNAME: 'u' };
  refused(base, /must both be set/);
  const both = { ...base, KAFKA_SASL_PASSWORD: 'p' };
  assert.deepEqual(kafkaOptionsFromEnv(both)?.sasl, { mechanism: 'plain', username: 'u', password: 'p' });
  assert.equal(
    kafkaOptionsFromEnv({ ...both, KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512' })?.sasl?.mechanism,
    'scram-sha-512',
  );
  refused({ ...both, KAFKA_SASL_MECHANISM: 'GSSAPI' }, /"GSSAPI"; PLAIN/);
});
