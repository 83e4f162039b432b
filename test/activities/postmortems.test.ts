import { join } from 'node:path';
import { createActivities } from '../../activities/postmortems.ts';
import { simulatedPolicy } from '../../activities/simulator.ts';
import { ReviewSettings, type Review, type Status } from '../../src/contracts/index.ts';
import { runCommand } from '../../src/processes.ts';
import { documentOf } from '../../src/runbook/review-document.ts';
import { reviewOf } from '../../src/runbook/review.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { endedStatus } from '../support/ended.ts';
import { asActivity, createRepository } from './git-rig.ts';
import { settings } from './settings.ts';

let folder: string;
beforeEach(() => {
  folder = scratchFolder();
});
afterEach(() => removeScratch(folder));

const policy = { ...simulatedPolicy, review: ReviewSettings.parse({}) };
const reviewed = (change: Partial<Status> = {}) => reviewOf(endedStatus(change), policy);
const publish = (review: Review, repository?: string, more = '') => {
  const reviews = { ...settings.reviews, ...(repository !== undefined && { repository }) };
  const documents = createActivities({ HOLDFAST_STATE_DIR: folder }, { ...settings, reviews });
  const markdown = `${documentOf(review, endedStatus())}${more}`;
  return asActivity(() => documents.publishReview({ review, markdown, message: 'docs: review' }));
};
const show = async (repository: string, object: string): Promise<string> =>
  (await runCommand({ command: 'git', args: ['--git-dir', repository, 'show', object] })).stdout;
const commits = async (repository: string): Promise<number> =>
  Number((await runCommand({ command: 'git', args: ['--git-dir', repository, 'rev-list', '--count', 'main'] })).stdout);
const own = () => join(folder, 'postmortems.git');

it('makes a repository of its own where none is configured, and commits the document and its chart', async () => {
  const review = reviewed();
  const { path, commit } = await publish(review);
  expect(path).toBe('postmortems/2026-11-24-shop-high-error-rate.md');
  expect(await show(own(), `${commit}:${path}`)).toContain('# High error rate: shop / production, 2026-11-24');
  const chart = await show(own(), `main:postmortems/charts/${review.runId}.svg`);
  expect(chart).toMatch(/^<svg [\s\S]*<\/svg>$/);
  expect(chart).toContain('roll-back: helped');
});

it('commits a picture of the bundle where the incident looked at one, beside its chart and in the document', async () => {
  const bundle = [
    { name: 'echarts', rawBytes: 1_100_000 },
    { name: '<script>', rawBytes: 500_000 },
  ];
  const { path, commit } = await publish(reviewed({ bundle }));
  const chart = `charts/${reviewed().runId}-bundle.svg`;
  expect(await show(own(), `${commit}:${path}`)).toContain(`![bundle](${chart})`);
  const svg = await show(own(), `${commit}:postmortems/${chart}`);
  expect(svg).toMatch(/^<svg [\s\S]*<\/svg>$/);
  expect(svg).toContain('echarts 1100 kB');
  expect(svg).toContain('&lt;script&gt; 500 kB');

  const without = await publish(reviewed({ runId: '99999999-2222-3333-4444-555555555555' }));
  expect(await show(own(), `${without.commit}:${without.path}`)).not.toContain('bundle');
  expect(await show(own(), `${without.commit}:postmortems/charts`)).not.toContain(
    '99999999-2222-3333-4444-555555555555-b',
  );
});

it('commits the same once, and a change of it to the same place', async () => {
  const review = reviewed();
  const first = await publish(review);
  expect(await publish(review)).toEqual(first);
  expect(await commits(own())).toBe(1);
  const second = await publish({ ...review, document: first }, undefined, '\nmore\n');
  expect(second.path).toBe(first.path);
  expect(await show(own(), `main:${first.path}`)).toMatch(/more\n?$/);
  expect(await commits(own())).toBe(2);
});

it('gives a second incident of one day a name of its own', async () => {
  const first = await publish(reviewed());
  const second = await publish(reviewed({ runId: '99999999-2222-3333-4444-555555555555' }));
  expect(second.path).toBe('postmortems/2026-11-24-shop-high-error-rate-99999999.md');
  expect(await show(own(), `main:${first.path}`)).toContain('11111111-2222');
});

it('commits beside what others commit to the repository meanwhile', async () => {
  const repository = await createRepository(folder);
  await repository.commit('Begin', { 'README.md': 'ours' });
  const reviews = Array.from({ length: 4 }, (_, i) => reviewed({ runId: `${i}0000000-2222-3333-4444-555555555555` }));
  await Promise.all(reviews.map((review) => publish(review, repository.path)));
  expect(await show(repository.path, 'main:README.md')).toBe('ours');
  const charts = await show(repository.path, 'main:postmortems/charts');
  for (const { runId } of reviews) expect(charts).toContain(runId);
});

it('is Unavailable, for another try, while the repository cannot be reached', async () => {
  await expect(publish(reviewed(), join(folder, 'away.git'))).rejects.toMatchObject({
    type: 'Unavailable',
    nonRetryable: false,
  });
});
