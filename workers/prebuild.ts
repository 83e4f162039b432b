/** Builds the workflow bundles that workers start with, in plain text and for a codec, into `bundles/`: `node workers/prebuild.ts`. */
import { randomBytes } from 'node:crypto';
import { dataConverterOf } from '../src/codec.ts';
import { ROOT, workflowBundle } from './bundle.ts';
import { buildIdOf } from './versioning.ts';

const anyKey = [{ id: 'any', key: randomBytes(32) }];
for (const keys of [[], anyKey]) {
  const build = buildIdOf(await workflowBundle(ROOT, dataConverterOf(keys, String)));
  console.log(`build ${build} ${keys.length > 0 ? 'for encrypted payloads' : 'for payloads in plain text'}`);
}
