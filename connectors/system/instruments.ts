/** Instruments of the metrics in core/metrics/table.ts, with their help texts and labels, on a registry of Prometheus. */
import { Counter, Gauge, Histogram, collectDefaultMetrics } from 'prom-client';
import type { Registry } from 'prom-client';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { IntervalHistogram } from 'node:perf_hooks';
import type { LabelOf, MetricName, MetricOf } from '../../core/metrics/table.ts';
import { BUCKETS_SECONDS, metrics } from '../../core/metrics/table.ts';

/** Sets one series of a gauge. */
export type SetGauge<N extends MetricName> = (labels: Readonly<Record<LabelOf<N>, string>>, value: number) => void;

export class Instruments {
  readonly registry: Registry;

  /** The registry is the caller's. What every Node process shows (`process_*`, `nodejs_*`) is added to it. */
  constructor(registry: Registry, version: string) {
    this.registry = registry;
    collectDefaultMetrics({ register: registry });
    this.gauge('weir_build_info').set({ version, node: process.version }, 1);
  }

  /** `collect` is called when somebody scrapes. */
  counter<N extends MetricOf<'counter'>>(
    name: N,
    collect?: (counter: Counter<LabelOf<N>>) => void,
  ): Counter<LabelOf<N>> {
    const counter: Counter<LabelOf<N>> = new Counter({
      ...this.#describe(name),
      ...(collect === undefined ? {} : { collect: () => collect(counter) }),
    });
    return counter;
  }

  gauge<N extends MetricOf<'gauge'>>(name: N): Gauge<LabelOf<N>> {
    return new Gauge(this.#describe(name));
  }

  /** A gauge whose series are made anew by `collect` when somebody scrapes: one that is not set is gone. */
  read<N extends MetricOf<'gauge'>>(name: N, collect: (set: SetGauge<N>, add: SetGauge<N>) => void): void {
    const gauge: Gauge<LabelOf<N>> = new Gauge({
      ...this.#describe(name),
      collect: () => {
        gauge.reset();
        collect(
          (labels, value) => gauge.set(labels, value),
          (labels, value) => gauge.inc(labels, value),
        );
      },
    });
  }

  histogram<N extends MetricOf<'histogram'>>(name: N): Histogram<LabelOf<N>> {
    return new Histogram({ ...this.#describe(name), buckets: [...BUCKETS_SECONDS] });
  }

  /** Measures the event loop and shows it. The histogram may be read and reset by the caller; resolution 10 ms. */
  eventLoop(): IntervalHistogram {
    const delay = monitorEventLoopDelay({ resolution: EVENT_LOOP_RESOLUTION_MS });
    delay.enable();
    this.read('weir_event_loop_delay_seconds', (set) => {
      for (const quantile of [0.5, 0.99]) {
        const ms = delay.count === 0 ? 0 : delay.percentile(quantile * 100) / 1e6 - EVENT_LOOP_RESOLUTION_MS;
        set({ quantile: String(quantile) }, Math.max(0, ms) / 1000);
      }
    });
    return delay;
  }

  #describe<N extends MetricName>(
    name: N,
  ): { readonly name: N; readonly help: string; labelNames: LabelOf<N>[]; registers: Registry[] } {
    const { meaning, labels } = metrics[name];
    return { name, help: meaning, labelNames: [...labels] as LabelOf<N>[], registers: [this.registry] };
  }
}

/** The timer's own delay, which is taken off what it measures. */
export const EVENT_LOOP_RESOLUTION_MS = 10;
