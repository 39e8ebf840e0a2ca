/** What a master's doors are guarded with, from its options: tokens, certificates, or the decision to do without. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { WeirError, messageOf } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { isLoopback } from '../../core/security/loopback.ts';
import type { TlsIdentity } from '../../proto/tls.ts';
import { CurrentIdentity, makeKeys } from '../../proto/tls.ts';
import type { HttpTls } from '../http/server.ts';
import { Authority, WORKER_HOST } from './authority.ts';
import { CLUSTER_CALLER, Gate } from './gate.ts';
import { folderId } from './shared-folder.ts';
import { TokenStore } from './token-store.ts';

export interface SecurityOptions {
  /** Listened on. */
  readonly host: string;
  /** Under which others reach this master; absent = `host`. */
  readonly advertisedHost?: string;
  readonly masterId: string;
  /** WEIR_TOKEN; '' = there is none. */
  readonly token: string;
  /** Off loopback without TLS: said so, since everything can be read and changed on the way. */
  readonly insecure: boolean;
  /** TLS also on loopback. */
  readonly tls: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly log: Log;
}

export interface MasterSecurity {
  /** null = there is none; only on loopback. */
  readonly clusterToken: string | null;
  readonly metricsToken: string | null;
  readonly tokens: TokenStore;
  readonly gate: Gate;
  /** null = plain text. */
  readonly identity: CurrentIdentity | null;
  readonly http: HttpTls | null;
  /** What all masters have to share; null = nothing is kept there that another master would need. */
  readonly folder: { readonly id: string; readonly directory: string } | null;
  /** A worker's certificate, PEM. Throws: USAGE. */
  issue(worker: string, tokenId: string, publicKey: Uint8Array): string;
  close(): void;
}

const TIMER_MS_MAX = 86_400_000;

/** Throws: CONFIG_INVALID. */
export function openSecurity(options: SecurityOptions): MasterSecurity {
  const { host, env, clock, insecure, log } = options;
  const loopback = isLoopback(host);
  const wantsTls = options.tls || isSet(env['WEIR_TLS_CERT']);
  if (insecure && wantsTls)
    throw new WeirError('CONFIG_INVALID', 'TLS is asked for, and --insecure to do without it; choose one.');
  const directory = env['WEIR_SECURITY_DIR'] ?? join(homedir(), '.weir', 'security');
  const tokens = new TokenStore(directory, clock);
  const clusterToken = options.token !== '' ? options.token : loopback ? null : ownToken(directory, log);
  const metricsToken = isSet(env['WEIR_METRICS_TOKEN']) ? (env['WEIR_METRICS_TOKEN'] ?? null) : null;
  const gate = new Gate({ loopback, clusterToken, metricsToken, store: tokens });
  const plain = { clusterToken, metricsToken, tokens, gate, close: () => undefined };
  if (!wantsTls && (loopback || insecure)) {
    if (!loopback) log.warn({ host }, 'without TLS: whoever is on the way reads tokens and records (--insecure)');
    const issue = (): never => {
      throw new WeirError('USAGE', 'This cluster has no certificates.');
    };
    const id = loopback ? null : folderId(directory);
    return { ...plain, identity: null, http: null, folder: id === null ? null : { id, directory }, issue };
  }
  const authority = Authority.open(directory, clock.now());
  const makeIdentity = (): TlsIdentity => {
    const { key, publicKey } = makeKeys();
    const request = { side: 'master', name: options.masterId, tokenId: CLUSTER_CALLER, publicKey } as const;
    const cert = authority.issue({ ...request, hosts: hostsOf(options) }, clock.now());
    return { ca: authority.certificate, cert, key };
  };
  const identity = new CurrentIdentity(makeIdentity());
  const stop = keepRenewed(identity, makeIdentity, clock);
  log.info(
    { directory, ca: join(directory, 'ca.pem'), fingerprint: authority.fingerprint },
    'TLS by the cluster’s own authority',
  );
  return {
    ...plain,
    identity,
    http: httpTls(identity, authority, env),
    folder: { id: authority.fingerprint, directory },
    issue: (worker, tokenId, publicKey) =>
      authority.issue({ side: 'worker', name: worker, tokenId, publicKey, hosts: [WORKER_HOST] }, clock.now()),
    close: stop,
  };
}

/** The cluster's token, made at the first start and kept where its user alone may read it. Throws: CONFIG_INVALID. */
function ownToken(directory: string, log: Log): string {
  const path = join(directory, 'admin-token');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    try {
      writeFileSync(path, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
      log.warn({ path }, 'the first token was made, for admins and workers; it is in this file');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const token = readFileSync(path, 'utf8').trim();
    if (token.length >= 32) return token;
    throw new Error('the file holds no token');
  } catch (cause) {
    throw new WeirError(
      'CONFIG_INVALID',
      `A master off loopback needs a token, and none could be made in ${path} (${messageOf(cause)}). ` +
        'Set WEIR_TOKEN, set WEIR_SECURITY_DIR to a folder that the master may write, or listen on 127.0.0.1.',
      { cause },
    );
  }
}

/** Under which names this master's certificate is good. WEIR_TLS_NAMES adds some. */
function hostsOf({ host, advertisedHost, env }: SecurityOptions): string[] {
  const more = (env['WEIR_TLS_NAMES'] ?? '').split(',').map((name) => name.trim());
  const own = [host, advertisedHost ?? '', hostname(), 'localhost', '127.0.0.1', '::1', ...more];
  const isName = (name: string): boolean => name !== '' && name !== '0.0.0.0' && name !== '::';
  return [...new Set(own.map((name) => name.replace(/^\[|\]$/g, '')).filter(isName))];
}

/** REST shows the certificate of WEIR_TLS_CERT and WEIR_TLS_KEY where they are set, else the cluster's own. */
function httpTls(identity: CurrentIdentity, authority: Authority, env: NodeJS.ProcessEnv): HttpTls {
  const cert = pemOf(env, 'WEIR_TLS_CERT');
  const key = pemOf(env, 'WEIR_TLS_KEY');
  if ((cert === null) !== (key === null))
    throw new WeirError('CONFIG_INVALID', 'WEIR_TLS_CERT and WEIR_TLS_KEY must be set together; only one is.');
  const { current } = identity;
  const whose = { ca: authority.certificate, fingerprint: authority.fingerprint };
  if (cert !== null && key !== null)
    return { ...whose, ca: authority.certificate + cert, cert, key, onRenewal: () => () => undefined };
  return {
    ...whose,
    cert: current.cert,
    key: current.key,
    onRenewal: (listener) => identity.onRenewal((next) => listener(next.cert, next.key)),
  };
}

function pemOf(env: NodeJS.ProcessEnv, name: string): string | null {
  const path = env[name];
  if (path === undefined || path === '') return null;
  try {
    const text = readFileSync(path, 'utf8');
    if (text.includes('-----BEGIN ')) return text;
  } catch (cause) {
    throw new WeirError('CONFIG_INVALID', `The file of ${name} cannot be read: ${messageOf(cause)}.`, { cause });
  }
  throw new WeirError('CONFIG_INVALID', `The file ${path} of ${name} holds no PEM text ("-----BEGIN …").`);
}

function keepRenewed(identity: CurrentIdentity, make: () => TlsIdentity, clock: Clock): () => void {
  let cancel = (): void => undefined;
  const plan = (): void => {
    cancel = clock.timer(Math.min(TIMER_MS_MAX, identity.renewsInMs(clock.now())), () => {
      if (identity.renewsInMs(clock.now()) === 0) identity.renew(make());
      plan();
    });
  };
  plan();
  return () => cancel();
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}
