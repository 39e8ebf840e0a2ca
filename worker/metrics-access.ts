/** Who may read a worker's metrics: everybody on loopback, off it whoever has a token for that. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isLoopback } from '../core/security/loopback.ts';

/** Judges an Authorization header. Without any token nobody may, off loopback. */
export function mayReadMetrics(
  host: string,
  tokens: readonly (string | undefined)[],
): (authorization: string | undefined) => boolean {
  if (isLoopback(host)) return () => true;
  const known = tokens.filter((token) => token !== undefined && token !== '').map((token) => digest(token ?? ''));
  return (authorization) => {
    const given = digest(/^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '');
    return known.some((token) => timingSafeEqual(token, given));
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
