/** The lease on virtual time: two and more contenders, lost and late requests, paused, crashed and stopped holders. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LeaseRow } from '../core/epoch/types.ts';
import { WeirError } from '../core/errors.ts';
import type { Fence } from '../core/ids.ts';
import { fence } from '../core/ids.ts';
import type { CasOutcome, MetaStore } from '../core/meta.ts';
import { seededRng } from '../core/random.ts';
import { noLog } from '../test/conformance/no-log.ts';
import type { SimNode } from '../test/sim/kernel.ts';
import { Simulation } from '../test/sim/kernel.ts';
import { LEASE_MS, LeaderLease, RENEW_INTERVAL_MS, TAKEOVER_MS, decideContender, look } from './lease.ts';

function leaseRow(changes: Partial<LeaseRow> = {}): LeaseRow {
  return {
    ver: 7,
    nonce: 'n7',
    token: fence(3),
    holder: 'other',
    address: 'other:7077',
    httpAddress: 'http://other:7080',
    beat: 4,
    ...changes,
  };
}

const me = { holder: 'me', address: 'me:7077', httpAddress: 'http://me:7080', inheritsAddress: false };

describe('decideContender', () => {
  test('nobody ever led: the first token', () => {
    assert.deepEqual(decideContender(me, { row: undefined, since: 5 }, 5), {
      kind: 'take',
      next: { ver: 1, token: 1, holder: 'me', address: 'me:7077', httpAddress: 'http://me:7080', beat: 0 },
    });
  });

  test('a lease that stands still is taken after the full time by the own clock, with the next token', () => {
    const sight = { row: leaseRow(), since: 1000 };
    assert.equal(decideContender(me, sight, 1000 + TAKEOVER_MS - 1).kind, 'wait');
    const decision = decideContender(me, sight, 1000 + TAKEOVER_MS);
    assert.equal(decision.kind, 'take');
    assert.deepEqual(decision.kind === 'take' && [decision.next.ver, decision.next.token], [8, 4]);
  });

  test('a lease that moves is looked at again and again', () => {
    let sight = look(null, leaseRow(), 0);
    for (let now = 400; now < 20_000; now += 400) {
      sight = look(sight, leaseRow({ ver: 7 + Math.floor(now / 1000) }), now);
      assert.equal(decideContender(me, sight, now).kind, 'wait');
    }
  });

  test('a released lease and one of its own are free at once', () => {
    for (const holder of ['', 'me'])
      assert.equal(decideContender(me, { row: leaseRow({ holder }), since: 0 }, 0).kind, 'take');
  });

  test('a lease of a former process at the same address is free, once', () => {
    const row = leaseRow({ address: me.address });
    assert.equal(decideContender({ ...me, inheritsAddress: true }, { row, since: 0 }, 0).kind, 'take');
    assert.equal(decideContender(me, { row, since: 0 }, 0).kind, 'wait');
    const elsewhere = decideContender({ ...me, inheritsAddress: true }, { row: leaseRow(), since: 0 }, 0);
    assert.equal(elsewhere.kind, 'wait');
  });

  test('the wait ends no later than the lease', () => {
    const decision = decideContender(me, { row: leaseRow(), since: 0 }, TAKEOVER_MS - 30);
    assert.deepEqual(decision, { kind: 'wait', ms: 30 });
  });
});

/** What the network does to one request. */
type Fate = 'answered' | 'slow' | 'requestLost' | 'answerLost' | 'late';

/** The store all masters share, over a network that `fateOf` rules. */
class LeaseServer {
  row: LeaseRow | undefined;
  /** Tokens in the order in which they became durable. */
  readonly tokens: Fence[] = [];
  readonly #sim: Simulation;
  readonly fateOf: (node: SimNode) => Fate;

  constructor(sim: Simulation, fateOf: (node: SimNode) => Fate = () => 'answered') {
    this.#sim = sim;
    this.fateOf = fateOf;
  }

  client(node: SimNode): Pick<MetaStore, 'readLease' | 'casLease'> {
    return {
      readLease: () => this.#request(node, () => this.row),
      casLease: (expectedVer, next) =>
        this.#request(node, () => this.#cas(expectedVer, next)).catch((cause: unknown): CasOutcome<LeaseRow> => ({
          kind: 'unknown',
          cause,
        })),
    };
  }

  #cas(expectedVer: number, next: LeaseRow): CasOutcome<LeaseRow> {
    if ((this.row?.ver ?? 0) !== expectedVer) return { kind: 'rejected', current: this.row };
    if (next.token !== this.row?.token) this.tokens.push(next.token);
    this.row = next;
    return { kind: 'applied' };
  }

  #request<T>(node: SimNode, apply: () => T): Promise<T> {
    const fate = this.fateOf(node);
    const latency = (): number => 1 + this.#sim.rng.unit() * 20;
    return new Promise((resolve, reject) => {
      const timeOut = this.#sim.at(700, node, () => reject(new WeirError('STORE_UNAVAILABLE', 'no answer')));
      if (fate === 'requestLost') return;
      this.#sim.at(fate === 'late' ? this.#sim.rng.unit() * 8000 : latency(), null, () => {
        const result = apply();
        if (fate !== 'answered' && fate !== 'slow') return;
        this.#sim.at(fate === 'slow' ? 550 + this.#sim.rng.unit() * 120 : latency(), node, () => {
          timeOut();
          resolve(result);
        });
      });
    });
  }
}

interface Term {
  readonly node: SimNode;
  readonly token: Fence;
  readonly since: number;
  until: number | null;
}

class Masters {
  readonly sim: Simulation;
  readonly server: LeaseServer;
  readonly leases = new Map<SimNode, LeaderLease>();
  readonly terms: Term[] = [];
  #lives = 0;

  constructor(seed: number, fateOf?: (sim: Simulation) => (node: SimNode) => Fate) {
    this.sim = new Simulation(seed);
    this.server = new LeaseServer(this.sim, fateOf?.(this.sim));
  }

  /** `settleMs`: how long a term takes to end once it is told to. */
  start(name: string, settleMs = 0): SimNode {
    const node = this.sim.node(`${name}-${++this.#lives}`);
    const clock = this.sim.clock(node);
    const lease = new LeaderLease({
      store: this.server.client(node),
      clock,
      rng: seededRng(this.#lives),
      log: noLog,
      holder: node.name,
      address: `${name}:7077`,
      httpAddress: `http://${name}:7080`,
      lead: async (token, signal) => {
        const term: Term = { node, token, since: this.sim.now, until: null };
        this.terms.push(term);
        await new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
        await clock.sleep(settleMs);
        term.until = this.sim.now;
      },
    });
    this.leases.set(node, lease);
    lease.open();
    return node;
  }

  crash(node: SimNode): void {
    node.dead = true;
    this.leases.delete(node);
  }

  leading(): SimNode[] {
    return [...this.leases].filter(([, lease]) => lease.leading).map(([node]) => node);
  }

  /** Looks every 5 ms whether at most one leads; paused nodes are asked as well: what they would do when they wake up. */
  watch(): void {
    this.sim.at(5, null, () => {
      const leading = this.leading();
      if (leading.length > 1) this.sim.fail(`${leading.map((node) => node.name).join(' and ')} lead at once`);
      this.watch();
    });
  }

  check(): void {
    if (this.sim.violation !== null) throw this.sim.violation;
    const tokens = this.terms.map((term) => term.token as number);
    assert.deepEqual([...new Set(tokens)], tokens, 'no token twice');
    const durable = this.server.tokens.map(Number);
    assert.deepEqual(
      durable,
      [...durable].sort((a, b) => a - b),
      'tokens grow',
    );
  }
}

const until = (masters: Masters, count: number) => () => masters.leading().length === count;

test('the first master leads at once and keeps leading', async () => {
  const masters = new Masters(1);
  masters.watch();
  const a = masters.start('a');
  await masters.sim.run(200, until(masters, 1));
  assert.ok(masters.sim.now < 200);
  const b = masters.start('b');
  await masters.sim.run(60_000);
  masters.check();
  assert.deepEqual(masters.leading(), [a]);
  assert.equal(masters.terms.length, 1);
  assert.equal(masters.leases.get(b)?.leader?.address, 'a:7077');
  assert.ok((masters.server.row?.beat ?? 0) > 100);
});

test('a dead leader is replaced within 3 s, not before its lease is over', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const masters = new Masters(seed);
    masters.watch();
    const a = masters.start('a');
    await masters.sim.run(200, until(masters, 1));
    const b = masters.start('b');
    await masters.sim.run(5000 + seed * 37);
    const diedAt = masters.sim.now;
    masters.crash(a);
    await masters.sim.run(diedAt + 10_000, until(masters, 1));
    masters.check();
    assert.deepEqual(masters.leading(), [b]);
    const took = masters.sim.now - diedAt;
    assert.ok(took > LEASE_MS - RENEW_INTERVAL_MS - 50 && took < 3000, `took ${took} ms`);
  }
});

test('a master started anew at the address of the dead one does not wait', async () => {
  const masters = new Masters(3);
  const a = masters.start('a');
  await masters.sim.run(1000);
  masters.crash(a);
  const again = masters.start('a');
  await masters.sim.run(1200, until(masters, 1));
  assert.deepEqual(masters.leading(), [again]);
  masters.check();
});

test('two masters given one address by mistake do not take the lease from each other for ever', async () => {
  const masters = new Masters(4);
  masters.start('a');
  await masters.sim.run(1000);
  masters.start('a');
  await masters.sim.run(60_000);
  assert.ok(masters.terms.length <= 2, `${masters.terms.length} terms`);
});

test('a leader that is stopped hands over at once, after its work has ended', async () => {
  const masters = new Masters(5);
  masters.watch();
  const a = masters.start('a', 3000);
  await masters.sim.run(200, until(masters, 1));
  const b = masters.start('b');
  await masters.sim.run(5000);
  let closed = false;
  void masters.leases
    .get(a)
    ?.close()
    .then(() => (closed = true));
  await masters.sim.run(20_000, () => masters.leases.get(b)?.leading === true);
  masters.check();
  const [first, second] = masters.terms;
  assert.ok(closed && first?.until !== null && first !== undefined && second !== undefined);
  assert.ok(first.until >= 8000, 'it kept the lease while its work ended');
  assert.ok(second.since > first.until && second.since - first.until < 500, `${second.since - first.until} ms`);
});

test('a paused leader does not lead when it wakes up, and its successor is not disturbed', async () => {
  const masters = new Masters(6);
  masters.watch();
  const a = masters.start('a');
  await masters.sim.run(200, until(masters, 1));
  const b = masters.start('b');
  await masters.sim.run(4000);
  masters.sim.pause(a, 6000);
  await masters.sim.run(4000 + LEASE_MS);
  assert.equal(masters.leases.get(a)?.leading, false, 'by the clock alone, before any of its timers came through');
  await masters.sim.run(30_000);
  masters.check();
  assert.deepEqual(masters.leading(), [b]);
  assert.equal(masters.leases.get(a)?.leader?.address, 'b:7077');
  assert.equal(masters.terms[0]?.until !== null, true);
});

test('a leader whose store is gone stops in time and leads again, under a new token, when it is back', async () => {
  let gone = false;
  const masters = new Masters(7, () => () => (gone ? 'requestLost' : 'answered'));
  const a = masters.start('a');
  await masters.sim.run(5000);
  gone = true;
  await masters.sim.run(5000 + LEASE_MS + 1);
  assert.deepEqual(masters.leading(), []);
  assert.equal(masters.terms[0]?.until !== null, true);
  gone = false;
  await masters.sim.run(10_000, until(masters, 1));
  assert.deepEqual(masters.leading(), [a]);
  assert.deepEqual(
    masters.terms.map((term) => Number(term.token)),
    [1, 2],
  );
});

test('what was applied without an answer is held, not taken again', async () => {
  let requests = 0;
  // The first answers of the taking and, later, every third one are lost.
  const masters = new Masters(9, () => () => {
    requests++;
    return requests === 2 || (requests > 10 && requests % 3 === 0) ? 'answerLost' : 'answered';
  });
  masters.watch();
  const a = masters.start('a');
  await masters.sim.run(30_000);
  masters.check();
  assert.deepEqual(masters.leading(), [a]);
  assert.deepEqual(
    masters.terms.map((term) => Number(term.token)),
    [1],
  );
});

test('a term that fails gives the lease back', async () => {
  const sim = new Simulation(8);
  const node = sim.node('a');
  const server = new LeaseServer(sim);
  let terms = 0;
  const lease = new LeaderLease({
    store: server.client(node),
    clock: sim.clock(node),
    rng: seededRng(1),
    log: noLog,
    holder: 'a',
    address: 'a:1',
    httpAddress: 'http://a:2',
    lead: async () => {
      if (++terms < 3) throw new WeirError('STORE_UNAVAILABLE', 'jobs cannot be read');
      await new Promise(() => undefined);
    },
  });
  lease.open();
  await sim.run(10_000);
  assert.equal(terms, 3);
  assert.equal(lease.leading, true);
  assert.equal(Number(server.row?.token), 3);
});

test('at most one leads, whatever is lost, late, paused or killed; afterwards exactly one', async () => {
  for (let seed = 0; seed < 60; seed++) {
    let hostile = true;
    const masters = new Masters(seed, (sim) => {
      const rng = sim.rng.fork('fates');
      return () => {
        const roll = rng.unit();
        if (!hostile || roll < 0.6) return 'answered';
        if (roll < 0.75) return 'slow';
        return roll < 0.83 ? 'requestLost' : roll < 0.91 ? 'answerLost' : 'late';
      };
    });
    const { sim } = masters;
    masters.watch();
    for (const name of ['a', 'b', 'c']) masters.start(name, 50);
    const rng = sim.rng.fork('faults');
    const fault = (): void => {
      if (!hostile) return;
      const nodes = [...masters.leases.keys()];
      const node = nodes[Math.floor(rng.unit() * nodes.length)];
      if (node !== undefined) {
        if (rng.unit() < 0.6) sim.pause(node, rng.unit() * 6000);
        else {
          masters.crash(node);
          const name = node.name.slice(0, 1);
          sim.at(rng.unit() * 3000, null, () => void masters.start(name, 50));
        }
      }
      sim.at(rng.unit() * 5000, null, fault);
    };
    sim.at(1000, null, fault);
    await sim.run(60_000);
    hostile = false;
    // Late requests arrive, paused ones wake up.
    await sim.run(80_000);
    masters.check();
    assert.equal(masters.leading().length, 1, `seed ${seed}: exactly one leads in the end`);
    assert.ok(masters.terms.length > 1, `seed ${seed} had changes`);
  }
});
