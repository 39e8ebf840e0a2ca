/** A node with passwords and TLS: credentials and certificates are checked, and each mistake has a sentence of its own. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { isWeirError, type ErrorCode } from '../../core/errors.ts';
import { startCassandra, type Service } from '../../test/services/services.ts';
import { CassandraClient, type CassandraOptions } from './client.ts';
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

describe('Cassandra with passwords and TLS', () => {
  let directory: string;
  let node: Service;
  let good: CassandraOptions;
  let otherCa: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'weir-security-'));
    const [own, other] = await Promise.all([certificate(directory, 'own'), certificate(directory, 'other')]);
    otherCa = other.pem;
    node = await startCassandra({
      heapMb: 400,
      settings: {
        authenticator: 'PasswordAuthenticator',
        authorizer: 'CassandraAuthorizer',
        // Optional, since what waits for the node to be up speaks no TLS.
        client_encryption_options: `{enabled: true, optional: true, keystore: ${JSON.stringify(own.store)}, keystore_password: ${password}, store_type: PKCS12}`,
      },
    });
    good = { contactPoints: [node.address], replicationFactor: 1, username: 'cassandra', password, tlsCa: own.pem };
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
