/**
 * Tokens by name, in a file that its user alone may read: masters that share the folder share the tokens. What is kept
 * gives no token back. Changes are written beside the file and renamed over it, so a reader sees all or nothing; two
 * masters that write in the same instant are not expected (only the leader is asked to).
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../../core/clock.ts';
import { WeirError, messageOf } from '../../core/errors.ts';
import type { TokenRole } from '../../core/security/roles.ts';
import { tokenRoles } from '../../core/security/roles.ts';
import type { TokenRecord } from '../../core/security/tokens.ts';
import { formatToken, isUsable, parseToken } from '../../core/security/tokens.ts';

const recordSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(tokenRoles),
  secretHash: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
  revokedAt: z.number().nullable(),
});
const fileSchema = z.object({ formatVersion: z.literal(1), tokens: z.array(recordSchema) });

/** Another master's change is seen after so long, ms. */
const LOOK_INTERVAL_MS = 1000;
/** Revoked and expired ones are listed for so long, ms: 30 days. */
const KEPT_MS = 30 * 86_400_000;
const TOKENS_MAX = 10_000;

export interface NewToken {
  readonly name: string;
  readonly role: TokenRole;
  /** ms from now; null = never. */
  readonly validMs: number | null;
  /** Of a worker's token. */
  readonly fingerprint: string | null;
}

export class TokenStore {
  readonly #path: string;
  readonly #directory: string;
  readonly #clock: Pick<Clock, 'now' | 'mono'>;
  #records = new Map<string, TokenRecord>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #mark = '';

  constructor(directory: string, clock: Pick<Clock, 'now' | 'mono'>) {
    this.#directory = directory;
    this.#path = join(directory, 'tokens.json');
    this.#clock = clock;
  }

  /** The record of a token that may be used; null for every other text. Throws: CONFIG_INVALID for a damaged file. */
  verify(text: string): TokenRecord | null {
    const parts = parseToken(text);
    if (parts === null) return null;
    this.#look(LOOK_INTERVAL_MS);
    const record = this.#records.get(parts.id);
    // The same work for an id that is not there.
    const same = timingSafeEqual(hashOf(parts.secret), Buffer.from(record?.secretHash ?? '0'.repeat(64), 'hex'));
    return record !== undefined && same && isUsable(record, this.#clock.now()) ? record : null;
  }

  /** Whether a token was taken back; one that only expired was not. */
  isRevoked(id: string): boolean {
    this.#look(LOOK_INTERVAL_MS);
    return this.#records.get(id)?.revokedAt !== null && this.#records.has(id);
  }

  /** Newest first, those that can no longer be used included. */
  list(): readonly TokenRecord[] {
    this.#look(0);
    return [...this.#records.values()].toSorted((a, b) => b.createdAt - a.createdAt);
  }

  /** The token's text is nowhere kept. Throws: CONFLICT when the name is in use; CONFIG_INVALID. */
  create({ name, role, validMs, fingerprint }: NewToken): { readonly record: TokenRecord; readonly token: string } {
    this.#look(0);
    const now = this.#clock.now();
    for (const [id, old] of this.#records) if (endOf(old) < now - KEPT_MS) this.#records.delete(id);
    if ([...this.#records.values()].some((other) => other.name === name && isUsable(other, now)))
      throw new WeirError('CONFLICT', `There is a token ${name} already; revoke it, or choose another name.`);
    if (this.#records.size >= TOKENS_MAX)
      throw new WeirError('CONFLICT', `There are ${TOKENS_MAX} tokens already; revoke some.`);
    const secret = randomBytes(32).toString('base64url');
    const id = freshId();
    const record: TokenRecord = {
      id,
      name,
      role,
      secretHash: hashOf(secret).toString('hex'),
      createdAt: now,
      expiresAt: validMs === null ? null : now + validMs,
      revokedAt: null,
    };
    this.#records.set(id, record);
    this.#write();
    return { record, token: formatToken({ id, secret, fingerprint }) };
  }

  /** By id or name. Throws: NOT_FOUND; CONFIG_INVALID. */
  revoke(which: string): TokenRecord {
    this.#look(0);
    const now = this.#clock.now();
    const found =
      this.#records.get(which) ??
      [...this.#records.values()].find((record) => record.name === which && isUsable(record, now));
    if (found === undefined)
      throw new WeirError('NOT_FOUND', `There is no token ${which}; "weir token list" lists those there are.`);
    const record = { ...found, revokedAt: found.revokedAt ?? now };
    this.#records.set(record.id, record);
    this.#write();
    return record;
  }

  #look(intervalMs: number): void {
    const now = this.#clock.mono();
    if (now - this.#lookedAt < intervalMs) return;
    this.#lookedAt = now;
    try {
      const { mtimeMs, ino, size } = statSync(this.#path);
      const mark = `${mtimeMs}/${ino}/${size}`;
      if (mark === this.#mark) return;
      const { tokens } = fileSchema.parse(JSON.parse(readFileSync(this.#path, 'utf8')));
      this.#records = new Map(tokens.map((record) => [record.id, record]));
      this.#mark = mark;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        this.#records = new Map();
        this.#mark = '';
        return;
      }
      // What cannot be read admits nobody.
      this.#records = new Map();
      throw new WeirError(
        'CONFIG_INVALID',
        `The tokens in ${this.#path} cannot be read; nobody is let in until that is mended.`,
        { cause: error },
      );
    }
  }

  #write(): void {
    const text = JSON.stringify({ formatVersion: 1, tokens: [...this.#records.values()] }, null, 2);
    const temporary = `${this.#path}.${randomBytes(6).toString('hex')}`;
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileSync(temporary, `${text}\n`, { mode: 0o600, flag: 'wx' });
      renameSync(temporary, this.#path);
    } catch (cause) {
      this.#mark = '';
      throw new WeirError(
        'CONFIG_INVALID',
        `Tokens cannot be kept in ${this.#directory} (${messageOf(cause)}); set WEIR_SECURITY_DIR to a folder that the master may write.`,
        { cause },
      );
    }
    this.#lookedAt = Number.NEGATIVE_INFINITY;
  }
}

function endOf({ expiresAt, revokedAt }: TokenRecord): number {
  return revokedAt ?? expiresAt ?? Number.POSITIVE_INFINITY;
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function freshId(): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
  // 36 letters do not divide 256 evenly; an id is no secret.
  return Array.from(randomBytes(8), (byte) => letters[byte % letters.length]).join('');
}
