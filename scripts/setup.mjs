/**
 * Makes the repository ready to run; quick when it is. Plain JavaScript without a dependency: it runs before there is any, on
 * whatever Node the machine has. `node scripts/setup.mjs [--test]`
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingPrograms } from './programs.mjs';

const OLDEST_NODE = 22;
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const node = join(root, 'node_modules', '.bin', 'node');
const forTests = process.argv.includes('--test');

const SUITES = {
  chromium: 'the end-to-end tests in a browser (test/e2e)',
  pgbouncer: 'the tests of the connection pool',
  prometheus: 'the tests against Prometheus',
  'prometheus-alertmanager': 'the tests against Alertmanager',
  'postgresql-15-hypopg': "the tests of proved indexes, on Debian 12's Postgres 15",
};

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** Run a command with its output shown. */
function run(command, args, options = {}) {
  return spawnSync(command, args, { stdio: 'inherit', cwd: root, ...options }).status === 0;
}

const changedAt = (file) => (existsSync(file) ? statSync(file).mtimeMs : 0);

/** `npm ci` where the lock file is newer than what is installed. */
function install(folder, label) {
  const installed = changedAt(join(folder, 'node_modules', '.package-lock.json'));
  if (!existsSync(join(folder, 'package-lock.json'))) return;
  if (installed > 0 && installed >= changedAt(join(folder, 'package-lock.json'))) return;
  console.log(`${label}  installing (npm ci)…`);
  const begun = Date.now();
  // The Node that npm runs on must not be the one it is about to replace.
  const path = (process.env.PATH ?? '').split(delimiter).filter((part) => !part.includes('node_modules'));
  const env = { ...process.env, PATH: path.join(delimiter) };
  if (!run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder, env }))
    fail(`${label}: npm ci failed in ${folder}; what it says above tells why`);
  console.log(`${label}  installed in ${((Date.now() - begun) / 1000).toFixed(0)} s`);
}

function checkNode() {
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  const version = (stdout || process.version).trim();
  if (Number(/^v(\d+)/.exec(version)?.[1]) < OLDEST_NODE)
    fail(`Holdfast needs Node ${OLDEST_NODE} or later. This is ${version}, and npm could not install the newer one.`);
}

function isDebian() {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release);
}

/** Install the missing programs where that is possible without asking; tell what is skipped where it is not. */
function installPrograms() {
  const missing = missingPrograms();
  if (missing.length === 0) return;
  if (isDebian() && process.getuid?.() === 0) {
    const packages = missing.map(({ debian }) => debian);
    console.log(`System packages  installing with apt-get: ${packages.join(', ')}…`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] };
    run('apt-get', ['update', '-q'], quiet);
    // One by one: what this release of the system does not have must not keep the others out.
    for (const name of packages) run('apt-get', ['install', '-y', '-q', '--no-install-recommends', name], quiet);
    const units = missing.flatMap(({ unit }) => unit ?? []);
    if (existsSync('/run/systemd/system') && units.length > 0) run('systemctl', ['disable', '--now', ...units]);
  }
  for (const program of missingPrograms()) {
    const command =
      process.platform === 'darwin'
        ? `brew install ${program.brew}`
        : `sudo apt-get install -y --no-install-recommends ${program.debian}`;
    console.log(`${program.names[0]} is missing: ${SUITES[program.debian]} are skipped. To run them: ${command}`);
  }
}

install(root, 'Holdfast');
checkNode();
if (forTests) {
  install(join(root, 'examples', 'shop'), 'Sample shop');
  installPrograms();
  if (!run(node, ['src/embedded/fetch.ts'])) fail('A tool of the tests is missing, see above.');
}
