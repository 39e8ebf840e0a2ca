/**
 * A real Schema Registry for tests: Apicurio Registry with its schemas in memory, in a JVM of its own on loopback, spoken
 * to through the API that it shares with Confluent's.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { JavaServer, LOOPBACK, freePorts, freshDirectory } from './java-server.ts';
import { archive, javaCommand } from './jars.ts';

/** The last one for Java 17. */
const APICURIO_VERSION = '3.0.9';

export interface SchemaReference {
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}

export interface SchemaToRegister {
  readonly schema: string;
  readonly schemaType?: 'AVRO' | 'PROTOBUF' | 'JSON';
  readonly references?: readonly SchemaReference[];
}

export interface RegistryService {
  /** Of the API, for SCHEMA_REGISTRY_URL. */
  readonly url: string;
  /** The id of the schema, which is registered when it is new. */
  register(subject: string, schema: SchemaToRegister): Promise<number>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** Ends the process at once; its schemas are gone. */
  kill9(): Promise<void>;
  dispose(): Promise<void>;
}

/** Starts it; about four seconds. Throws a sentence that names what is missing on the machine. */
export async function startRegistry(): Promise<RegistryService> {
  const java = javaCommand('a test against a schema registry');
  const name = `apicurio-${APICURIO_VERSION}`;
  const folder = await archive(name, `io.apicurio:apicurio-registry-app:${APICURIO_VERSION}:tar.gz:all`);
  const jar = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((file) => file.endsWith('-runner.jar'));
  assert(jar !== undefined, `${folder} holds no jar to run`);
  const directory = await freshDirectory('registry');
  const [port = 0, managementPort = 0] = await freePorts(2);
  const args = [
    '-Xmx384m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    `-Dquarkus.http.host=${LOOPBACK}`,
    `-Dquarkus.http.port=${port}`,
    `-Dquarkus.management.host=${LOOPBACK}`,
    `-Dquarkus.management.port=${managementPort}`,
    '-jar',
    join(folder, jar),
  ];
  const path = '/apis/ccompat/v7';
  const probe = Buffer.from(`GET ${path}/subjects HTTP/1.1\r\nHost: ${LOOPBACK}\r\nConnection: close\r\n\r\n`);
  const server = new JavaServer({ name: 'Apicurio Registry', java, args, directory, port, probe });
  await server.start();
  const url = `http://${LOOPBACK}:${port}${path}`;
  return {
    url,
    register: (subject, schema) => register(url, subject, schema),
    pause: () => server.pause(),
    resume: () => server.resume(),
    kill9: () => server.kill9(),
    dispose: () => server.dispose(),
  };
}

async function register(url: string, subject: string, schema: SchemaToRegister): Promise<number> {
  const response = await fetch(`${url}/subjects/${encodeURIComponent(subject)}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify(schema),
  });
  const answer = (await response.json()) as { readonly id?: number };
  assert(response.status === 200 && typeof answer.id === 'number', `registering ${subject}: ${JSON.stringify(answer)}`);
  return answer.id;
}
