/** Which rights a user needs to write by transactions, one by one: every refusal names the right that is missing. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import kafkajs from 'kafkajs';
import type { AclEntry, Admin } from 'kafkajs';
import { isWeirError } from '../../core/errors.ts';
import { offset, partition } from '../../core/ids.ts';
import type { LogTransactionPlan } from '../../core/log-transactions.ts';
import { noFailpoints } from '../../core/ports.ts';
import { always, batchOf } from '../../test/conformance/source.ts';
import type { Service } from '../../test/services/services.ts';
import { startKafka } from '../../test/services/services.ts';
import { until } from '../../test/support/cluster.ts';
import { KafkaLogWriter } from './kafka-log-writer.ts';
import { parts } from './test-log.ts';

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, ResourcePatternTypes, logLevel } = kafkajs;

type Right = Pick<AclEntry, 'resourceType' | 'resourceName' | 'operation'>;

const own = {
  skip: process.env['KAFKA_BROKERS'] === undefined ? false : 'KAFKA_BROKERS names servers with settings of their own',
};
const p0 = partition(0);
const plan: LogTransactionPlan = {
  job: 'shop',
  topic: 'paid',
  id: 'weir.shop.orders.0.paid',
  groups: ['weir.shop.1.orders.paid'],
  source: { topic: 'orders', partition: p0 },
  note: '1/a',
  commitIntervalMs: 20,
  timeoutMs: 60_000,
};

/** In the order in which they are missed. */
const rights: readonly (readonly [missed: RegExp, entry: Right])[] = [
  [
    /TRANSACTIONAL_ID_AUTHORIZATION_FAILED; allow Write and Describe on the TransactionalId weir\.shop\.orders\.0\.paid .*--transactional-id weir\./,
    right(AclResourceTypes.TRANSACTIONAL_ID, 'weir.', AclOperationTypes.WRITE),
  ],
  [
    /GROUP_AUTHORIZATION_FAILED; allow Read on the Group weir\.shop\.1\.orders\.paid .*--group weir\./,
    right(AclResourceTypes.GROUP, 'weir.', AclOperationTypes.READ),
  ],
  [
    /TOPIC_AUTHORIZATION_FAILED; allow Read on the Topic orders\./,
    right(AclResourceTypes.TOPIC, 'orders', AclOperationTypes.READ),
  ],
  [
    /TOPIC_AUTHORIZATION_FAILED; allow Write on the Topic paid\.|does not let this user use topic paid/,
    right(AclResourceTypes.TOPIC, 'paid', AclOperationTypes.WRITE),
  ],
];

function right(resourceType: Right['resourceType'], resourceName: string, operation: Right['operation']): Right {
  return { resourceType, resourceName, operation };
}

suite('rights of a user that writes by transactions', own, () => {
  let server: Service;
  let admin: Admin;
  let writer: KafkaLogWriter;

  before(async () => {
    const login = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="root" password="r"';
    server = await startKafka({
      protocol: 'SASL_PLAINTEXT',
      properties: {
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users': 'User:root;User:ANONYMOUS',
        'sasl.enabled.mechanisms': 'PLAIN',
        'sasl.mechanism.inter.broker.protocol': 'PLAIN',
        'listener.name.clients.plain.sasl.jaas.config': `${login} user_root="r" user_app="a";`,
      },
    });
    const brokers = [server.address];
    const sasl = { mechanism: 'plain', username: 'root', password: 'r' } as const;
    const retry = { retries: 20, initialRetryTime: 100, maxRetryTime: 1000 };
    admin = new Kafka({ brokers, sasl, retry, logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    for (const topic of ['orders', 'paid'])
      await until(`${topic} is there`, 60_000, () => admin.createTopics({ topics: [{ topic }] }).then(() => true));
    const user = { mechanism: 'plain', username: 'app', password: 'a' } as const;
    writer = new KafkaLogWriter({ brokers, clientId: 'weir-test', sasl: user }, parts);
  });
  after(async () => {
    await writer?.close();
    await admin?.disconnect();
    await server?.dispose();
  });

  async function writeOnce(): Promise<void> {
    const transactions = await writer.openTransactions(plan, { permit: always, failpoints: noFailpoints });
    try {
      await transactions.write([{ topic: 'paid', partition: p0, batch: batchOf('a', 0, 1) }], offset(1));
    } finally {
      await transactions.close();
    }
  }

  async function allow(entry: Right): Promise<void> {
    const resourcePatternType = entry.resourceName.endsWith('.')
      ? ResourcePatternTypes.PREFIXED
      : ResourcePatternTypes.LITERAL;
    const permissionType = AclPermissionTypes.ALLOW;
    await admin.createAcls({
      acl: [{ ...entry, resourcePatternType, permissionType, principal: 'User:app', host: '*' }],
    });
  }

  test('each that is missing is named, and with all of them rows are written', async () => {
    for (const [missed, entry] of rights) {
      // A right takes a moment to be known to the broker: what was missed before may be missed once more.
      await until(`${String(missed)} is said`, 30_000, async () => {
        const error = await writeOnce().then(
          () => undefined,
          (failure: unknown) => failure,
        );
        assert.ok(isWeirError(error, 'UNAUTHORIZED'), String(error));
        assert.match(error.message, missed);
        return true;
      });
      await allow(entry);
    }
    await until('rows are written', 30_000, () => writeOnce().then(() => true));
  });
});
