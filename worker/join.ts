/**
 * How a worker gets into a cluster with TLS: it makes a key, finds the master by the authority that its token names (or
 * that WEIR_TLS_CA holds), sends the token over that connection and gets a certificate for a few days. At half its time
 * the certificate is renewed by itself; the token is not needed again.
 */
import { Metadata, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import type { Clock } from '../core/clock.ts';
import { WeirError, messageOf } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';
import { parseToken } from '../core/security/tokens.ts';
import { loadControl } from '../proto/load.ts';
import type { TlsIdentity } from '../proto/tls.ts';
import { authorityOf, clientCredentials, CurrentIdentity, makeKeys } from '../proto/tls.ts';

export interface JoinOptions {
  /** `host:port` of every master, at least one. */
  readonly masters: readonly string[];
  readonly worker: string;
  readonly token: string;
  /** PEM; null = the token names it. */
  readonly ca: string | null;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const REQUEST_LIMIT_MS = 5000;
const RETRY_MS = 1000;
const RENEWAL_RETRY_MS = 60_000;
/** Longest wait of a timer, ms. */
const TIMER_MS_MAX = 86_400_000;

/** Waits for a master. Throws: UNAUTHORIZED, CONFIG_INVALID; the signal's reason. */
export async function joinCluster(options: JoinOptions): Promise<CurrentIdentity> {
  const { clock, log, signal } = options;
  for (let attempt = 0; ; attempt++) {
    for (const master of options.masters) {
      try {
        const ca = options.ca ?? (await pinnedAuthority(master, options.token));
        const identity = new CurrentIdentity(await ask(master, options, { ca }, options.token));
        keepRenewed(identity, options);
        return identity;
      } catch (error) {
        if (error instanceof WeirError && !error.retryable) throw error;
        if (attempt === 0) log.warn({ master }, messageOf(error));
      }
    }
    await clock.sleep(RETRY_MS, signal);
  }
}

/** Throws: UNAUTHORIZED when the master is another's. */
async function pinnedAuthority(master: string, token: string): Promise<string> {
  const fingerprint = parseToken(token)?.fingerprint ?? null;
  if (fingerprint === null) {
    throw new WeirError(
      'CONFIG_INVALID',
      'The join token names no certificate authority; take one of "weir token create NAME --role worker", or set WEIR_TLS_CA to the file ca.pem of the master.',
    );
  }
  let found: string | null;
  try {
    found = await authorityOf(master, fingerprint, REQUEST_LIMIT_MS);
  } catch (cause) {
    throw new WeirError('MASTER_UNREACHABLE', `The master at ${master} does not answer by TLS: ${messageOf(cause)}.`, {
      cause,
    });
  }
  if (found !== null) return found;
  throw new WeirError(
    'UNAUTHORIZED',
    `What answers at ${master} is not the cluster of the join token: it shows no certificate of that authority. Nothing was sent to it.`,
  );
}

async function ask(
  master: string,
  { worker }: JoinOptions,
  identity: Pick<TlsIdentity, 'ca'> & Partial<TlsIdentity>,
  token: string,
): Promise<TlsIdentity> {
  const { key, publicKey } = makeKeys();
  const client = loadControl().client(master, clientCredentials(identity, 'master'));
  try {
    const certificate = await new Promise<string>((resolve, reject) => {
      const limits = { deadline: Date.now() + REQUEST_LIMIT_MS };
      client.join({ workerId: worker, token, publicKey }, new Metadata(), limits, (error, reply) =>
        error === null ? resolve(reply?.certificate ?? '') : reject(failureOf(master, error)),
      );
    });
    return { ca: identity.ca, cert: certificate, key };
  } finally {
    client.close();
  }
}

function failureOf(master: string, { code, details }: ServiceError): WeirError {
  switch (code) {
    case status.UNAUTHENTICATED:
    case status.INVALID_ARGUMENT:
      return new WeirError('UNAUTHORIZED', `The master at ${master} refused this worker: ${details}`);
    case status.FAILED_PRECONDITION:
    case status.UNIMPLEMENTED:
      return new WeirError('CONFIG_INVALID', `The master at ${master} gives no certificates: ${details}`);
    default:
      if (/certificate|self.signed|altnames/i.test(details)) {
        return new WeirError(
          'UNAUTHORIZED',
          `The master at ${master} showed a certificate that is not to be trusted (${details}); no token was sent to it.`,
        );
      }
      return new WeirError('MASTER_UNREACHABLE', `The master at ${master} does not answer: ${details}.`);
  }
}

/** Until the signal aborts. A master that is away is asked again: half of the certificate's time is left for that. */
function keepRenewed(identity: CurrentIdentity, options: JoinOptions): void {
  const { clock, log, signal, masters } = options;
  const wait = (): number => Math.min(TIMER_MS_MAX, identity.renewsInMs(clock.now()));
  let cancel = (): void => undefined;
  const plan = (ms: number): void => {
    if (!signal.aborted) cancel = clock.timer(ms, () => void renew());
  };
  const renew = async (): Promise<void> => {
    if (identity.renewsInMs(clock.now()) > 0) return plan(wait());
    for (const master of masters) {
      try {
        identity.renew(await ask(master, options, identity.current, ''));
        return plan(wait());
      } catch (error) {
        log.warn({ master }, `the certificate of this worker was not renewed: ${messageOf(error)}`);
      }
    }
    plan(RENEWAL_RETRY_MS);
  };
  signal.addEventListener('abort', () => cancel(), { once: true });
  plan(wait());
}
