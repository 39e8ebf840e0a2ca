/** What docker-compose.yml and the Dockerfiles promise, read service by service; test/compose runs them. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Healthcheck {
  readonly test?: readonly string[];
  readonly disable?: boolean;
  readonly interval?: string;
  readonly timeout?: string;
}

interface Service {
  readonly image: string;
  readonly build?: {
    readonly context: string;
    readonly dockerfile: string;
    readonly args?: Readonly<Record<string, string>>;
  };
  readonly profiles?: readonly string[];
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly user?: string;
  readonly privileged?: boolean;
  readonly network_mode?: string;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly mem_limit?: string;
  readonly ports?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly healthcheck?: Healthcheck;
  readonly logging?: { readonly options: Readonly<Record<string, string>> };
}

const file = parse(read('docker-compose.yml'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const services = Object.entries(file.services);

/** Images of others, and the user that each runs as when nothing is said (their Dockerfiles). */
const foreignUsers = new Map([
  ['apache/kafka', 'appuser'],
  ['apicurio/apicurio-registry', '1001'],
  ['ghcr.io/kafbat/kafka-ui', 'kafkaui'],
  ['prom/prometheus', 'nobody'],
  ['grafana/grafana', '472'],
]);
/** It starts as root to give its data to the user cassandra, and then becomes that user. */
const startsAsRoot = new Set(['cassandra']);
/** Their images write their configuration into folders of their own at each start. */
const writesItsRoot = new Set(['kafka', 'cassandra']);
/** Run once, or listen nowhere: the state of the container says all there is. */
const withoutDoor = new Set(['token', 'airflow-token', 'notebook-token', 'jobs', 'users', 'properties']);
/** Of which containers may add capabilities, and why they need them is said above. */
const capabilities = new Map([['cassandra', ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID']]]);

/** With what ${NAME:-default} says. */
function withDefaults(text: string): string {
  return text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
}

/** `name:tag` of its image. */
function imageOf({ image }: Service): { readonly name: string; readonly tag: string } {
  const filled = withDefaults(image);
  const at = filled.lastIndexOf(':');
  return at < 0 ? { name: filled, tag: '' } : { name: filled.slice(0, at), tag: filled.slice(at + 1) };
}

/** The instructions of the last stage of a Dockerfile. */
function lastStage(path: string): readonly string[] {
  const lines = read(path)
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  return lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));
}

for (const [name, service] of services) {
  suite(`the service ${name}`, () => {
    const { build } = service;

    test('runs a version that is named', () => {
      const { name: image, tag } = imageOf(service);
      if (build !== undefined) {
        const text = read(join(build.context, build.dockerfile));
        const bases = [...text.matchAll(/^FROM \w+:\$\{(\w+)\}/gm)].map(([, arg = '']) => arg);
        assert.equal(bases.length, 2, build.dockerfile);
        for (const base of bases) {
          const [, pinned = ''] = new RegExp(`^ARG ${base}=(.*)$`, 'm').exec(text) ?? [];
          assert.match(pinned, /^\d+\.\d+\.\d+-[a-z-]+$/, `${base} in ${build.dockerfile}`);
          assert.equal(withDefaults(build.args?.[base] ?? ''), pinned, `${base} of ${name}`);
        }
      } else {
        assert.match(tag, /^v?\d+\.\d+\.\d+$/, image);
      }
    });

    test('is not root', () => {
      if (startsAsRoot.has(name)) return assert.notEqual(capabilities.get(name), undefined);
      assert.equal(service.privileged, undefined);
      if (service.user !== undefined) return assert.match(service.user, /^[1-9]\d*(:\d+)?$/);
      if (build === undefined) return assert.ok(foreignUsers.has(imageOf(service).name), service.image);
      const user = lastStage(join(build.context, build.dockerfile)).findLast((line) => line.startsWith('USER '));
      assert.match(user ?? '', /^USER (node|weir)$/);
    });

    test('has no capabilities, and cannot get any', () => {
      assert.deepEqual(service.cap_drop, ['ALL']);
      assert.deepEqual(service.cap_add, capabilities.get(name));
      assert.deepEqual(service.security_opt, ['no-new-privileges:true']);
    });

    test('cannot write to its image', () => {
      if (writesItsRoot.has(name)) return assert.equal(service.read_only, undefined, 'it can: take it off the list');
      assert.equal(service.read_only, true);
      for (const place of service.tmpfs ?? []) assert.match(place, /size=\d+m/, 'memory of the machine, without end');
    });

    test('has an end of memory and of logs', () => {
      assert.match(service.mem_limit ?? '', /^\d+(m|g)$/);
      assert.ok(
        service.logging?.options['max-size'] !== undefined && service.logging.options['max-file'] !== undefined,
      );
    });

    test('is asked whether it is well', () => {
      if (withoutDoor.has(name)) return assert.deepEqual(service.healthcheck, { disable: true });
      if (service.healthcheck === undefined && build !== undefined) {
        const stage = lastStage(join(build.context, build.dockerfile));
        return assert.ok(stage.some((line) => /^HEALTHCHECK .*--timeout=.* CMD /.test(line)));
      }
      const { test: command, interval = '', timeout = '' } = service.healthcheck ?? {};
      assert.equal(command?.[0], 'CMD', 'no shell, which not every image has');
      assert.ok(seconds(timeout) <= seconds(interval), 'one look ends before the next begins');
    });

    test('is reached from this machine only', () => {
      for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:\$\{\w+:-\d+\}:\d+$/);
    });

    test('has settings that are read, and volumes that are declared', () => {
      for (const volume of service.volumes ?? []) {
        const [from = '', to = ''] = withDefaults(volume).split(':');
        assert.ok(to.startsWith('/'), volume);
        if (!from.startsWith('.')) assert.ok(from in file.volumes, `the volume ${from}`);
      }
      if (build === undefined) return;
      for (const setting of Object.keys(service.environment ?? {})) assert.ok(isRead(setting), setting);
    });
  });
}

/** Of `5s`. */
function seconds(text: string): number {
  assert.match(text, /^\d+s$/);
  return Number.parseInt(text, 10);
}

/** Whether some source or script of the images names the setting as one that it reads. */
function isRead(setting: string): boolean {
  return sources.some((text) => text.includes(`'${setting}'`) || text.includes(`\${${setting}:-`));
}

const sources = globSync(['{cli,connectors,core,engine,master,sdk,worker}/**/*.ts', 'ops/docker/*.sh'], {
  cwd: root,
  exclude: (path) => path.endsWith('.test.ts'),
}).map(read);

test('Prometheus has the token that shows figures, and not the cluster’s own', () => {
  const mounted = (name: string): readonly string[] =>
    (file.services[name]?.volumes ?? []).map((volume) => volume.split(':')[0] ?? '');
  assert.ok(mounted('prometheus').includes('metrics-token'));
  assert.ok(!mounted('prometheus').includes('token') && !mounted('prometheus').includes('security'));
  const { scrape_configs: jobs } = parse(read('ops/prometheus/prometheus.yml'), { merge: true }) as {
    readonly scrape_configs: readonly {
      readonly authorization?: { readonly credentials_file: string };
      readonly http_sd_configs?: readonly { readonly authorization?: { readonly credentials_file: string } }[];
    }[];
  };
  const files = jobs.flatMap(({ authorization, http_sd_configs: found = [] }) =>
    [authorization, ...found.map((one) => one.authorization)].flatMap((one) => one?.credentials_file ?? []),
  );
  assert.equal(files.length, 3);
  assert.deepEqual([...new Set(files)], ['/var/lib/weir/metrics-token/token']);
  for (const name of ['master', 'master-2', 'worker'])
    assert.equal(
      file.services[name]?.environment?.['WEIR_METRICS_TOKEN_FILE'],
      '/var/lib/weir/metrics-token/token',
      name,
    );
});

for (const [name, role] of [
  ['airflow', 'submitter-declarative'],
  ['notebook', 'operator'],
]) {
  test(`${name} has a token of its own, of the role ${role}`, () => {
    const folders = (service: string): readonly string[] =>
      (file.services[service]?.volumes ?? []).filter((volume) => volume.includes(':/var/lib/weir/'));
    assert.deepEqual(folders(`${name}`), [`${name}-token:/var/lib/weir/named-token:ro`]);
    const maker = file.services[`${name}-token`];
    assert.deepEqual(maker?.entrypoint?.slice(1), [name, role, '/var/lib/weir/named-token']);
    assert.deepEqual(folders(`${name}-token`), [
      'token:/var/lib/weir/token:ro',
      `${name}-token:/var/lib/weir/named-token`,
    ]);
  });
}

test('masters share the folder of tokens, and nobody else has it', () => {
  const holders = services
    .filter(([, { volumes = [] }]) => volumes.some((volume) => volume.startsWith('security:')))
    .map(([name]) => name);
  assert.deepEqual(holders, ['master', 'master-2']);
  const folder = /WEIR_SECURITY_DIR=(\S+)/.exec(read('Dockerfile.master'))?.[1];
  for (const name of holders) assert.ok(file.services[name]?.volumes?.includes(`security:${folder}`), name);
});

test('the code is built by the same stage everywhere, so that it is built once', () => {
  const [first, ...others] = ['master', 'worker', 'airflow', 'notebook'].map((name) => {
    const text = read(`Dockerfile.${name}`);
    return text.slice(text.indexOf('FROM node:'), text.lastIndexOf('\nFROM '));
  });
  for (const other of others) assert.equal(other, first);
});

test('packages for Python are named with their versions, all of them', () => {
  for (const name of ['airflow', 'notebook']) {
    const lines = (list: string): readonly string[] =>
      read(`ops/${name}/${list}.txt`)
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'));
    const constraints = new Set(lines('constraints'));
    for (const line of constraints) assert.match(line, /^[a-z0-9-]+==[0-9][\w.!+]*$/);
    for (const line of lines('requirements')) assert.ok(constraints.has(line), `${line} of ops/${name}`);
    assert.match(read(`Dockerfile.${name}`), new RegExp(`-c /tmp/${name}/constraints.txt`));
  }
});
