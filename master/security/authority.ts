/**
 * The cluster's own certificate authority. It is made at the first start and kept in the security folder; masters that
 * share the folder share it. Keys of masters and workers are never kept: each process makes its own and gets a
 * certificate for a few days, renewed at half its time.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WeirError, messageOf } from '../../core/errors.ts';
import type { Signer } from './x509.ts';
import { fingerprintOf, signCertificate } from './x509.ts';

const DAY_MS = 86_400_000;
const AUTHORITY_MS = 3650 * DAY_MS;
/** Of masters and workers. */
export const CERTIFICATE_MS = 7 * DAY_MS;
/** What every worker's certificate is for: no host can have this name, so a worker can show it as nobody else. */
export const WORKER_HOST = 'worker.weir.invalid';
/** Clocks of machines differ; a certificate counts from so long ago. */
const EARLIER_MS = 3_600_000;

/** Sides of a connection, as certificates name them: a worker must not pass for a master. */
export type Side = 'master' | 'worker';

export interface CertificateRequest {
  readonly side: Side;
  /** The worker's id, or the master's. */
  readonly name: string;
  /** Id of the token that let it in. */
  readonly tokenId: string;
  /** SPKI, DER. */
  readonly publicKey: Uint8Array;
  readonly hosts: readonly string[];
}

export class Authority {
  /** PEM. */
  readonly certificate: string;
  /** SHA-256 of the certificate, hex. */
  readonly fingerprint: string;
  readonly #signer: Signer;

  private constructor(text: string) {
    const privateKey = createPrivateKey(text);
    this.certificate = new X509Certificate(text).toString();
    this.fingerprint = fingerprintOf(this.certificate);
    this.#signer = { name: authorityName(this.certificate), privateKey, publicKey: createPublicKey(privateKey) };
  }

  /** The one in the folder; made when there is none. `now`: ms since 1970. Throws: CONFIG_INVALID. */
  static open(directory: string, now: number): Authority {
    const path = join(directory, 'authority.pem');
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const authority = new Authority(readIfThere(path) ?? create(path, now));
      writeFileSync(join(directory, 'ca.pem'), authority.certificate, { mode: 0o644 });
      return authority;
    } catch (cause) {
      throw new WeirError(
        'CONFIG_INVALID',
        `The cluster's certificate authority cannot be kept in ${directory} (${messageOf(cause)}); set WEIR_SECURITY_DIR to a folder that the master may write.`,
        { cause },
      );
    }
  }

  /** A certificate as PEM. Throws: USAGE for a key or host that cannot be. */
  issue({ side, name, tokenId, publicKey, hosts }: CertificateRequest, now: number): string {
    const key = readPublicKey(publicKey);
    const wrong = hosts.find(
      (host) => !/^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9:])?$|^::[0-9a-fA-F:.]*$/.test(host),
    );
    if (wrong !== undefined || hosts.length === 0 || hosts.length > 32)
      throw new WeirError('USAGE', `A certificate is for 1 to 32 names of hosts, not for "${wrong ?? hosts.length}".`);
    return signCertificate(
      {
        subject: { organization: side, unit: tokenId, common: name },
        publicKey: key,
        from: now - EARLIER_MS,
        to: now + CERTIFICATE_MS,
        hosts,
      },
      this.#signer,
    );
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Two masters may do so at the same time: the first one's counts. */
function create(path: string, now: number): string {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = { organization: 'authority', unit: 'weir', common: randomBytes(8).toString('hex') };
  const certificate = signCertificate(
    { subject: name, publicKey, from: now - EARLIER_MS, to: now + AUTHORITY_MS, hosts: [] },
    { name, privateKey, publicKey },
  );
  const text = `${certificate}${String(privateKey.export({ type: 'pkcs8', format: 'pem' }))}`;
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
  try {
    linkSync(temporary, path);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return readFileSync(path, 'utf8');
  } finally {
    rmSync(temporary, { force: true });
  }
}

function authorityName(certificate: string): Signer['name'] {
  const part = (name: string): string =>
    new RegExp(`^${name}=(.*)$`, 'm').exec(new X509Certificate(certificate).subject)?.[1] ?? '';
  return { organization: part('O'), unit: part('OU'), common: part('CN') };
}

function readPublicKey(bytes: Uint8Array): ReturnType<typeof createPublicKey> {
  try {
    const key = createPublicKey({ key: Buffer.from(bytes), format: 'der', type: 'spki' });
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  } catch {
    // Told below, as any other key that is none.
  }
  throw new WeirError('USAGE', 'A certificate is made for a key on the P-256 curve.');
}
