/** Who a request comes from, by its token: one place for REST, gRPC and server-sent events. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Access, Caller, Role } from '../../core/security/roles.ts';
import { includesRole, localCaller, neededRole } from '../../core/security/roles.ts';
import type { TokenStore } from './token-store.ts';

/** Name of whoever has the cluster's token (WEIR_TOKEN), which may everything. */
export const CLUSTER_CALLER = 'cluster';

export interface GateOptions {
  /** The master listens on loopback only. */
  readonly loopback: boolean;
  /** Of the cluster; null = there is none, and on loopback nobody is asked. */
  readonly clusterToken: string | null;
  /** Lets see figures and nothing else; what Prometheus is given. */
  readonly metricsToken?: string | null;
  /** null = there are no others. */
  readonly store: TokenStore | null;
}

export type Admission =
  | { readonly kind: 'admitted'; readonly caller: Caller }
  /** No token, or none that is known. */
  | { readonly kind: 'unknown' }
  /** Known, and not allowed. */
  | { readonly kind: 'forbidden'; readonly caller: Caller; readonly needed: Role };

export class Gate {
  readonly #options: GateOptions;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Whether requests need tokens. */
  get asks(): boolean {
    return !this.#options.loopback || this.#options.clusterToken !== null;
  }

  get loopback(): boolean {
    return this.#options.loopback;
  }

  /** null = `access` needs nobody to say who it is. */
  judge(authorization: string | undefined, access: Access): Admission | null {
    const needed = neededRole(access, this.#options.loopback);
    if (needed === null) return null;
    const caller = this.callerOf(bearerOf(authorization)) ?? (this.asks ? null : localCaller);
    if (caller === null) return { kind: 'unknown' };
    return includesRole(caller.role, needed) ? { kind: 'admitted', caller } : { kind: 'forbidden', caller, needed };
  }

  /** null for a token that is none. */
  callerOf(token: string | undefined): Caller | null {
    if (token === undefined || token === '') return null;
    const { clusterToken, metricsToken = null, store } = this.#options;
    if (clusterToken !== null && sameText(token, clusterToken)) return { name: CLUSTER_CALLER, role: 'admin' };
    if (metricsToken !== null && sameText(token, metricsToken)) return { name: 'metrics', role: 'viewer' };
    return store?.verify(token) ?? null;
  }

  /**
   * With what a worker may join or register: the id of its token, CLUSTER_CALLER for the cluster's own; null = it may
   * not. Without a cluster's token on loopback every worker may.
   */
  workerToken(token: string): string | null {
    const { clusterToken, store } = this.#options;
    if (!this.asks || (clusterToken !== null && sameText(token, clusterToken))) return CLUSTER_CALLER;
    const record = store?.verify(token) ?? null;
    return record?.role === 'worker' ? record.id : null;
  }

  /** Whether the token with which a worker once joined has been taken back. */
  isRevoked(tokenId: string): boolean {
    return tokenId !== CLUSTER_CALLER && (this.#options.store?.isRevoked(tokenId) ?? false);
  }
}

export function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
}

/** Compares without telling by its duration how much was right. */
export function sameText(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
