/**
 * Requests to hosts that a job file names: judged by name, then by the address that is really connected to, so that a
 * name that resolves differently the second time gains nothing. Redirects are not followed; whoever asks decides.
 */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns';
import type { Agent, IncomingHttpHeaders } from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { isIP } from 'node:net';
import { WeirError } from '../../core/errors.ts';
import type { OutboundPolicy } from '../../core/security/outbound.ts';
import { judgeAddress, judgeHost } from '../../core/security/outbound.ts';
import { http } from './node-http.ts';

/** Throws: FORBIDDEN. For addresses that are written as such; names are judged again when they are resolved. */
export function requireReachable(policy: OutboundPolicy, host: string): void {
  const bare = host.replace(/^\[|\]$/g, '');
  const reason = judgeHost(policy, bare) ?? (isIP(bare) === 0 ? null : judgeAddress(policy, bare));
  if (reason !== null) throw refusal(bare, reason);
}

/** For the `lookup` option of sockets: gives no address that the policy refuses. */
export function guardedLookup(policy: OutboundPolicy): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, '', 0);
      const reason = addresses.map(({ address }) => judgeAddress(policy, address)).find((one) => one !== null);
      if (reason !== undefined && reason !== null) return callback(refusal(hostname, reason), '', 0);
      if (options.all === true) return callback(null, addresses);
      const [first] = addresses;
      return callback(null, first?.address ?? '', first?.family ?? 0);
    });
  };
}

/** Every address of a host, for clients that take no lookup of ours. Throws: FORBIDDEN; what the resolver rejects with. */
export async function requireResolvable(policy: OutboundPolicy, host: string): Promise<void> {
  requireReachable(policy, host);
  if (policy.kind === 'named' || isIP(host.replace(/^\[|\]$/g, '')) !== 0) return;
  await new Promise<void>((resolve, reject) => {
    guardedLookup(policy)(host, { all: true }, (error) => (error === null ? resolve() : reject(error)));
  });
}

export interface OutboundRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
  /** Keeps connections between requests; its own lookup must be guarded. Default: one connection per request. */
  readonly agent?: Agent;
  /** Of the answer; more is an error. */
  readonly bytesMax: number;
}

export interface OutboundAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Throws: FORBIDDEN; rejects with what the connection fails with. */
export async function askOutside(url: URL, policy: OutboundPolicy, request: OutboundRequest): Promise<OutboundAnswer> {
  requireReachable(policy, url.hostname);
  const { method = 'GET', headers = {}, signal, bytesMax, agent = false } = request;
  const answered = Promise.withResolvers<OutboundAnswer>();
  const client = url.protocol === 'https:' ? https : http;
  const outgoing = client.request(
    url,
    { method, headers, signal, agent, lookup: guardedLookup(policy) },
    (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.byteLength;
        chunks.push(chunk);
        if (size > bytesMax) response.destroy(new Error(`the answer is larger than ${bytesMax} bytes`));
      });
      response.on('error', answered.reject);
      response.on('end', () =>
        answered.resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      );
    },
  );
  outgoing.on('error', answered.reject);
  outgoing.end(request.body);
  return await answered.promise;
}

function refusal(host: string, reason: string): WeirError {
  return new WeirError(
    'FORBIDDEN',
    `A job may not have ${host} connected to: ${reason}. Whoever runs the cluster allows hosts with WEIR_ALLOWED_HOSTS.`,
    { facts: { host } },
  );
}
