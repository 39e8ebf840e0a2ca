/**
 * During a simulation nothing may look at real time or real chance: each such call would make a failing seed
 * impossible to repeat. The trap turns them into errors.
 */
const forbidden = (name: string) => (): never => {
  throw new Error(`${name} was called during a simulation; take the Clock or the Rng instead`);
};

/** Replaces the ways to real time and chance by functions that throw; the result puts them back. */
export function trapRealTime(): () => void {
  const realDate = globalThis.Date;
  const saved = {
    random: Math.random,
    setTimeout: globalThis.setTimeout,
    setInterval: globalThis.setInterval,
    setImmediate: globalThis.setImmediate,
    performanceNow: performance.now,
    randomUUID: crypto.randomUUID,
    getRandomValues: crypto.getRandomValues,
    timeout: AbortSignal.timeout,
  };
  const trappedDate = new Proxy(realDate, {
    construct(target, args: unknown[], newTarget) {
      if (args.length === 0) forbidden('new Date()')();
      return Reflect.construct(target, args, newTarget) as object;
    },
    get(target, property, receiver) {
      return property === 'now' ? forbidden('Date.now') : (Reflect.get(target, property, receiver) as unknown);
    },
  });
  const trap = (): void => {
    globalThis.Date = trappedDate;
    Math.random = forbidden('Math.random');
    globalThis.setTimeout = forbidden('setTimeout') as unknown as typeof setTimeout;
    globalThis.setInterval = forbidden('setInterval');
    globalThis.setImmediate = forbidden('setImmediate') as unknown as typeof setImmediate;
    performance.now = forbidden('performance.now');
    crypto.randomUUID = forbidden('crypto.randomUUID');
    crypto.getRandomValues = forbidden('crypto.getRandomValues');
    AbortSignal.timeout = forbidden('AbortSignal.timeout');
  };
  trap();
  return () => {
    globalThis.Date = realDate;
    Math.random = saved.random;
    globalThis.setTimeout = saved.setTimeout;
    globalThis.setInterval = saved.setInterval;
    globalThis.setImmediate = saved.setImmediate;
    performance.now = saved.performanceNow;
    crypto.randomUUID = saved.randomUUID;
    crypto.getRandomValues = saved.getRandomValues;
    AbortSignal.timeout = saved.timeout;
  };
}
