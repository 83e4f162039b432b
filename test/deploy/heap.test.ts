import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HEAP } from '../../src/heap.ts';

const read = (file: string): string => readFileSync(join(__dirname, '..', '..', file), 'utf8');

it('starts a worker with the same heap everywhere: by npm, in the image, by compose, on the platform', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  expect(scripts['worker']).toContain(`node ${HEAP.join(' ')} workers/main.ts`);
  expect(read('Dockerfile')).toContain(`CMD ${JSON.stringify([...HEAP, 'workers/main.ts']).replaceAll(',', ', ')}`);
  expect(read('docker-compose.yml')).toContain(`command: [${[...HEAP, 'workers/main.ts'].join(', ')}]`);
  expect(read('src/embedded/holdfast.ts')).toContain("[...HEAP, 'workers/main.ts']");
});
