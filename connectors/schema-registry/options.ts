/** How a Schema Registry is reached, from the environment. */
import { WeirError } from '../../core/errors.ts';
import type { OutboundPolicy } from '../../core/security/outbound.ts';
import { parseOutbound } from '../../core/security/outbound.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface RegistryOptions {
  /** Address without a slash at its end; for Apicurio it ends in `/apis/ccompat/v7`. */
  readonly url: string;
  /** Value of the Authorization header; undefined = none is sent. */
  readonly authorization?: string;
  /** Where it may be, when a job names it; absent = anywhere. */
  readonly outbound?: OutboundPolicy;
}

/**
 * Options from SCHEMA_REGISTRY_URL, SCHEMA_REGISTRY_USERNAME with SCHEMA_REGISTRY_PASSWORD, or SCHEMA_REGISTRY_TOKEN
 * (bearer). `address` is a registry that a job names; '' = the default one. Credentials go to the default registry's
 * host alone: a job file must not be able to have them sent elsewhere.
 *
 * Throws: CONFIG_INVALID.
 */
export function registryOptionsFromEnv(env: Environment, address = ''): RegistryOptions {
  const ownAddress = nonEmpty(env['SCHEMA_REGISTRY_URL']);
  const own = ownAddress === undefined ? undefined : urlOf(ownAddress, 'SCHEMA_REGISTRY_URL');
  const asked = address === '' ? own : urlOf(address, 'the registry of the job');
  if (asked === undefined) {
    throw new WeirError(
      'CONFIG_INVALID',
      'A job reads records with schemas of a registry, and SCHEMA_REGISTRY_URL is not set; set it for masters and workers.',
    );
  }
  const isOwn = asked.origin === own?.origin;
  const authorization = isOwn ? authorizationOf(env) : undefined;
  const url = `${asked.origin}${asked.pathname}`.replace(/\/+$/, '');
  return {
    url,
    ...(authorization === undefined ? {} : { authorization }),
    ...(isOwn ? {} : { outbound: parseOutbound(env['WEIR_ALLOWED_HOSTS']) }),
  };
}

function urlOf(text: string, name: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new WeirError('CONFIG_INVALID', `The address in ${name} is no URL; write http://host:8081.`);
  if (url.username !== '' || url.password !== '') {
    throw new WeirError(
      'CONFIG_INVALID',
      `The address in ${name} holds a password; set SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD instead.`,
    );
  }
  return url;
}

function authorizationOf(env: Environment): string | undefined {
  const token = nonEmpty(env['SCHEMA_REGISTRY_TOKEN']);
  const username = nonEmpty(env['SCHEMA_REGISTRY_USERNAME']);
  const password = nonEmpty(env['SCHEMA_REGISTRY_PASSWORD']);
  if ((username === undefined) !== (password === undefined)) {
    throw new WeirError(
      'CONFIG_INVALID',
      'SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD must be set together; only one is.',
    );
  }
  if (token !== undefined && username !== undefined) {
    throw new WeirError(
      'CONFIG_INVALID',
      'SCHEMA_REGISTRY_TOKEN and SCHEMA_REGISTRY_USERNAME are both set; keep the one that the registry takes.',
    );
  }
  if (token !== undefined) return `Bearer ${token}`;
  return username === undefined ? undefined : `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value.trim();
}
