/** What the compose file starts beside Weir, and how each service shows that it works. An image that cannot be had is named. */
import assert from 'node:assert/strict';

export interface Beside {
  readonly service: string;
  readonly image: string;
  /** Setting of the port on this machine. */
  readonly port: string;
  /** Throws while the service at `http://127.0.0.1:port` does not do what it is there for. */
  readonly check: (address: string) => Promise<void>;
}

export const beside: readonly Beside[] = [
  {
    service: 'schemas',
    image: 'apicurio/apicurio-registry:3.0.9',
    port: 'REGISTRY_PORT',
    check: async (address) => {
      const schema = JSON.stringify({ schema: '{"type":"record","name":"user","fields":[]}' });
      const path = `${address}/apis/ccompat/v7/subjects`;
      const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' };
      const registered = await fetch(`${path}/users-value/versions`, { method: 'POST', headers, body: schema });
      assert.equal(registered.status, 200, await registered.text());
      assert.deepEqual(await jsonOf(path), ['users-value']);
    },
  },
  {
    service: 'kafka-ui',
    image: 'ghcr.io/kafbat/kafka-ui:v1.3.0',
    port: 'KAFKA_UI_PORT',
    check: async (address) => {
      const { topics } = (await jsonOf(`${address}/api/clusters/weir/topics`)) as { topics: { name: string }[] };
      assert.ok(topics.some(({ name }) => name === 'users_created'));
    },
  },
  {
    service: 'grafana',
    image: 'grafana/grafana:12.1.0',
    port: 'GRAFANA_PORT',
    check: async (address) => {
      const found = (await jsonOf(`${address}/api/search?type=dash-db`)) as { uid: string }[];
      assert.deepEqual(found.map(({ uid }) => uid).toSorted(), ['weir-cluster', 'weir-job', 'weir-lag', 'weir-sink']);
    },
  },
];

async function jsonOf(url: string): Promise<unknown> {
  const response = await fetch(url);
  assert.ok(response.ok, `${url}: ${response.status} ${await response.clone().text()}`);
  return await response.json();
}
