/**
 * Packages of connectors: which ones the operator of this process allows (WEIR_CONNECTORS=acme,other), what they say of
 * themselves, and their code. Masters read what they say; only workers load code.
 */
import { readFileSync } from 'node:fs';
import { createRequire, findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { WeirError, messageOf } from '../../core/errors.ts';
import type { ConnectorManifest } from '../../core/job/connector-manifest.ts';
import { parseManifest } from '../../core/job/connector-manifest.ts';
import { PACKAGE_PREFIX, connectorNamePattern } from '../../core/job/connector-names.ts';
import type { Connector } from '../../core/connector.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Beside the package.json of a package. */
export const MANIFEST_FILE = 'weir-connector.json';

/** Names in WEIR_CONNECTORS, without `weir-connector-`. Throws: CONFIG_INVALID. */
export function allowedConnectors(env: Environment): readonly string[] {
  const names = (env['WEIR_CONNECTORS'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const wrong = names.find((name) => !connectorNamePattern.test(name));
  if (wrong === undefined) return names;
  throw new WeirError(
    'CONFIG_INVALID',
    `WEIR_CONNECTORS names "${wrong}"; write names of connectors with commas, acme for the package ${PACKAGE_PREFIX}acme.`,
  );
}

/** What the allowed packages say of themselves, by name. Throws: CONFIG_INVALID where one is not installed or says nothing. */
export function readManifests(env: Environment): ReadonlyMap<string, ConnectorManifest> {
  return new Map(allowedConnectors(env).map((name) => [name, readManifest(env, name)]));
}

/** Throws: FORBIDDEN where it is not allowed; CONFIG_INVALID. */
export function readManifest(env: Environment, name: string): ConnectorManifest {
  const place = join(dirname(packageFile(env, name)), MANIFEST_FILE);
  let text: string;
  try {
    text = readFileSync(place, 'utf8');
  } catch (cause) {
    throw new WeirError('CONFIG_INVALID', `The package ${PACKAGE_PREFIX}${name} has no file ${MANIFEST_FILE}.`, {
      cause,
    });
  }
  const manifest = parseManifest(place, text);
  if (manifest.name === name) return manifest;
  throw new WeirError('CONFIG_INVALID', `${place} describes the connector ${manifest.name}, not ${name}.`);
}

/** Runs the code of the package, once per process. Throws: FORBIDDEN where it is not allowed; CONFIG_INVALID. */
export async function loadConnector(env: Environment, name: string): Promise<Connector> {
  const manifestOf = packageFile(env, name);
  const specifier = `${PACKAGE_PREFIX}${name}`;
  let loaded: { readonly default?: Partial<Connector> };
  try {
    const entry = createRequire(join(dirname(manifestOf), 'package.json')).resolve(specifier);
    loaded = (await import(pathToFileURL(entry).href)) as typeof loaded;
  } catch (cause) {
    throw new WeirError('CONFIG_INVALID', `The package ${specifier} cannot be loaded: ${messageOf(cause)}`, { cause });
  }
  const connector = loaded.default;
  if (typeof connector?.openSink === 'function' || typeof connector?.openSource === 'function') return connector;
  throw new WeirError(
    'CONFIG_INVALID',
    `The package ${specifier} exports no connector: its default export has neither openSink nor openSource.`,
  );
}

/** The package's package.json: from WEIR_CONNECTORS_DIR (default: where the process was started), else beside Weir. */
function packageFile(env: Environment, name: string): string {
  if (!allowedConnectors(env).includes(name))
    throw new WeirError(
      'FORBIDDEN',
      `The connector ${name} is not one that jobs may use here: it runs code of the package ${PACKAGE_PREFIX}${name}. Whoever runs this process allows it by WEIR_CONNECTORS=${name}.`,
    );
  const specifier = `${PACKAGE_PREFIX}${name}`;
  const own = env['WEIR_CONNECTORS_DIR'];
  const directory = own === undefined || own === '' ? process.cwd() : own;
  for (const base of [pathToFileURL(join(directory, 'package.json')).href, import.meta.url]) {
    try {
      const found = findPackageJSON(specifier, base);
      if (found !== undefined) return found;
    } catch {
      // Not there; the next place is looked at.
    }
  }
  throw new WeirError(
    'CONFIG_INVALID',
    `The package ${specifier} of WEIR_CONNECTORS is not installed: npm install ${specifier} in ${directory}, or set WEIR_CONNECTORS_DIR to where it is.`,
  );
}
