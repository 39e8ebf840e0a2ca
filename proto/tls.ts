/** Transport security of gRPC: TLS 1.3 with certificates of the cluster's own authority on both sides. */
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import type { SecureContextOptions, PeerCertificate } from 'node:tls';
import { checkServerIdentity, connect, createSecureContext } from 'node:tls';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { credentials, experimental, ServerCredentials } from '@grpc/grpc-js';

/** What one process shows and whom it believes; all PEM. */
export interface TlsIdentity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** An identity that is renewed while it is in use: new connections take the newest. */
export class CurrentIdentity implements experimental.CertificateProvider {
  #identity: TlsIdentity;
  readonly #ca = new Set<experimental.CaCertificateUpdateListener>();
  readonly #own = new Set<experimental.IdentityCertificateUpdateListener>();
  readonly #renewals = new Set<(identity: TlsIdentity) => void>();

  constructor(identity: TlsIdentity) {
    this.#identity = identity;
  }

  get current(): TlsIdentity {
    return this.#identity;
  }

  renew(identity: TlsIdentity): void {
    this.#identity = identity;
    for (const tell of this.#ca) tell(this.#caUpdate);
    for (const tell of this.#own) tell(this.#ownUpdate);
    for (const tell of this.#renewals) tell(identity);
  }

  /** The result ends that. */
  onRenewal(listener: (identity: TlsIdentity) => void): () => void {
    this.#renewals.add(listener);
    return () => this.#renewals.delete(listener);
  }

  /** ms from `now` until the certificate should be renewed; 0 = at once. */
  renewsInMs(now: number): number {
    const { validFrom, validTo } = new X509Certificate(this.#identity.cert);
    const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
    return Math.max(0, from + (to - from) / 2 - now);
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#ca.add(listener);
    // Later: who asks listens to its own listeners only from then on.
    queueMicrotask(() => listener(this.#caUpdate));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#ca.delete(listener);
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#own.add(listener);
    queueMicrotask(() => listener(this.#ownUpdate));
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#own.delete(listener);
  }

  get #caUpdate(): experimental.CaCertificateUpdate {
    return { caCertificate: Buffer.from(this.#identity.ca) };
  }

  get #ownUpdate(): experimental.IdentityCertificateUpdate {
    // With the authority's certificate: whoever joins knows that by its fingerprint alone.
    const chain = this.#identity.cert + this.#identity.ca;
    return { certificate: Buffer.from(chain), privateKey: Buffer.from(this.#identity.key) };
  }
}

/**
 * null = plain text. `clients`: `required` refuses connections without a certificate of the authority; `asked` takes
 * them, and the service looks at {@link peerOf} itself.
 */
export function serverCredentials(identity: CurrentIdentity | null, clients: 'required' | 'asked'): ServerCredentials {
  if (identity === null) return ServerCredentials.createInsecure();
  return experimental.createCertificateProviderServerCredentials(identity, identity, clients === 'required');
}

/** Which side of the cluster a certificate is for. */
export type Side = 'master' | 'worker';

/** null = plain text. The other side must show a certificate of the authority, for the host and as that side. */
export function clientCredentials(
  identity: (Pick<TlsIdentity, 'ca'> & Partial<TlsIdentity>) | null,
  side: Side,
): ChannelCredentials {
  if (identity === null) return credentials.createInsecure();
  const { ca, cert, key } = identity;
  const context: SecureContextOptions = {
    ca,
    minVersion: 'TLSv1.3',
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
  return credentials.createFromSecureContext(createSecureContext(context), {
    checkServerIdentity: (host, certificate) =>
      // Workers come and go under any address: one is as good as another, and none may pass for a master.
      wrongSide(certificate, side) ?? (side === 'master' ? checkServerIdentity(host, certificate) : undefined),
  });
}

function wrongSide({ subject }: PeerCertificate, side: Side): Error | undefined {
  return subject.O === side ? undefined : new Error(`the certificate is not that of a ${side}`);
}

/** Who the other side of a call is, by the certificate that it showed; null = it showed none that the authority signed. */
export interface Peer {
  readonly side: string;
  readonly name: string;
  /** Id of the token that let it in. */
  readonly tokenId: string;
}

export function peerOf(call: {
  getAuthContext(): { readonly sslPeerCertificate?: PeerCertificate | undefined };
}): Peer | null {
  const subject = call.getAuthContext().sslPeerCertificate?.subject;
  return subject === undefined ? null : { side: one(subject.O), name: one(subject.CN), tokenId: one(subject.OU) };
}

/** A part of a name that stands there twice is none. */
function one(part: string | readonly string[] | undefined): string {
  return typeof part === 'string' ? part : '';
}

/** A key pair of this process: the private one as PEM, the public one as SPKI DER. */
export function makeKeys(): { readonly key: string; readonly publicKey: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
  };
}

/**
 * The certificate with that fingerprint (SHA-256, hex) from the chain that `address` shows, as PEM; null when it shows
 * none. Nothing is sent, and nothing is believed beside the fingerprint. Rejects when there is no connection.
 */
export function authorityOf(address: string, fingerprint: string, limitMs: number): Promise<string | null> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => {
      const seen = new Set<string>();
      let certificate = socket.getPeerCertificate(true);
      while (certificate?.raw !== undefined && !seen.has(certificate.fingerprint256)) {
        seen.add(certificate.fingerprint256);
        if (createHash('sha256').update(certificate.raw).digest('hex') === fingerprint) {
          socket.destroy();
          return resolve(new X509Certificate(certificate.raw).toString());
        }
        certificate = certificate.issuerCertificate;
      }
      socket.destroy();
      resolve(null);
    });
    socket.setTimeout(limitMs, () => socket.destroy(new Error('no answer')));
    socket.on('error', reject);
  });
}
