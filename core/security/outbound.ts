/**
 * Where a job may have a process connect to. What whoever runs the cluster has set (KAFKA_BROKERS, SCHEMA_REGISTRY_URL,
 * …) is not asked about; what a job file names is: otherwise whoever may submit a job could look around in the network
 * of the workers (server-side request forgery, CWE-918).
 */
/**
 * `any`: everything but link-local addresses, where clouds keep the credentials of machines. `public`: also no private
 * and no loopback address. Otherwise the hosts that are named and no others, whatever their addresses.
 */
export type OutboundPolicy =
  /** `all`: what the cluster's own settings name. */
  { readonly kind: 'all' | 'any' | 'public' } | { readonly kind: 'named'; readonly hosts: readonly string[] };

/** From WEIR_ALLOWED_HOSTS: `any` (default), `public`, or names with commas: `api.example.org`, `*.example.org`, `10.0.0.5`. */
export function parseOutbound(text: string | undefined): OutboundPolicy {
  const words = (text ?? '')
    .split(',')
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== '');
  const [only] = words;
  if (only === undefined || (words.length === 1 && only === 'any')) return { kind: 'any' };
  return words.length === 1 && only === 'public' ? { kind: 'public' } : { kind: 'named', hosts: words };
}

/** Of clouds, where a machine asks for its own credentials; and what else is link-local. */
const linkLocal = listOf([
  ['169.254.0.0', 16],
  ['fe80::', 10],
  // Beside the link-local ones: AWS by IPv6, Alibaba, Oracle.
  ['fd00:ec2::254', 128],
  ['100.100.100.200', 32],
  ['192.0.0.192', 32],
]);

/** RFC 6890 and its registries: what no public host has. */
const notPublic = listOf([
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
  ['::', 128],
  ['::1', 128],
  ['64:ff9b::', 96],
  ['fc00::', 7],
  ['ff00::', 8],
]);

interface Range {
  readonly bytes: readonly number[];
  readonly bits: number;
}

function listOf(ranges: readonly (readonly [string, number])[]): readonly Range[] {
  return ranges.map(([net, bits]) => ({ bytes: addressBytes(net) ?? [], bits }));
}

function isWithin(address: readonly number[], { bytes, bits }: Range): boolean {
  if (address.length !== bytes.length) return false;
  return bytes.every((byte, at) => {
    const left = Math.min(8, Math.max(0, bits - at * 8));
    return ((byte ^ (address[at] ?? 0)) & (0xff00 >> left) & 0xff) === 0;
  });
}

/** 4 or 16 bytes of an address, of an IPv4 one within an IPv6 one those 4; null for what is none. */
export function addressBytes(text: string): readonly number[] | null {
  if (/^(\d{1,3}\.){3}\d{1,3}$/.test(text)) {
    const bytes = text.split('.').map(Number);
    return bytes.every((byte) => byte < 256) ? bytes : null;
  }
  if (!text.includes(':')) return null;
  // The URL parser writes every form of an address the same way; a zone is of no weight here.
  const name = URL.parse(`http://[${text.replace(/%.*$/, '')}]`)?.hostname.slice(1, -1);
  if (name === undefined) return null;
  const [head = '', tail] = name.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [front, back] = [groups(head), groups(tail ?? '')];
  const all = [...front, ...Array.from({ length: 8 - front.length - back.length }, () => 0), ...back];
  const bytes = all.flatMap((group) => [group >> 8, group & 0xff]);
  const isMapped = all.slice(0, 5).every((group) => group === 0) && all[5] === 0xffff;
  return isMapped ? bytes.slice(12) : bytes;
}

/** Why a host may not be connected to by its name, or null. */
export function judgeHost(policy: OutboundPolicy, host: string): string | null {
  if (policy.kind !== 'named') return null;
  const name = host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
  const isNamed = policy.hosts.some((one) =>
    one.startsWith('*.') ? name.endsWith(one.slice(1)) && name.length > one.length - 1 : name === one,
  );
  return isNamed ? null : `WEIR_ALLOWED_HOSTS does not name ${host}`;
}

/** Why an address may not be connected to, or null. Whatever form it was written in, it is judged as the number it is. */
export function judgeAddress(policy: OutboundPolicy, address: string): string | null {
  if (policy.kind === 'named' || policy.kind === 'all') return null;
  const bytes = addressBytes(address);
  if (bytes === null) return `${address} is no address`;
  if (linkLocal.some((range) => isWithin(bytes, range)))
    return `${address} is link-local, where machines keep their own credentials`;
  if (policy.kind === 'public' && notPublic.some((range) => isWithin(bytes, range)))
    return `${address} is an address of this network, and jobs may reach public ones only`;
  return null;
}
