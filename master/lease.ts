/**
 * Who leads: a lease in the MetaStore that its holder renews and others take over when it stands still. The rule: a
 * holder counts a lease from the moment it *sent* a renewal, a contender from the moment it *saw* one, and waits longer;
 * so, as long as clocks run at about the same rate, nobody takes over before the holder has stopped. Clocks need not
 * agree. The lease keeps two masters from working against each other; data stay right without it, since the token is
 * the fence of everything a leader writes.
 *
 * Protocol: Gray and Cheriton, "Leases" (SOSP 1989); fencing tokens as in Chubby's sequencers (Burrows, OSDI 2006).
 */
import type { Clock, Rng } from '../core/clock.ts';
import { backoffMs } from '../core/clock.ts';
import type { LeaseRow } from '../core/epoch/types.ts';
import { messageOf } from '../core/errors.ts';
import type { Fence } from '../core/ids.ts';
import { fence } from '../core/ids.ts';
import type { MetaStore } from '../core/meta.ts';
import type { Log } from '../core/ports.ts';

/** A holder leads so long after it sent its last successful renewal, ms. */
export const LEASE_MS = 2000;
export const RENEW_INTERVAL_MS = 500;
/** A lease that did not change for so long is taken over, ms. The margin covers clocks of different rates. */
export const TAKEOVER_MS = 2500;
/** Those who wait look so often, ms. */
const LOOK_INTERVAL_MS = 250;

/** The lease as a contender last saw it, and since when (monotonic ms) it has looked like that. */
export interface LeaseSight {
  readonly row: LeaseRow | undefined;
  readonly since: number;
}

export interface Contender {
  readonly holder: string;
  /** host:port for workers, base URL of REST. */
  readonly address: string;
  readonly httpAddress: string;
  /** Id of its security folder, for masters that start later; absent = it needs none. */
  readonly security?: string;
  /**
   * A lease that names this very address belongs to a former process: nobody else can listen there now. True until this
   * contender has led once, so that two masters wrongly given one address do not take the lease from each other for ever.
   */
  readonly inheritsAddress: boolean;
}

export type ContenderDecision =
  | { readonly kind: 'take'; readonly next: Omit<LeaseRow, 'nonce'> }
  | { readonly kind: 'wait'; readonly ms: number };

/** What a contender does at `now` (monotonic ms): pure, no clock and no store. */
export function decideContender(me: Contender, sight: LeaseSight, now: number): ContenderDecision {
  const { row, since } = sight;
  const free =
    row === undefined ||
    row.holder === '' ||
    row.holder === me.holder ||
    (me.inheritsAddress && row.address === me.address);
  const waitMs = free ? 0 : since + TAKEOVER_MS - now;
  if (waitMs > 0) return { kind: 'wait', ms: Math.min(waitMs, LOOK_INTERVAL_MS) };
  const { holder, address, httpAddress, security } = me;
  const next = {
    ver: (row?.ver ?? 0) + 1,
    token: fence((row?.token ?? 0) + 1),
    holder,
    address,
    httpAddress,
    beat: 0,
    ...(security === undefined ? {} : { security }),
  };
  return { kind: 'take', next };
}

/** The sight after reading `row` at `now`: an unchanged row keeps its age. */
export function look(before: LeaseSight | null, row: LeaseRow | undefined, now: number): LeaseSight {
  return before !== null && before.row?.ver === row?.ver ? { row, since: before.since } : { row, since: now };
}

export interface LeaderLeaseParts {
  readonly store: Pick<MetaStore, 'readLease' | 'casLease'>;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** Unique to this process. */
  readonly holder: string;
  readonly address: string;
  readonly httpAddress: string;
  /** See {@link Contender.security}. */
  readonly security?: string;
  /**
   * This process leads under `token` until `signal` aborts. The next try for the lease waits until this has settled, so
   * one process never leads twice at once. A rejection gives the lease back.
   */
  readonly lead: (token: Fence, signal: AbortSignal) => Promise<void>;
}

export class LeaderLease {
  readonly #parts: LeaderLeaseParts;
  readonly #stopping = new AbortController();
  #sight: LeaseSight | null = null;
  #led = false;
  /** Monotonic ms until which this process leads; null = it does not. */
  #validUntil: number | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: LeaderLeaseParts) {
    this.#parts = parts;
  }

  /** Begins to contend. */
  open(): void {
    this.#running = this.#run();
  }

  /** True while this process may act as leader; decided by the clock, whether or not timers came through. */
  get leading(): boolean {
    return this.#validUntil !== null && this.#parts.clock.mono() < this.#validUntil;
  }

  /** ms for which this process may lead without another renewal; 0 = it does not lead. */
  get remainingMs(): number {
    return this.#validUntil === null ? 0 : Math.max(0, this.#validUntil - this.#parts.clock.mono());
  }

  /** The holder as last seen, itself included; null when there is none. It may have died since. */
  get leader(): { readonly holder: string; readonly address: string; readonly httpAddress: string } | null {
    const row = this.#sight?.row;
    if (row === undefined || row.holder === '') return null;
    return row.holder === this.#parts.holder && !this.leading ? null : row;
  }

  /** Stops leading, then releases the lease: the next contender takes over at once. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const taken = await this.#contend();
      if (taken === null) return;
      await this.#leadUntilLost(taken.row, taken.sentAt);
    }
  }

  // ------------------------------------------------------------------------------------------------------- contending

  /** Resolves with the lease once it is this process's, or null when it is told to stop. */
  async #contend(): Promise<{ readonly row: LeaseRow; readonly sentAt: number } | null> {
    const { store, clock, rng, log, holder, address, httpAddress, security } = this.#parts;
    const own = { holder, address, httpAddress, ...(security === undefined ? {} : { security }) };
    /** Of every attempt whose outcome was not known: when it was sent. */
    const sent = new Map<string, number>();
    for (let failures = 0; !this.#stopping.signal.aborted;) {
      try {
        const row = await store.readLease();
        const now = clock.mono();
        this.#sight = look(this.#sight, row, now);
        failures = 0;
        const sentAt = row === undefined ? undefined : sent.get(row.nonce);
        if (row !== undefined && sentAt !== undefined) return { row, sentAt };
        const me = { ...own, inheritsAddress: !this.#led };
        const decision = decideContender(me, this.#sight, now);
        if (decision.kind === 'wait') {
          await this.#pause(decision.ms);
          continue;
        }
        const next: LeaseRow = { ...decision.next, nonce: rng.uuid() };
        const takenAt = clock.mono();
        sent.set(next.nonce, takenAt);
        const outcome = await store.casLease(next.ver - 1, next);
        if (outcome.kind === 'applied') return { row: next, sentAt: takenAt };
        // Rejected: somebody was faster. Unknown: the next reading tells. Either way read again.
        if (outcome.kind === 'unknown') await this.#pause(backoffMs(rng, failures++));
      } catch (error) {
        if (failures++ === 1) log.warn({}, `the lease cannot be read: ${messageOf(error)}`);
        await this.#pause(backoffMs(rng, failures, 50, LOOK_INTERVAL_MS));
      }
    }
    return null;
  }

  /** Ends early, without an error, when it is told to stop. */
  async #pause(ms: number): Promise<void> {
    await this.#parts.clock.sleep(ms, this.#stopping.signal).catch(() => undefined);
  }

  // ---------------------------------------------------------------------------------------------------------- leading

  async #leadUntilLost(taken: LeaseRow, sentAt: number): Promise<void> {
    const { clock, log, lead } = this.#parts;
    this.#led = true;
    this.#validUntil = sentAt + LEASE_MS;
    this.#sight = { row: taken, since: clock.mono() };
    const { token } = taken;
    const lost = new AbortController();
    const lose = (why: string): void => {
      if (this.#validUntil !== null) log.warn({ token }, `leadership lost: ${why}`);
      this.#validUntil = null;
      lost.abort();
    };
    const stopped = (): void => lost.abort();
    this.#stopping.signal.addEventListener('abort', stopped, { once: true });
    if (this.#stopping.signal.aborted) stopped();
    log.info({ token }, 'this master leads');
    const held = new HeldLease(taken, sentAt);
    const ended = new AbortController();
    const renewing = this.#renew(held, lost.signal, ended.signal, lose);
    try {
      await lead(token, lost.signal);
    } catch (error) {
      log.error({ token, err: error }, `leading ended: ${messageOf(error)}`);
    }
    // The lease is renewed until the last work of this term has ended.
    ended.abort();
    await renewing;
    this.#stopping.signal.removeEventListener('abort', stopped);
    const release = this.#validUntil !== null;
    this.#validUntil = null;
    if (release) await this.#release(held);
    // After a term that failed by itself: not to fail again and again without a breath.
    if (!lost.signal.aborted) await this.#pause(LOOK_INTERVAL_MS * 2);
  }

  /** Renews until `ended`; tells `lose` as soon as the right to lead ran out or somebody else holds the lease. */
  async #renew(held: HeldLease, lost: AbortSignal, ended: AbortSignal, lose: (why: string) => void): Promise<void> {
    const { clock } = this.#parts;
    const mayGoOn = (): boolean => !ended.aborted && this.#validUntil !== null;
    let cancelExpiry = (): void => undefined;
    const expireAt = (validUntil: number): void => {
      cancelExpiry();
      cancelExpiry = clock.timer(Math.max(0, validUntil - clock.mono()), () =>
        lose(`it could not be renewed for ${LEASE_MS} ms`),
      );
    };
    expireAt(held.sentAt + LEASE_MS);
    const stop = AbortSignal.any([ended, lost]);
    while (mayGoOn()) {
      // While it stops (`lost` aborted, still valid) it renews all the same.
      const pauseMs = Math.max(0, held.sentAt + RENEW_INTERVAL_MS - clock.mono());
      await clock.sleep(pauseMs, lost.aborted ? ended : stop).catch(() => undefined);
      if (!mayGoOn()) break;
      const outcome = await this.#renewOnce(held);
      if (outcome === 'lost') lose('another master took over');
      if (outcome === 'unknown') await clock.sleep(backoffMs(this.#parts.rng, 1), ended).catch(() => undefined);
      if (outcome !== 'renewed' || !mayGoOn()) continue;
      const validUntil = held.sentAt + LEASE_MS;
      // Whatever comes after the end of the lease, an answer to a renewal included, comes too late.
      if (clock.mono() >= (this.#validUntil ?? 0)) lose('its renewal came too late');
      else {
        this.#validUntil = validUntil;
        expireAt(validUntil);
      }
    }
    cancelExpiry();
  }

  async #renewOnce(held: HeldLease): Promise<'renewed' | 'unknown' | 'lost'> {
    const { store, clock, rng } = this.#parts;
    const next = { ...held.row, ver: held.row.ver + 1, nonce: rng.uuid(), beat: held.row.beat + 1 };
    const sentAt = clock.mono();
    held.sent.set(next.nonce, sentAt);
    try {
      const outcome = await store.casLease(held.row.ver, next);
      if (outcome.kind === 'applied') return this.#settled(held, next, sentAt);
      const current = outcome.kind === 'rejected' ? outcome.current : await store.readLease();
      const mine = current === undefined ? undefined : held.sent.get(current.nonce);
      // One of the earlier ones, whose outcome was not known, came through.
      if (current !== undefined && mine !== undefined) return this.#settled(held, current, mine);
      return current?.nonce === held.row.nonce ? 'unknown' : 'lost';
    } catch {
      // No answer: until the lease runs out there is time to try again.
      return 'unknown';
    }
  }

  #settled(held: HeldLease, row: LeaseRow, sentAt: number): 'renewed' {
    held.take(row, sentAt);
    this.#sight = { row, since: this.#parts.clock.mono() };
    return 'renewed';
  }

  /** Best effort: without it the next contender waits the lease out. */
  async #release(held: HeldLease): Promise<void> {
    const { store, rng, log } = this.#parts;
    const { row } = held;
    const next = { ...row, ver: row.ver + 1, nonce: rng.uuid(), holder: '', address: '', httpAddress: '' };
    try {
      const { kind } = await store.casLease(row.ver, next);
      if (kind === 'applied') this.#sight = null;
      log.info({ token: row.token, outcome: kind }, 'lease released');
    } catch (error) {
      log.warn({ token: row.token }, `the lease was not released: ${messageOf(error)}`);
    }
  }
}

/** The lease in its holder's hands. */
class HeldLease {
  row: LeaseRow;
  /** When the last successful renewal was sent, monotonic ms. */
  sentAt: number;
  /** Renewals whose outcome is not known, by nonce: when they were sent. */
  readonly sent = new Map<string, number>();

  constructor(row: LeaseRow, sentAt: number) {
    this.row = row;
    this.sentAt = sentAt;
  }

  take(row: LeaseRow, sentAt: number): void {
    this.row = row;
    this.sentAt = sentAt;
    // What was sent before it can no longer apply.
    this.sent.clear();
  }
}
