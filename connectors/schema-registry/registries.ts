/** All schema registries that a process asks: the default one, and those that jobs name. */
import { isWeirError } from '../../core/errors.ts';
import { registryOptionsFromEnv } from './options.ts';
import type {
  RegisteredSchema,
  RegistryParts,
  SinkSchema,
  SchemaRegistryClient,
  UnknownSchema,
} from './registry-client.ts';

export class SchemaRegistries {
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #parts: RegistryParts;
  readonly #clients = new Map<string, SchemaRegistryClient>();

  constructor(env: Readonly<Record<string, string | undefined>>, parts: RegistryParts) {
    this.#env = env;
    this.#parts = parts;
  }

  /**
   * The schemas of ids; one that refers to what the registry does not have is as good as unknown. `registry`: its
   * address, '' = the default one. Throws: SCHEMA_REGISTRY_UNAVAILABLE, UNAUTHORIZED, CONFIG_INVALID.
   */
  async schemas(registry: string, ids: readonly number[]): Promise<(RegisteredSchema | UnknownSchema)[]> {
    const client = await this.#client(registry);
    return await Promise.all(
      ids.map((id) =>
        client.byId(id).catch((error: unknown): UnknownSchema => {
          if (!isWeirError(error, 'SCHEMA_INVALID')) throw error;
          return { id, type: 'UNKNOWN' };
        }),
      ),
    );
  }

  /** The latest schema of a subject; undefined when there is none. Throws: as {@link schemas}, and SCHEMA_INVALID. */
  async latest(registry: string, subject: string): Promise<RegisteredSchema | undefined> {
    return await (await this.#client(registry)).latest(subject);
  }

  /** The id of a sink's schema under a subject; undefined when the subject does not have it. Throws: as {@link schemas}. */
  async find(registry: string, subject: string, schema: SinkSchema): Promise<number | undefined> {
    return await (await this.#client(registry)).find(subject, schema);
  }

  /** Whether a subject would take a sink's schema. Throws: as {@link schemas}. */
  async accepts(registry: string, subject: string, schema: SinkSchema): Promise<boolean> {
    return await (await this.#client(registry)).accepts(subject, schema);
  }

  /** The id of a sink's schema, which is registered, with what it refers to, when it is new. Throws: as {@link schemas}, and SCHEMA_REFUSED. */
  async register(registry: string, subject: string, schema: SinkSchema): Promise<number> {
    return await (await this.#client(registry)).register(subject, schema);
  }

  async #client(registry: string): Promise<SchemaRegistryClient> {
    // Most processes never ask one, and what checks the answers is not small.
    const { SchemaRegistryClient } = await import('./registry-client.ts');
    let client = this.#clients.get(registry);
    if (client === undefined) {
      client = new SchemaRegistryClient(registryOptionsFromEnv(this.#env, registry), this.#parts);
      this.#clients.set(registry, client);
    }
    return client;
  }
}
