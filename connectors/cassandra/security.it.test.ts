/** A node with passwords and TLS: credentials and certificates are checked, and each mistake has a sentence of its own. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { isWeirError, type ErrorCode } from '../../core/errors.ts';
import { startCassandra, type Service } from '../../test/services/services.ts';
import { CassandraClient, cassandraOptionsFromEnv, type CassandraOptions } from './client.ts';
import { signCertificate } from '../../master/security/x509.ts';
import { CassandraTableStore } from './table-store.ts';

const run = promisify(execFile);
const password = 'cassandra';

/** A self-signed certificate for 127.0.0.1 in a key store, and as PEM. */
async function certificate(directory: string, name: string): Promise<{ readonly store: string; readonly pem: string }> {
  const store = join(directory, `${name}.p12`);
  const common = ['-alias', name, '-keystore', store, '-storepass', password, '-storetype', 'PKCS12'];
  await run('keytool', [
    '-genkeypair',
    ...common,
    '-keyalg',
    'EC',
    '-dname',
    `CN=${name}`,
    '-ext',
    'san=ip:127.0.0.1',
    '-validity',
    '2',
  ]);
  const { stdout } = await run('keytool', ['-exportcert', '-rfc', ...common]);
  return { store, pem: stdout };
}

/** A certificate that the node is told to trust, and a store that says so. */
async function clientCertificate(
  directory: string,
): Promise<{ readonly store: string; readonly cert: string; readonly key: string }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = { organization: 'test', unit: 'client', common: 'client' };
  const time = { from: Date.now() - 3_600_000, to: Date.now() + 86_400_000 };
  const cert = signCertificate(
    { subject: name, publicKey, ...time, hosts: ['client.example'] },
    { name, privateKey, publicKey },
  );
  const [pem, store] = [join(directory, 'client.pem'), join(directory, 'client.p12')];
  await writeFile(pem, cert);
  const into = ['-alias', 'client', '-keystore', store, '-storepass', password, '-storetype', 'PKCS12'];
  await run('keytool', ['-importcert', '-noprompt', '-file', pem, ...into]);
  return { store, cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

describe('Cassandra with passwords and TLS', () => {
  let directory: string;
  let node: Service;
  let good: CassandraOptions;
  let otherCa: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'weir-security-'));
    const [own, other, client] = await Promise.all([
      certificate(directory, 'own'),
      certificate(directory, 'other'),
      clientCertificate(directory),
    ]);
    otherCa = other.pem;
    await writeFile(join(directory, 'own.pem'), own.pem);
    node = await startCassandra({
      heapMb: 400,
      settings: {
        authenticator: 'PasswordAuthenticator',
        authorizer: 'CassandraAuthorizer',
        // Optional, since what waits for the node to be up speaks no TLS.
        client_encryption_options: `{enabled: true, optional: true, keystore: ${JSON.stringify(own.store)}, keystore_password: ${password}, store_type: PKCS12, require_client_auth: true, truststore: ${JSON.stringify(client.store)}, truststore_password: ${password}}`,
      },
    });
    good = { contactPoints: [node.address], replicationFactor: 1, username: 'cassandra', password, tlsCa: own.pem };
    good = { ...good, tlsCert: client.cert, tlsKey: client.key };
  });
  after(async () => {
    await node?.dispose();
    await rm(directory, { recursive: true, force: true });
  });

  const connect = async (options: CassandraOptions): Promise<void> => {
    const client = new CassandraClient(options);
    try {
      await new CassandraTableStore(client).query('SELECT release_version FROM system.local');
    } finally {
      await client.close();
    }
  };
  const refused = (options: CassandraOptions, code: ErrorCode, message: RegExp): Promise<void> =>
    assert.rejects(connect(options), (error) => {
      assert.ok(isWeirError(error), String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      assert.ok(!error.message.includes('wrong-secret'));
      return true;
    });
  const without = (...names: (keyof CassandraOptions)[]): CassandraOptions =>
    Object.fromEntries(
      Object.entries(good).filter(([name]) => !names.includes(name as keyof CassandraOptions)),
    ) as unknown as CassandraOptions;

  test('the right user over verified TLS', async () => {
    // The node makes its first user shortly after it listens.
    for (let tries = 0; ; tries++) {
      try {
        return await connect(good);
      } catch (error) {
        if (tries >= 60 || !isWeirError(error, 'UNAUTHORIZED')) throw error;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  });

  test('a wrong password and no password at all', async () => {
    await refused(
      { ...good, password: 'wrong-secret' },
      'UNAUTHORIZED',
      /refused the user "cassandra".*CASSANDRA_PASSWORD/,
    );
    await refused(without('username', 'password'), 'UNAUTHORIZED', /wants a user name and password/);
  });

  test('a certificate of another authority is not accepted', async () => {
    await refused({ ...good, tlsCa: otherCa }, 'CONFIG_INVALID', /TLS.*CASSANDRA_TLS_CA/);
  });

  test('a client without a certificate, or with one that the node does not know', async () => {
    await refused(without('tlsCert', 'tlsKey'), 'CONFIG_INVALID', /CASSANDRA_TLS_CERT/);
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const name = { organization: 'test', unit: 'stranger', common: 'stranger' };
    const time = { from: Date.now() - 3_600_000, to: Date.now() + 86_400_000 };
    const tlsCert = signCertificate(
      { subject: name, publicKey, ...time, hosts: ['client.example'] },
      { name, privateKey, publicKey },
    );
    const tlsKey = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await refused({ ...good, tlsCert, tlsKey }, 'CONFIG_INVALID', /TLS/);
  });

  test('certificates and keys of clients come in pairs, with an authority', () => {
    const env = { CASSANDRA_CONTACT_POINTS: '127.0.0.1' };
    const file = join(directory, 'own.pem');
    for (const more of [{ CASSANDRA_TLS_CERT: file }, { CASSANDRA_TLS_CA: file, CASSANDRA_TLS_KEY: file }])
      assert.throws(
        () => cassandraOptionsFromEnv({ ...env, ...more }),
        (error) => isWeirError(error, 'CONFIG_INVALID'),
      );
  });

  test('a role without the right to write is told apart from a missing table', async () => {
    const client = new CassandraClient(good);
    const admin = new CassandraTableStore(client);
    await admin.query(`CREATE ROLE reader WITH PASSWORD = 'reader' AND LOGIN = true`);
    const limited = new CassandraClient({ ...good, username: 'reader', password: 'reader' });
    await assert.rejects(
      new CassandraTableStore(limited).query(
        `CREATE KEYSPACE mine WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
      ),
      (error) => isWeirError(error, 'UNAUTHORIZED'),
    );
    await limited.close();
    await client.close();
  });
});
