/** The pure parts: which CQL only looks, where jobs may connect to, what is hidden. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { requireRead } from './cql-read.ts';
import { isLoopback } from './loopback.ts';
import { judgeAddress, judgeHost, parseOutbound } from './outbound.ts';
import { makeRedactor, secretsIn } from './redact.ts';
import { formatToken, parseToken } from './tokens.ts';

suite('CQL that only looks', () => {
  test('SELECT and DESCRIBE pass, however they are written', () => {
    for (const cql of [
      'SELECT * FROM shop.orders',
      '  select count(*) from shop.orders;  ',
      '-- a comment\nSELECT 1 FROM shop.orders',
      '/* DROP */ SELECT * FROM "Shop"."Orders" WHERE name = \'; DROP TABLE x\'',
      "SELECT * FROM shop.orders WHERE a = 'it''s from weir.job'",
      'DESCRIBE KEYSPACES',
      'desc tables',
      'SELECT * FROM weir.dead_letters LIMIT 5',
      'SELECT keyspace_name FROM system_schema.keyspaces',
    ])
      assert.doesNotThrow(() => requireRead(cql), cql);
  });

  test('everything else is refused', () => {
    for (const cql of [
      '',
      ';',
      'DROP KEYSPACE weir',
      'INSERT INTO weir.job (job) VALUES (1)',
      "/* SELECT */ UPDATE shop.orders SET a = 1 WHERE id = 'x'",
      '-- SELECT\nTRUNCATE shop.orders',
      'BEGIN BATCH INSERT INTO shop.orders (id) VALUES (1) APPLY BATCH',
      'CREATE ROLE eve WITH SUPERUSER = true AND LOGIN = true',
      'GRANT ALL ON ALL KEYSPACES TO eve',
      'LIST ROLES',
      'USE shop',
      '"SELECT" * FROM shop.orders;DROP TABLE shop.orders',
      'SELECT * FROM shop.orders; DROP TABLE shop.orders',
      'SELECT * FROM shop.orders; -- x\n DELETE FROM shop.orders WHERE id = 1',
      '(SELECT * FROM shop.orders)',
    ])
      assert.throws(() => requireRead(cql), { code: 'UNSUPPORTED' }, cql);
  });

  test('password hashes and what Weir keeps for itself are not shown', () => {
    for (const cql of [
      'SELECT * FROM system_auth.roles',
      'select * from SYSTEM_AUTH . roles',
      'SELECT * FROM "system_auth"."roles"',
      'SELECT * FROM system_auth/* */./* */roles',
      'SELECT * FROM\nsystem_auth\n.\nroles',
      'SELECT * FROM system_auth--x\n.roles',
      'SELECT * FROM weir.job',
      'SELECT JSON * FROM "weir".definition',
    ])
      assert.throws(() => requireRead(cql), { code: 'FORBIDDEN' }, cql);
  });
});

suite('where jobs may connect to', () => {
  const any = parseOutbound(undefined);
  const open = parseOutbound('public');

  test('where machines keep their credentials: never, in no spelling', () => {
    for (const host of [
      'http://169.254.169.254/',
      'http://2852039166/',
      'http://0xa9.0xfe.0xa9.0xfe/',
      'http://0251.0376.0251.0376/',
      'http://169.254.43518/',
      'http://[::ffff:169.254.169.254]/',
      'http://[::ffff:a9fe:a9fe]/',
      'http://[fe80::1]/',
      'http://[fd00:ec2::254]/',
      'http://100.100.100.200/',
      'http://192.0.0.192/',
    ]) {
      const address = new URL(host).hostname.replace(/^\[|\]$/g, '');
      for (const policy of [any, open]) assert.notEqual(judgeAddress(policy, address), null, host);
    }
  });

  test('public: nothing of this network either', () => {
    const inside = [
      '127.0.0.1',
      '127.1.2.3',
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '100.64.0.1',
      '0.0.0.0',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      'fc00::1',
      'fd12::1',
      'ff02::1',
      '::ffff:10.0.0.1',
      '64:ff9b::a00:1',
      '::ffff:7f00:1',
      'fe80::1%eth0',
    ];
    for (const address of inside) assert.notEqual(judgeAddress(open, address), null, address);
    for (const address of ['93.184.216.34', '172.32.0.1', '2606:4700::1111', '::ffff:93.184.216.34'])
      assert.equal(judgeAddress(open, address), null, address);
    for (const address of ['127.0.0.1', '10.1.2.3', '::1']) assert.equal(judgeAddress(any, address), null, address);
    assert.notEqual(judgeAddress(open, 'no-address'), null);
  });

  test('named: these hosts and no others', () => {
    const named = parseOutbound('api.example.org, *.example.net ,10.0.0.5');
    for (const host of ['api.example.org', 'API.example.org.', 'a.example.net', 'a.b.example.net', '10.0.0.5'])
      assert.equal(judgeHost(named, host), null, host);
    for (const host of [
      'example.org',
      'xapi.example.org',
      'example.net',
      '.example.net',
      'example.net.evil.org',
      '10.0.0.6',
    ])
      assert.notEqual(judgeHost(named, host), null, host);
  });

  test('loopback is what only this machine reaches', () => {
    for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1', '[::1]', '::ffff:127.0.0.1', 'LOCALHOST'])
      assert.ok(isLoopback(host), host);
    for (const host of ['', '0.0.0.0', '::', '10.0.0.1', 'localhost.evil.org', '127.0.0.1.evil.org', '0x7f.1'])
      assert.ok(!isLoopback(host), host);
  });
});

suite('what is hidden', () => {
  test('secrets of an environment, by name, and passwords in addresses', () => {
    const env = {
      WEIR_TOKEN: 'cluster-token-0001',
      KAFKA_SASL_PASSWORD: 'kafka-password-01',
      WEIR_SECRET_HOOK: 'hook-secret-0001',
      AWS_SECRET_ACCESS_KEY: 'aws-secret-key-01',
      AWS_ACCESS_KEY_ID: 'not-secret-by-itself',
      POSTGRES_URL: 'postgres://weir:pg%2Fpassword-0001@db/shop',
      CASSANDRA_PASSWORD: 'cassandra',
      KAFKA_BROKERS: 'broker-not-secret:9092',
      WEIR_TOKEN_FILE: '/var/lib/weir/token',
    };
    assert.deepEqual(secretsIn(env), [
      'cluster-token-0001',
      'kafka-password-01',
      'hook-secret-0001',
      'aws-secret-key-01',
      'pg%2Fpassword-0001',
      'pg/password-0001',
    ]);
  });

  test('every form in which a value may be quoted', () => {
    const secret = fc.string({ unit: 'grapheme-ascii', minLength: 14, maxLength: 60 });
    fc.assert(
      fc.property(secret, fc.string({ maxLength: 20 }), (value, user) => {
        const redact = makeRedactor([value]);
        const texts = [
          value,
          JSON.stringify({ a: value }),
          `https://x/?key=${encodeURIComponent(value)}`,
          `${user}${value}${user}`,
        ];
        for (const text of texts) {
          const shown = redact(text);
          assert.ok(shown.includes('***'), text);
          assert.ok(!shown.includes(value), shown);
        }
        const basic = Buffer.from(`${user}:${value}`).toString('base64');
        assert.ok(redact(`Basic ${basic}`).includes('***'), basic);
      }),
      { numRuns: 200 },
    );
  });

  test('nothing to hide changes nothing', () => {
    assert.equal(makeRedactor([])('text'), 'text');
    assert.equal(makeRedactor(['$&(.*)-long-enough'])('some text'), 'some text');
  });
});

test('tokens: text and parts', () => {
  const secret = 'a-_'.repeat(14) + 'Z';
  for (const fingerprint of [null, 'ab'.repeat(32)]) {
    const parts = { id: 'abcd1234', secret, fingerprint };
    assert.deepEqual(parseToken(formatToken(parts)), parts);
  }
  for (const text of ['', 'weir_', `weir_abcd1234_${secret}x`, `weir_ABCD1234_${secret}`, ` weir_abcd1234_${secret}`])
    assert.equal(parseToken(text), null, text);
});
