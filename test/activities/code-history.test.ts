import { createActivities } from '../../activities/code-history.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { asActivity, createRepository, scope, settingsFor, type Repository } from './git-rig.ts';

let folder: string;
let repository: Repository;
beforeEach(async () => {
  folder = scratchFolder();
  repository = await createRepository(folder);
});
afterEach(() => removeScratch(folder));

describe('code changes between two releases', () => {
  const codeChanges = (
    from: string,
    to: string,
    routes: string[],
    { files, ofRoutes = {} }: { files?: string[]; ofRoutes?: Record<string, string[]> } = {},
  ) => {
    const settings = settingsFor(repository.path);
    settings.services[0]!.environments['production']!.performance.files = ofRoutes;
    const provider = createActivities({ HOLDFAST_STATE_DIR: folder }, settings);
    return asActivity(() => provider.codeChanges({ ...scope, from, to, routes, ...(files && { files }) }));
  };

  it('come with author, files and sizes, those that have to do with a slow route first', async () => {
    const from = await repository.commit('Begin', { 'app.ts': 'one\n', 'products.ts': 'a\n' });
    const reads = await repository.commit('Read the stock too', { 'products.ts': 'a\nb\nc\n' });
    const serves = await repository.commit('Serve it', { 'app.ts': "one\napp.get('/api/products')\n" });
    const other = await repository.commit('Write it down\n\nAt length.', { 'docs/größe.md': 'x\n', 'b.txt': 'y\n' });
    const changes = await codeChanges(from, other, ['GET /api/products']);
    expect(changes.map(({ id }) => id)).toEqual([serves, reads, other]);
    expect(changes[1]).toEqual({
      id: reads,
      author: 'Ada',
      at: expect.stringMatching(/Z$/),
      subject: 'Read the stock too',
      files: ['products.ts'],
      fileCount: 1,
      added: 2,
      removed: 0,
      touches: ['GET /api/products'],
    });
    expect(changes[2]).toMatchObject({ subject: 'Write it down', files: ['b.txt', 'docs/größe.md'], touches: [] });
  });

  it('come first where they change a file of a stack trace, wherever the release was built and lies', async () => {
    const from = await repository.commit('Begin', {
      'src/checkout.ts': 'a\n',
      'src/page.ts': 'a\n',
      'server.ts': 'a\n',
    });
    const fails = await repository.commit('Take the price from the cart', { 'src/checkout.ts': 'b\n' });
    const serves = await repository.commit('Serve', { 'server.ts': 'b\n' });
    const other = await repository.commit('Decorate', { 'src/page.ts': 'b\n', 'lib/checkout.ts': 'b\n' });
    const frames = ['/srv/releases/v2/src/checkout.ts', '/srv/releases/v2/server.ts'];
    const changes = await codeChanges(from, other, [], { files: frames });
    expect(changes.map(({ id, touches }) => [id, touches])).toEqual([
      [serves, ['server.ts']],
      [fails, ['src/checkout.ts']],
      [other, []],
    ]);
    expect(await codeChanges(from, fails, [], { files: ['app:///src/checkout.ts'] })).toMatchObject([
      { touches: ['src/checkout.ts'] },
    ]);
  });

  it('know the files that serve a route by the configuration where their names do not say', async () => {
    const from = await repository.commit('Begin', { 'lib/pricing.ts': 'a\n', 'lib/other/pricing.ts': 'a\n' });
    const prices = await repository.commit('Round up', { 'lib/pricing.ts': 'b\n' });
    const other = await repository.commit('Round down', { 'lib/other/pricing.ts': 'b\n' });
    const route = 'POST /api/checkout';
    const touched = async (ofRoutes?: Record<string, string[]>) =>
      (await codeChanges(from, other, [route], ofRoutes && { ofRoutes })).map(({ id, touches }) => [id, touches]);
    expect(await touched()).toEqual([
      [other, []],
      [prices, []],
    ]);
    expect(await touched({ [route]: ['lib/pricing.ts'], 'GET /': ['lib/other/pricing.ts'] })).toEqual([
      [prices, [route]],
      [other, []],
    ]);
  });

  it('know the front page by its usual names, and nothing where nothing is between them', async () => {
    const from = await repository.commit('Begin', { 'a.txt': 'a' });
    const to = await repository.commit('Decorate', { 'views/home.ts': 'x', 'logo.png': 'y' });
    expect(await codeChanges(from, to, ['GET /'])).toMatchObject([{ touches: ['GET /'], fileCount: 2 }]);
    expect(await codeChanges(to, to, ['GET /'])).toEqual([]);
    await expect(codeChanges(from, 'nowhere', [])).rejects.toMatchObject({ type: 'NotFound' });
  });
});
