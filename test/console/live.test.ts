import { createLive } from '../../src/console/live.ts';
import { until } from '../support/until.ts';

it('tells many of a change one after the other, and nobody who has left meanwhile', async () => {
  const live = createLive();
  const heard: number[] = [];
  const leave = Array.from({ length: 20 }, (_, i) =>
    live.listen(
      'now',
      async () => 'version',
      () => void heard.push(i),
    ),
  );
  await until(() => heard.length > 0);
  expect(heard.length).toBeLessThan(19);
  leave[19]?.();
  await until(() => heard.length >= 19);
  expect(heard).toEqual(Array.from({ length: 19 }, (_, i) => i));
  live.stop();
});
