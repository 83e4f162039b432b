interface Advisory {
  id: string;
  lets: string;
  /** The first version that has it, where older ones do not. */
  since?: string;
  /** The first version without it, of each minor one that was mended; later minor ones never had it. */
  mended: string[];
}

/**
 * Published weaknesses of Temporal's server. Temporal Cloud had none of them.
 * Source  github.com/temporalio/temporal/security/advisories and the reports on go.temporal.io/server in github.com/golang/vulndb,
 * as of November 2026.
 */
const ADVISORIES: Advisory[] = [
  { id: 'CVE-2023-3485', lets: 'a forged task token act in another namespace', mended: ['1.20.0'] },
  { id: 'CVE-2024-2689', lets: 'text that is no UTF-8 stop its queues', mended: ['1.20.5', '1.21.6', '1.22.7'] },
  {
    id: 'CVE-2025-8396',
    lets: 'an authorization header use its memory up',
    mended: ['1.26.3', '1.27.3', '1.28.1'],
  },
  {
    id: 'CVE-2025-14986',
    lets: 'a caller go around the limits of its namespace',
    mended: ['1.27.4', '1.28.2', '1.29.2'],
  },
  {
    id: 'CVE-2025-14987',
    lets: 'a worker start, signal and cancel runs of another namespace',
    mended: ['1.27.4', '1.28.2', '1.29.2'],
  },
  {
    id: 'CVE-2026-5199',
    lets: 'whoever may write in one namespace signal, reset and delete runs of another',
    since: '1.29.0',
    mended: ['1.29.5', '1.30.3'],
  },
  {
    id: 'CVE-2026-5724',
    lets: 'whoever reaches it open its replication stream without credentials',
    mended: ['1.28.4', '1.29.6', '1.30.4'],
  },
];

export const olderThan = (version: string, other: string): boolean =>
  version.localeCompare(other, 'en', { numeric: true }) < 0;
const minorOf = (version: string): string => version.split('.').slice(0, 2).join('.');

/** What is known against a version of Temporal's server, each with what it lets happen. */
export const knownAgainst = (version: string): string[] =>
  ADVISORIES.filter(({ since, mended }) => {
    const [first = ''] = mended;
    const own = mended.find((one) => minorOf(one) === minorOf(version)) ?? first;
    return olderThan(version, own) && (since === undefined || !olderThan(version, since));
  }).map(({ id, lets }) => `${id} (lets ${lets})`);
