import { boundedNames, OTHERS } from '../../src/gateway/bounded-names.ts';

type Names = ReturnType<typeof boundedNames>;
const times = (count: number, one: (i: number) => string): string[] => Array.from({ length: count }, (_, i) => one(i));
const pages = times(30, (i) => `/page-${i}`);

/** Where each went, of so many made-up names that come once each. */
const flood = (names: Names, slot: number, count: number): string[] =>
  times(count, (i) => names(`/made-up-${slot}-${i}`, slot));

it('keeps the places of what came before, however many names are made up', () => {
  const names = boundedNames(50);
  for (const page of times(600, (i) => pages[i % 30]!)) names(page, 0);
  for (let slot = 1; slot < 10; slot += 1) {
    flood(names, slot, 20_000);
    expect(pages.map((page) => names(page, slot))).toEqual(pages);
    for (const page of times(600, (i) => pages[i % 30]!)) names(page, slot);
  }
});

it('gives what is new a place while names are made up all the time', () => {
  const names = boundedNames(50);
  const given = times(5000, (i) => names(i % 50 === 0 ? '/new' : `/made-up-${i}`, 0));
  expect(given.indexOf('/new')).toBeGreaterThan(-1);
  expect(given.indexOf('/new')).toBeLessThan(2000);
  expect(names('/new', 1)).toBe('/new');
});

it('gives no more places in a slot than there are, whatever comes', () => {
  const names = boundedNames(50);
  for (let slot = 0; slot < 3; slot += 1) {
    const once = flood(names, slot, 1000);
    const often = times(4000, (i) => names(`/often-${slot}-${i % 80}`, slot));
    expect(new Set([...once, ...often]).size).toBeLessThanOrEqual(51);
    expect(often).toContain(OTHERS);
  }
});

it('gives the place of a release that is made up to one that comes more often, in the next slot', () => {
  const releases = boundedNames(5);
  times(100, () => releases('v1', 0));
  times(20 * 9, (i) => releases(`forged-${i % 9}`, 1));
  expect(new Set(times(200, () => releases('v2', 1)))).toEqual(new Set([OTHERS]));
  times(20 * 9, (i) => releases(`forged-${i % 9}`, 2));
  expect(releases('v2', 2)).toBe('v2');
});

it('forgets what comes no more', () => {
  const names = boundedNames(50);
  for (const page of times(400, (i) => `/old-${i % 40}`)) names(page, 0);
  for (let slot = 1; slot < 5; slot += 1) names('/stays', slot);
  expect(pages.slice(0, 20).map((page) => names(page, 5))).toEqual(pages.slice(0, 20));
});
