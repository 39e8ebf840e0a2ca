/**
 * Writes X.509 version 3 certificates (RFC 5280) for keys on the P-256 curve, in the few forms that a cluster needs:
 * an authority, and what it signs for masters and workers. Certificates are only written here: whoever relies on one has
 * it read and judged by TLS itself, so a mistake here can refuse, not admit.
 */
import type { KeyObject } from 'node:crypto';
import { createHash, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

export interface CertificateName {
  /** Which side of the cluster it is for: `authority`, `master`, `worker`. */
  readonly organization: string;
  /** By what its owner was let in. */
  readonly unit: string;
  readonly common: string;
}

export interface CertificateFacts {
  readonly subject: CertificateName;
  readonly publicKey: KeyObject;
  /** ms since 1970; whole seconds count. */
  readonly from: number;
  readonly to: number;
  /** Host names and IP addresses; none = an authority. */
  readonly hosts: readonly string[];
}

export interface Signer {
  readonly name: CertificateName;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** The certificate as PEM, signed with ECDSA and SHA-256. No hosts: one that may sign others. */
export function signCertificate({ subject, publicKey, from, to, hosts }: CertificateFacts, signer: Signer): string {
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  const isAuthority = hosts.length === 0;
  const extensions = [
    extension(
      '2.5.29.19',
      true,
      isAuthority ? sequence(der(0x01, Buffer.of(0xff)), integer(Buffer.of(0))) : sequence(),
    ),
    // keyCertSign and cRLSign; digitalSignature.
    extension('2.5.29.15', true, der(0x03, isAuthority ? Buffer.of(1, 0x06) : Buffer.of(7, 0x80))),
    extension('2.5.29.14', false, der(0x04, keyId(publicKey))),
    extension('2.5.29.35', false, sequence(der(0x80, keyId(signer.publicKey)))),
    ...(isAuthority
      ? []
      : [
          extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'))),
          extension('2.5.29.17', false, sequence(...hosts.map(generalName))),
        ]),
  ];
  const content = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(serial()),
    algorithm,
    nameOf(signer.name),
    sequence(time(from), time(to)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', content, signer.privateKey);
  const whole = sequence(content, algorithm, der(0x03, Buffer.concat([Buffer.of(0), signature])));
  return new X509Certificate(whole).toString();
}

/** SHA-256 of the certificate, hex: what a worker is told to expect. */
export function fingerprintOf(pem: string): string {
  return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
}

// ------------------------------------------------------------------------------------------------ DER (ITU-T X.690)

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const digits = Buffer.from(length.toString(16).padStart(length > 0xffff ? 6 : length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.of(tag, 0x80 | digits.length), digits, content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function integer(bytes: Buffer): Buffer {
  return der(0x02, bytes);
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const digits = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return der(0x06, Buffer.from(bytes));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [der(0x01, Buffer.of(0xff))] : []), der(0x04, value));
}

function nameOf({ organization, unit, common }: CertificateName): Buffer {
  const part = (id: string, text: string): Buffer => der(0x31, sequence(oid(id), der(0x0c, Buffer.from(text))));
  return sequence(part('2.5.4.10', organization), part('2.5.4.11', unit), part('2.5.4.3', common));
}

/** dNSName or iPAddress. */
function generalName(host: string): Buffer {
  const version = isIP(host);
  if (version === 0) return der(0x82, Buffer.from(host, 'latin1'));
  return der(0x87, version === 4 ? Buffer.from(host.split('.').map(Number)) : ipv6(host));
}

function ipv6(text: string): Buffer {
  // The URL parser writes every form of an address the same way.
  const [head = '', tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [front, back] = [groups(head), groups(tail ?? '')];
  const all = [...front, ...Array.from({ length: 8 - front.length - back.length }, () => 0), ...back];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** UTCTime up to 2049, GeneralizedTime from then on. */
function time(ms: number): Buffer {
  const text = `${new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
  return text < '2050' ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

/** 127 random bits, positive and not empty at its head. */
function serial(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

/** Method 1 of RFC 5280 §4.2.1.2; of a P-256 key the bits are the last 65 bytes. */
function keyId(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }).subarray(-65))
    .digest();
}
