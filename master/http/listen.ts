/** Where an HTTP server may listen and who may talk to it. */
import { isIP } from 'node:net';
import { WeirError } from '../../core/errors.ts';
import { isLoopback } from '../../core/security/loopback.ts';

/** Throws: CONFIG_INVALID when everybody on the network could control the cluster. */
export function requireTokenOffLoopback(host: string, token: string | null): void {
  if (token !== null || isLoopback(host)) return;
  throw new WeirError(
    'CONFIG_INVALID',
    `The master will not listen on ${host} without a token, since everybody who reaches it could run jobs. ` +
      'Set WEIR_TOKEN, or listen on 127.0.0.1.',
  );
}

/** The sentence for a failed `listen`. */
export function listenError(error: unknown, host: string, port: number): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === 'EADDRINUSE') {
    return new WeirError(
      'PORT_IN_USE',
      `Port ${port} on ${host} is in use by another process; stop it or choose another port.`,
      { cause: error, facts: { port } },
    );
  }
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new WeirError(
      'CONFIG_INVALID',
      `Cannot listen on ${host}:${port} (${code}); choose an address of this machine and a port above 1023.`,
      { cause: error },
    );
  }
  return error;
}

/** `http://host:port` as a client writes it. */
export function formatAddress(host: string, port: number, scheme: 'http' | 'https' = 'http'): string {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : isIP(host) === 6 ? `[${host}]` : host;
  return `${scheme}://${name}:${port}`;
}

export interface RequestOrigin {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly fetchSite: string | undefined;
}

/**
 * Why a request must be refused, or null. A page of another site in the user's browser could otherwise reach a server
 * on loopback: by a name that it makes resolve to 127.0.0.1 (the Host header gives that away), or by a plain
 * cross-site request (Origin and Sec-Fetch-Site do).
 */
export function foreignRequest(request: RequestOrigin, listensOn: string): string | null {
  if (isLoopback(listensOn) && !isLoopback(hostName(request.host ?? '')))
    return 'the Host header names no address of this machine';
  if (request.fetchSite === 'cross-site') return 'the request comes from another web site';
  if (
    request.origin !== undefined &&
    request.origin !== `http://${request.host}` &&
    request.origin !== `https://${request.host}`
  ) {
    return 'the request comes from another web site';
  }
  return null;
}

function hostName(header: string): string {
  return header.startsWith('[') ? header.slice(0, header.indexOf(']') + 1) : (header.split(':')[0] ?? '');
}
