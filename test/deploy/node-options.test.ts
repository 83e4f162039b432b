import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, HEAP } from '../../src/node-options.ts';

const read = (file: string): string => readFileSync(join(__dirname, '..', '..', file), 'utf8');
const listed = (words: string[]): string => JSON.stringify(words).replaceAll(',', ', ');

it('starts a worker with the same heap everywhere: by npm, in the image, by compose, on the platform', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  expect(scripts['worker']).toBe(['node', ...EXIT, ...HEAP, 'workers/main.ts'].join(' '));
  expect(read('Dockerfile')).toContain(`CMD ${listed([...HEAP, 'workers/main.ts'])}`);
  expect(read('docker-compose.yml')).toContain(`command: [${[...HEAP, 'workers/main.ts'].join(', ')}]`);
  expect(read('src/embedded/holdfast.ts')).toContain("[...EXIT, ...HEAP, 'workers/main.ts']");
});

it('starts every program so that it can be ended: by npm, in the image, on the platform', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  expect(scripts).toMatchObject({
    gateway: ['node', ...EXIT, 'src/gateway/main.ts'].join(' '),
    holdfast: ['node', ...EXIT, 'src/cli/main.ts'].join(' '),
    start: ['node', ...EXIT, 'src/cli/main.ts start'].join(' '),
  });
  expect(read('Dockerfile')).toContain(`ENTRYPOINT ${listed(['node', ...EXIT])}`);
  expect(read('src/embedded/holdfast.ts')).toContain("[...EXIT, 'src/gateway/main.ts']");
});
