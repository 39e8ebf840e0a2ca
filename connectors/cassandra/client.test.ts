import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import { CassandraClient, cassandraOptionsFromEnv } from './client.ts';

test('options from the environment', (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'weir-ca-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const ca = join(directory, 'ca.pem');
  writeFileSync(ca, '-----BEGIN CERTIFICATE-----\n');
  assert.equal(cassandraOptionsFromEnv({}), undefined);
  assert.equal(cassandraOptionsFromEnv({ CASSANDRA_CONTACT_POINTS: ' , ' }), undefined);
  assert.deepEqual(cassandraOptionsFromEnv({ CASSANDRA_CONTACT_POINTS: 'a, b:19042', CASSANDRA_USERNAME: '' }), {
    contactPoints: ['a', 'b:19042'],
    replicationFactor: 1,
  });
  const all = {
    CASSANDRA_CONTACT_POINTS: 'a',
    CASSANDRA_LOCAL_DC: 'dc2',
    CASSANDRA_USERNAME: 'u',
    CASSANDRA_PASSWORD: 'p',
    CASSANDRA_TLS_CA: ca,
    WEIR_REPLICATION_FACTOR: '3',
  };
  assert.deepEqual(cassandraOptionsFromEnv(all), {
    contactPoints: ['a'],
    localDataCenter: 'dc2',
    username: 'u',
    password: 'p',
    tlsCa: '-----BEGIN CERTIFICATE-----\n',
    replicationFactor: 3,
  });
  writeFileSync(join(directory, 'key.pem'), 'no certificate');
  for (const [name, value] of [
    ['WEIR_REPLICATION_FACTOR', '0'],
    ['WEIR_REPLICATION_FACTOR', 'many'],
    ['CASSANDRA_PASSWORD', ''],
    ['CASSANDRA_TLS_CA', join(directory, 'absent.pem')],
    ['CASSANDRA_TLS_CA', join(directory, 'key.pem')],
  ] as const) {
    assert.throws(
      () => cassandraOptionsFromEnv({ ...all, [name]: value }),
      (error) => isWeirError(error, 'CONFIG_INVALID') && error.message.includes(name),
      `${name}=${value}`,
    );
  }
});

test('addresses for people have ports', () => {
  assert.equal(new CassandraClient({ contactPoints: ['a', 'b:1'], replicationFactor: 1 }).addresses, 'a:9042, b:1');
});
