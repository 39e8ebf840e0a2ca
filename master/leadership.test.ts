/** One coordinator per term, and what workers and people are told outside of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EpochHead } from '../core/epoch/types.ts';
import type { Fence } from '../core/ids.ts';
import { fence, jobName } from '../core/ids.ts';
import type { JobRow, MetaStore } from '../core/meta.ts';
import type { ControlStream } from '../core/ports.ts';
import type { MasterMessage, WorkerMessage } from '../proto/gen/control.ts';
import type { TermCoordinator } from './leadership.ts';
import { Leadership, whileLeading } from './leadership.ts';

interface Term {
  readonly token: Fence;
  readonly opened: PromiseWithResolvers<void>;
  readonly attached: unknown[];
  closed: boolean;
}

function setUp() {
  const terms: Term[] = [];
  const leadership = new Leadership((token) => {
    const term: Term = { token, opened: Promise.withResolvers(), attached: [], closed: false };
    terms.push(term);
    const coordinator: Partial<TermCoordinator> = {
      open: () => term.opened.promise,
      close: () => {
        term.closed = true;
        return Promise.resolve();
      },
      attach: (stream) => void term.attached.push(stream),
      jobs: () => [],
      workers: () => [],
      job: () => undefined,
    };
    return coordinator as TermCoordinator;
  });
  const lease: { leading: boolean; leader: { holder: string; address: string; httpAddress: string } | null } = {
    leading: false,
    leader: null,
  };
  leadership.follow(lease);
  return { leadership, lease, terms };
}

interface FakeStream extends ControlStream<WorkerMessage, MasterMessage> {
  readonly sent: MasterMessage[];
  closed: boolean;
}

function stream(): FakeStream {
  const made: FakeStream = {
    sent: [],
    closed: false,
    send: (message) => void made.sent.push(message),
    onMessage: () => undefined,
    onClose: () => undefined,
    close: () => {
      made.closed = true;
    },
  };
  return made;
}

const other = { holder: 'b', address: 'b:7077', httpAddress: 'http://b:7080' };
const me = { holder: 'a', address: 'a:7077', httpAddress: 'http://a:7080' };

test('a standby names the leader to workers and people', () => {
  const { leadership, lease } = setUp();
  assert.deepEqual(leadership.standing, { role: 'standby', leader: null });
  const early = stream();
  leadership.attach(early);
  assert.deepEqual([early.sent, early.closed], [[{ notLeader: { address: '' } }], true]);
  lease.leader = other;
  assert.deepEqual(leadership.standing, { role: 'standby', leader: 'http://b:7080' });
  const late = stream();
  leadership.attach(late);
  assert.deepEqual([late.sent, late.closed], [[{ notLeader: { address: 'b:7077' } }], true]);
  assert.throws(() => leadership.stop(jobName('x')), { code: 'MASTER_UNREACHABLE' });
  assert.deepEqual([leadership.jobs(), leadership.workers()], [[], []]);
});

test('a leader takes workers at once and requests when it has read its jobs', async () => {
  const { leadership, lease, terms } = setUp();
  const end = new AbortController();
  Object.assign(lease, { leading: true, leader: me });
  const led = leadership.lead(fence(4), end.signal);
  assert.deepEqual(leadership.standing, { role: 'opening' });
  const worker = stream();
  const gone = stream();
  leadership.attach(worker);
  leadership.attach(gone)();
  const [term] = terms;
  assert.ok(term !== undefined);
  assert.deepEqual([term.token, term.attached], [4, [worker, gone]]);
  term.opened.resolve();
  await new Promise(setImmediate);
  assert.deepEqual(leadership.standing, { role: 'leader' });
  // The lease ran out, and nobody was told yet.
  lease.leading = false;
  assert.deepEqual(leadership.standing, { role: 'standby', leader: null });
  lease.leader = other;
  end.abort();
  await led;
  assert.deepEqual([worker.sent, worker.closed, gone.closed], [[{ notLeader: { address: 'b:7077' } }], true, false]);
  assert.equal(term.closed, true);
});

test('a term that cannot read its jobs ends, and the next one has a coordinator of its own', async () => {
  const { leadership, lease, terms } = setUp();
  lease.leading = true;
  const failing = leadership.lead(fence(1), new AbortController().signal);
  terms[0]?.opened.reject(new Error('no answer'));
  await assert.rejects(failing, /no answer/);
  assert.equal(terms[0]?.closed, true);
  const end = new AbortController();
  const led = leadership.lead(fence(2), end.signal);
  assert.equal(terms[1]?.token, 2);
  end.abort();
  terms[1]?.opened.resolve();
  await led;
  assert.equal(terms[1]?.closed, true);
});

test('a term that is over before it began has no coordinator', async () => {
  const { leadership, terms } = setUp();
  await leadership.lead(fence(1), AbortSignal.abort());
  assert.equal(terms.length, 0);
});

test('the changes of a former leader are not sent', async () => {
  const sent: string[] = [];
  const store = {
    casJob: () => Promise.resolve(void sent.push('casJob')),
    casEpochs: () => Promise.resolve(void sent.push('casEpochs')),
    readJob: () => Promise.resolve(void sent.push('readJob')),
  };
  let leading = true;
  const guarded = whileLeading(store as unknown as MetaStore, () => leading);
  await guarded.casJob(0, {} as JobRow);
  leading = false;
  await assert.rejects(guarded.casJob(0, {} as JobRow), { code: 'FENCED' });
  await assert.rejects(guarded.casEpochs(0, {} as EpochHead, []), { code: 'FENCED' });
  await guarded.readJob(jobName('a'));
  assert.deepEqual(sent, ['casJob', 'readJob']);
});
