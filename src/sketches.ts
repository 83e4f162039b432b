/** Quantiles of many values in bounded memory: mergeable, and within one percent of a value that was really there. */
import { DDSketch } from '@datadog/sketches-js';

/** Source: Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019. */
export const RELATIVE_ERROR = 0.01;

export interface Sketch {
  readonly samples: number;
  add(value: number): void;
  merge(other: Sketch): void;
  /** `quantile` is 0..1; undefined when nothing was added. */
  at(quantile: number): number | undefined;
  /** Its bytes as base64, for `sketchOf`. */
  text(): string;
}

const INNER = Symbol('the sketch of the library');
type Wrapped = Sketch & { readonly [INNER]: DDSketch };

const wrapped = (inner: DDSketch): Wrapped => ({
  [INNER]: inner,
  get samples() {
    return inner.count;
  },
  add: (value) => inner.accept(value),
  merge: (other) => inner.merge((other as Wrapped)[INNER]),
  at: (quantile) => (inner.count === 0 ? undefined : inner.getValueAtQuantile(quantile)),
  text: () => Buffer.from(inner.toProto()).toString('base64'),
});

export const newSketch = (): Sketch => wrapped(new DDSketch({ relativeAccuracy: RELATIVE_ERROR }));

/** @throws Error when these are not the bytes of a sketch. */
export function sketchOf(text: string): Sketch {
  const sketch = newSketch();
  sketch.merge(wrapped(DDSketch.fromProto(Buffer.from(text, 'base64'))));
  return sketch;
}
