import { newSketch, RELATIVE_ERROR, sketchOf } from '../src/sketches.ts';

/** Numbers that look random and are the same in every run. */
function* noise(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    yield (state + 1) / (2 ** 31 + 1);
  }
}
const SHAPES: Record<string, (random: () => number) => number> = {
  'page loads': (random) => Math.exp(7 + Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random())),
  'layout shifts': (random) => (random() < 0.6 ? 0 : random() / 2),
  'two kinds of visitors': (random) => (random() < 0.7 ? 800 + 200 * random() : 6000 + 3000 * random()),
  'one value': () => 1234.5,
  'from nothing to everything': (random) => 120_000 * random() ** 8,
};
const cases = Object.keys(SHAPES).flatMap((shape) => [3, 50, 1000, 20_000].map((size) => [shape, size] as const));

/** The quantile lies between the two values around its rank; the sketch is within its error of one of them. */
function agrees(estimate: number | undefined, sorted: number[], quantile: number): void {
  const rank = quantile * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(rank)] ?? NaN, sorted[Math.ceil(rank)] ?? NaN];
  expect(estimate).toBeGreaterThanOrEqual(low * (1 - RELATIVE_ERROR) - 1e-9);
  expect(estimate).toBeLessThanOrEqual(high * (1 + RELATIVE_ERROR) + 1e-9);
}

it.each(cases)(
  'agrees with an exact computation over the values within its stated error: %s, %i of them',
  (shape, size) => {
    const random = noise(size + shape.length);
    const values = Array.from({ length: size }, () => SHAPES[shape]!(() => random.next().value));
    const sketch = newSketch();
    for (const value of values) sketch.add(value);
    const sorted = values.toSorted((a, b) => a - b);
    for (const quantile of [0, 0.25, 0.5, 0.75, 0.95, 0.99, 1]) agrees(sketch.at(quantile), sorted, quantile);
  },
);

it('is the same whether values came to one or to many that were written, read and merged', () => {
  const random = noise(7);
  const values = Array.from({ length: 9000 }, () => SHAPES['page loads']!(() => random.next().value));
  const parts = Array.from({ length: 9 }, newSketch);
  for (const [index, value] of values.entries()) parts[index % 9]!.add(value);
  const all = newSketch();
  for (const part of parts) all.merge(sketchOf(part.text()));
  expect(all.samples).toBe(9000);
  const sorted = values.toSorted((a, b) => a - b);
  for (const quantile of [0.5, 0.75, 0.95]) agrees(all.at(quantile), sorted, quantile);
});

it('does not grow with the number of values', () => {
  const sketch = newSketch();
  for (let value = 1; value < 120_000; value += 1) sketch.add(value);
  expect(sketch.text().length).toBeLessThan(10_000);
});

it('says nothing of nothing, and refuses what is no sketch', () => {
  expect(newSketch().at(0.75)).toBeUndefined();
  expect(() => sketchOf('bm8gc2tldGNo')).toThrow();
});
