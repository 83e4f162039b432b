// Keeps the recorded histories of a release, which its runs go on replaying, in a folder of its version: they never change again.
// usage: node scripts/freeze-histories.mjs [<folder>]
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2] ?? 'test/histories';
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const frozen = join(folder, version);
if (existsSync(frozen)) {
  console.error(`the histories of ${version} are frozen: raise the version in package.json first`);
  process.exit(1);
}
const files = readdirSync(folder).filter((file) => file.endsWith('.bin'));
mkdirSync(frozen);
for (const file of files) cpSync(join(folder, file), join(frozen, file));
console.log(`${files.length} histories are those of ${version} now: commit ${frozen}`);
