/** Routes about tokens: who asks, and making and taking back what lets somebody ask. */
import { durationMs } from '../../core/duration.ts';
import { WeirError } from '../../core/errors.ts';
import type { TokenRecord } from '../../core/security/tokens.ts';
import type { TokenStore } from '../security/token-store.ts';
import type { Handlers } from './call.ts';
import { ok } from './call.ts';

export interface AccessHandlerParts {
  /** null = this master keeps none. */
  readonly store: TokenStore | null;
  /** Of the cluster's certificate authority; null without TLS. */
  readonly fingerprint: string | null;
}

/** A worker's token is used once, soon: the worker gets a certificate by it, ms. */
const WORKER_TOKEN_MS = 10 * 60_000;

export function accessHandlers({
  store,
  fingerprint,
}: AccessHandlerParts): Handlers<'whoAmI' | 'listTokens' | 'createToken' | 'revokeToken'> {
  return {
    whoAmI: ({ caller: { name, role } }) => ok({ name, role }),
    listTokens: () => ok({ tokens: (store?.list() ?? []).map(shown) }),
    createToken: ({ body: { name, role, expiresIn } }) => {
      if (role === 'worker' && fingerprint === null) {
        throw new WeirError(
          'CONFLICT',
          'This cluster speaks no TLS, so its workers have no certificates to join by; they share WEIR_TOKEN with the master.',
        );
      }
      const validMs = expiresIn === undefined ? (role === 'worker' ? WORKER_TOKEN_MS : null) : durationMs(expiresIn);
      const made = needStore(store).create({
        name,
        role,
        validMs,
        fingerprint: role === 'worker' ? fingerprint : null,
      });
      return ok({ ...shown(made.record), token: made.token }, 201);
    },
    revokeToken: ({ params }) => ok(shown(needStore(store).revoke(params['id'] ?? ''))),
  };
}

function shown({ id, name, role, createdAt, expiresAt, revokedAt }: TokenRecord): Omit<TokenRecord, 'secretHash'> {
  return { id, name, role, createdAt, expiresAt, revokedAt };
}

function needStore(store: TokenStore | null): TokenStore {
  if (store !== null) return store;
  throw new WeirError('UNSUPPORTED', 'This master keeps no tokens by name; start it with WEIR_SECURITY_DIR set.');
}
