/** Programs the tests use that neither npm nor PyPI carries. Plain JavaScript without a dependency. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const PROGRAMS = [
  { names: ['chromium', 'chromium-browser', 'google-chrome'], debian: 'chromium', brew: '--cask chromium' },
  { names: ['pgbouncer'], debian: 'pgbouncer', brew: 'pgbouncer', unit: 'pgbouncer' },
  { names: ['prometheus'], debian: 'prometheus', brew: 'prometheus', unit: 'prometheus' },
  {
    names: ['prometheus-alertmanager', 'alertmanager'],
    debian: 'prometheus-alertmanager',
    brew: 'alertmanager',
    unit: 'prometheus-alertmanager',
  },
  {
    names: ['hypopg'],
    file: '/usr/share/postgresql/15/extension/hypopg.control',
    debian: 'postgresql-15-hypopg',
    brew: 'postgresql@15',
    unit: 'postgresql',
    // Only Debian 12 has it.
    optional: true,
  },
];

const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
const isThere = ({ names, file }) =>
  (file !== undefined && existsSync(file)) ||
  names.some((name) =>
    folders.some((folder) => {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    }),
  );

/** Those that this machine does not have. */
export const missingPrograms = () => PROGRAMS.filter((program) => !isThere(program));
