/** Certificates of the cluster's own authority, over real connections: who gets in, and who does not. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { connect } from 'node:tls';
import { systemClock } from '../../connectors/system/clock.ts';
import { isWeirError } from '../../core/errors.ts';
import type { MasterMessage } from '../../proto/gen/control.ts';
import { loadExchange } from '../../proto/load.ts';
import type { CurrentIdentity } from '../../proto/tls.ts';
import { clientCredentials, makeKeys } from '../../proto/tls.ts';
import type { ControlListener } from '../../master/grpc-server.ts';
import { listenControl } from '../../master/grpc-server.ts';
import { Authority, CERTIFICATE_MS, WORKER_HOST } from '../../master/security/authority.ts';
import type { MasterSecurity } from '../../master/security/open-security.ts';
import { openSecurity } from '../../master/security/open-security.ts';
import { makeExchange } from '../../worker/epochs/exchange-grpc.ts';
import { GrpcControlClient } from '../../worker/grpc-client.ts';
import { joinCluster } from '../../worker/join.ts';
import { noLog } from '../conformance/no-log.ts';

const folder = mkdtempSync(join(tmpdir(), 'weir-tls-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function open(name: string, env: NodeJS.ProcessEnv = {}): MasterSecurity {
  return openSecurity({
    host: '127.0.0.1',
    masterId: `master-${name}`,
    token: 'cluster-secret',
    insecure: false,
    tls: true,
    env: { WEIR_SECURITY_DIR: join(folder, name), ...env },
    clock: systemClock,
    log: noLog,
  });
}

suite('TLS between masters and workers', () => {
  const stop = new AbortController();
  let own: MasterSecurity;
  let other: MasterSecurity;
  let master: ControlListener;
  let foreign: ControlListener;
  let plain: ControlListener;
  const notes: string[] = [];
  const registered: string[] = [];

  const listen = (security: MasterSecurity): Promise<ControlListener> =>
    listenControl(
      '127.0.0.1',
      0,
      (stream) => {
        stream.onMessage(({ register }) => {
          registered.push(register?.workerId ?? '');
          stream.send({ registered: { masterId: 'm', heartbeatIntervalMs: 500, silenceLimitMs: 2500 } });
        });
        return () => undefined;
      },
      () => true,
      { ...security, note: (_, message) => notes.push(message) },
    );

  before(async () => {
    own = open('own');
    other = open('other');
    master = await listen(own);
    foreign = await listen(other);
    plain = await listenControl('127.0.0.1', 0, () => () => undefined);
  });
  after(async () => {
    stop.abort();
    own.close();
    other.close();
    await Promise.all([master.close(), foreign.close(), plain.close()]);
  });

  const workerToken = (name: string, validMs: number | null = 60_000, from = own): string =>
    from.tokens.create({ name, role: 'worker', validMs, fingerprint: from.http?.fingerprint ?? '' }).token;
  const joinAs = (worker: string, token: string, at = master, ca: string | null = null): Promise<CurrentIdentity> => {
    const limits = {
      clock: systemClock,
      log: noLog,
      signal: AbortSignal.any([stop.signal, AbortSignal.timeout(10_000)]),
    };
    return joinCluster({ masters: [at.address], worker, token, ca, ...limits });
  };
  const refused = async (attempt: Promise<unknown>, message: RegExp): Promise<void> => {
    await assert.rejects(attempt, (error) => {
      assert.ok(isWeirError(error, 'UNAUTHORIZED') || isWeirError(error, 'CONFIG_INVALID'), String(error));
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /weir_[a-z0-9]{8}_/, 'no token in a message');
      return true;
    });
  };
  /** The first answer to a registration. */
  const register = async (worker: string, identity: CurrentIdentity | null): Promise<MasterMessage> => {
    const stream = await new GrpcControlClient([master.address], identity).connect();
    const answered = Promise.withResolvers<MasterMessage>();
    stream.onMessage(answered.resolve);
    stream.onClose((reason) => answered.reject(new Error(reason)));
    const addresses = { httpAddress: '', exchangeAddress: '', weirVersion: '' };
    stream.send({
      register: { workerId: worker, token: '', protocolVersion: 1, formatVersion: 1, threads: 1, ...addresses },
    });
    const answer = await answered.promise;
    stream.close();
    return answer;
  };

  test('a worker joins by its token, registers by its certificate, and the certificate is for a worker alone', async () => {
    const identity = await joinAs('w-1', workerToken('first'));
    const certificate = new X509Certificate(identity.current.cert);
    assert.deepEqual(
      [certificate.subjectAltName, /O=(.*)\n/.exec(certificate.subject)?.[1], certificate.checkHost('localhost')],
      [`DNS:${WORKER_HOST}`, 'worker', undefined],
    );
    assert.ok(Date.parse(certificate.validTo) - Date.now() <= CERTIFICATE_MS);
    assert.ok((await register('w-1', identity)).registered);
    assert.deepEqual(registered.splice(0), ['w-1']);
  });

  test('a worker without a certificate, or with another one’s, is refused by name', async () => {
    const nameless = await register('w-2', {
      current: { ca: own.identity?.current.ca ?? '' },
    } as unknown as CurrentIdentity);
    assert.match(nameless.refused?.message ?? '', /worker w-2 showed no certificate .*weir token create/);
    const identity = await joinAs('w-3', workerToken('third'));
    assert.match((await register('w-4', identity)).refused?.message ?? '', /w-4 showed the certificate of w-3/);
    const asMaster = own.identity ?? assert.fail();
    assert.match((await register('w-5', asMaster)).refused?.message ?? '', /w-5 showed no certificate/);
    assert.deepEqual(registered, []);
    assert.ok(
      notes.some((note) => note.includes('w-2')),
      'the event log names it',
    );
  });

  test('tokens that are wrong, expired, taken back or for people let no worker in', async () => {
    const fingerprint = own.http?.fingerprint ?? '';
    const expired = workerToken('expired', -1);
    const revoked = workerToken('revoked');
    own.tokens.revoke('revoked');
    const viewer = own.tokens.create({ name: 'eve', role: 'admin', validMs: null, fingerprint }).token;
    const wrong = `weir_aaaaaaaa_${'x'.repeat(43)}.${fingerprint}`;
    for (const token of [expired, revoked, viewer, wrong])
      await refused(joinAs('w-6', token), /worker w-6 was not let in/);
    await refused(joinAs('w-6', 'some-secret'), /names no certificate authority/);
    await refused(joinAs('w-6', 'some-secret', master, own.identity?.current.ca), /was not let in/);
  });

  test('the cluster’s token joins where the authority is given', async () => {
    const identity = await joinAs('w-7', 'cluster-secret', master, own.identity?.current.ca);
    assert.ok((await register('w-7', identity)).registered);
    registered.splice(0);
  });

  test('a master of another authority gets no token; neither does one that speaks no TLS', async () => {
    await refused(
      joinAs('w-8', workerToken('eighth'), foreign),
      /is not the cluster of the join token.*Nothing was sent/,
    );
    await refused(joinAs('w-8', 'cluster-secret', foreign, own.identity?.current.ca), /not to be trusted/);
    const attempt = joinCluster({
      masters: [plain.address],
      worker: 'w-8',
      token: workerToken('plain'),
      ca: null,
      clock: systemClock,
      log: noLog,
      signal: AbortSignal.timeout(1500),
    });
    await assert.rejects(attempt, /aborted|timeout/i, 'it asks on until there is one');
  });

  test('plain text, and TLS below 1.3 with our clients, are refused', async () => {
    await assert.rejects(new GrpcControlClient([master.address]).connect(), /does not answer/);
    const [host = '', port = ''] = master.address.split(':');
    const protocol = await new Promise<string | null>((resolve, reject) => {
      const options = { host, port: Number(port), ca: own.identity?.current.ca ?? '', ALPNProtocols: ['h2'] };
      const socket = connect(options, () => {
        resolve(socket.getProtocol());
        socket.destroy();
      });
      socket.on('error', reject);
    });
    assert.equal(protocol, 'TLSv1.3');
  });

  test('a worker whose token is taken back can neither register nor renew', async () => {
    const identity = await joinAs('w-9', workerToken('ninth'));
    assert.ok((await register('w-9', identity)).registered);
    own.tokens.revoke('ninth');
    assert.match((await register('w-9', identity)).refused?.message ?? '', /w-9 joined by the token .* taken back/);
    registered.splice(0);
  });

  test('the exchange takes rows of workers alone', async () => {
    const [a, b] = await Promise.all([joinAs('w-a', workerToken('a')), joinAs('w-b', workerToken('b'))]);
    const parts = { host: '127.0.0.1', port: 0, token: '', log: noLog };
    const from = await makeExchange({ ...parts, identity: a });
    const to = await makeExchange({ ...parts, identity: b });
    const arrived: number[] = [];
    to.transport.receive((message) => {
      arrived.push(message.rowCount);
      return Promise.resolve();
    });
    const message = {
      job: 'j',
      run: 1,
      token: 1,
      epoch: 1,
      attempt: 1,
      from: 0,
      fromStage: 0,
      part: 0,
      stage: 1,
      port: 0,
      thread: 0,
      rowCount: 7,
      bytes: new Uint8Array(8),
      end: { frames: 1, rows: 7, crc: 0 },
    };
    await from.transport.open(to.address).send(message);
    assert.deepEqual(arrived, [7]);
    const strangers: (CurrentIdentity | null)[] = [
      null,
      own.identity,
      other.identity,
      { current: { ca: a.current.ca } } as unknown as CurrentIdentity,
    ];
    for (const identity of strangers) {
      const client = loadExchange().client(to.address, clientCredentials(identity?.current ?? null, 'worker'));
      const stream = client.send();
      const failed = new Promise<string>((resolve) => stream.on('error', (error: Error) => resolve(error.message)));
      stream.write({ ...message, more: false, clusterToken: '' });
      assert.match(await failed, /UNAUTHENTICATED|UNAVAILABLE/);
      client.close();
    }
    // A worker does not send to a master either, nor to somebody without a certificate.
    const wrong = from.transport.open(master.address);
    await assert.rejects(wrong.send(message), (error) => isWeirError(error, 'PEER_UNREACHABLE'));
    assert.deepEqual(arrived, [7]);
    await from.transport.close();
    await to.transport.close();
  });

  test('keys stay with their user, and the authority is the same at the next start', () => {
    const directory = join(folder, 'own');
    for (const name of readdirSync(directory))
      assert.equal(statSync(join(directory, name)).mode & 0o777, name === 'ca.pem' ? 0o644 : 0o600, name);
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    const again = Authority.open(directory, Date.now());
    assert.equal(again.fingerprint, own.http?.fingerprint);
    const pem = new X509Certificate(again.certificate);
    assert.equal(createHash('sha256').update(pem.raw).digest('hex'), again.fingerprint);
    assert.ok(pem.ca);
  });

  test('certificates are for P-256 keys and hosts that can be', () => {
    const authority = Authority.open(join(folder, 'own'), Date.now());
    const { publicKey } = makeKeys();
    const facts = { side: 'master', name: 'm', tokenId: 't', publicKey, hosts: ['h'] } as const;
    for (const host of ['', '*', '*.example', 'a b', 'a\0b', 'a,DNS:b', '-a', 'a/b'])
      assert.throws(() => authority.issue({ ...facts, hosts: [host] }, Date.now()), { code: 'USAGE' }, host);
    for (const key of [new Uint8Array(0), publicKey.subarray(1), Buffer.from('key')])
      assert.throws(() => authority.issue({ ...facts, publicKey: key }, Date.now()), { code: 'USAGE' });
    const hosts = ['localhost', '10.0.0.1', '::1', 'fe80::1:2', '::ffff:1.2.3.4', 'x'.repeat(200)];
    const text = new X509Certificate(authority.issue({ ...facts, hosts }, Date.UTC(2049, 11, 30)));
    assert.ok(text.checkIssued(new X509Certificate(authority.certificate)));
    assert.deepEqual(
      [text.checkIP('10.0.0.1'), text.checkIP('::1'), text.checkHost('localhost')],
      ['10.0.0.1', '::1', 'localhost'],
    );
    assert.match(text.validTo, /2050/);
  });
});

suite('what a master decides off loopback', () => {
  const decide = (more: object): MasterSecurity =>
    openSecurity({
      host: '0.0.0.0',
      masterId: 'm',
      token: '',
      insecure: false,
      tls: false,
      env: { WEIR_SECURITY_DIR: join(folder, 'decide') },
      clock: systemClock,
      log: noLog,
      ...more,
    });

  test('without a word: TLS, and a token that is made once', () => {
    const first = decide({});
    const second = decide({});
    assert.ok(first.identity !== null && first.http !== null);
    assert.ok((first.clusterToken?.length ?? 0) >= 43);
    assert.equal(first.clusterToken, second.clusterToken);
    assert.equal(statSync(join(folder, 'decide', 'admin-token')).mode & 0o777, 0o600);
    first.close();
    second.close();
  });

  test('plain text only when it is asked for, and then with a token', () => {
    const { identity, http, clusterToken } = decide({ insecure: true });
    assert.deepEqual([identity, http], [null, null]);
    assert.ok(clusterToken !== null);
    assert.throws(() => decide({ insecure: true, tls: true }), /choose one/);
  });

  test('no start where neither can be kept', () => {
    const env = { WEIR_SECURITY_DIR: join(folder, 'own', 'ca.pem', 'below-a-file') };
    assert.throws(() => decide({ env }), /needs a token, and none could be made.*WEIR_SECURITY_DIR/);
    assert.throws(() => decide({ env, token: 'secret' }), /certificate authority cannot be kept/);
  });

  test('loopback needs nothing', () => {
    const env = { WEIR_SECURITY_DIR: join(folder, 'own', 'ca.pem', 'below-a-file') };
    const { identity, clusterToken, gate } = decide({ host: '127.0.0.1', env });
    assert.deepEqual([identity, clusterToken, gate.asks], [null, null, false]);
  });
});
