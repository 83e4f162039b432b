import assert from 'node:assert/strict';
import { test } from 'node:test';
import { app } from './app.ts';

void test('what is no basket is refused', async () => {
  const refused = await app.request('/api/checkout', {
    method: 'POST',
    body: JSON.stringify({ user: 'ada', items: [] }),
  });
  assert.equal(refused.status, 400);
});

void test('it says how it is without asking anybody', async () => {
  const answer = await app.request('/healthz');
  assert.deepEqual(await answer.json(), { status: 'ok', version: 'development' });
});
