/**
 * Tokens by name. A token is `weir_ID_SECRET`; the secret has 256 random bits, so that one round of SHA-256 is enough to
 * keep it, and nobody gets it back from what is kept. A worker's token goes on with `.FINGERPRINT`: of the certificate
 * authority that the master it meets must show.
 */
import type { TokenRole } from './roles.ts';

/** A token as it is kept. */
export interface TokenRecord {
  readonly id: string;
  /** Who has it; for people. */
  readonly name: string;
  readonly role: TokenRole;
  /** SHA-256 of the secret, hex. */
  readonly secretHash: string;
  /** ms since 1970. */
  readonly createdAt: number;
  /** null = never. */
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}

/** What a token's text holds. */
export interface TokenParts {
  readonly id: string;
  readonly secret: string;
  /** SHA-256 of the authority's certificate, hex; null = any. */
  readonly fingerprint: string | null;
}

const tokenPattern = /^weir_([a-z0-9]{8})_([\w-]{43})(?:\.([0-9a-f]{64}))?$/;

export function formatToken({ id, secret, fingerprint }: TokenParts): string {
  return `weir_${id}_${secret}${fingerprint === null ? '' : `.${fingerprint}`}`;
}

/** null for what is none of ours. */
export function parseToken(text: string): TokenParts | null {
  const [, id, secret, fingerprint] = tokenPattern.exec(text) ?? [];
  return id === undefined || secret === undefined ? null : { id, secret, fingerprint: fingerprint ?? null };
}

/** Whether a token whose secret fits may be used at `now`, ms since 1970. */
export function isUsable({ expiresAt, revokedAt }: TokenRecord, now: number): boolean {
  return revokedAt === null && (expiresAt === null || now < expiresAt);
}
