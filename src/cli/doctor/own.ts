import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { Config } from '../../config.ts';
import { openInbox } from '../../gateway/inbox.ts';
import { openMetrics, productionFaults } from '../../production.ts';
import { checked, failed, ok, warning, type Finding } from './finding.ts';

const SECRETS = { HOLDFAST_CODE_SECRET: 'no page carries a code, so nobody can decide in the Temporal UI' };

/** What must not be so in production. */
export function checkProduction(config: Config): Finding[] {
  const production = config.HOLDFAST_PRODUCTION === '1';
  const faults = [...productionFaults(config), ...openMetrics(config)].map((fault): Finding => {
    const [says = '', remedy = ''] = fault.split(/: (.*)/s);
    return production ? failed('production', says, remedy) : warning('production', says, `in production: ${remedy}`);
  });
  return faults.length > 0
    ? faults
    : [ok('production', `nothing forbids it${production ? '' : ' (HOLDFAST_PRODUCTION)'}`)];
}

/** What the control plane has of its own: secrets, the keys of decisions, the state folder. */
export async function checkOwn(config: Config): Promise<Finding[]> {
  const absent = Object.entries(SECRETS).flatMap(([name, without]) =>
    config.env[name] === undefined ? [failed('secrets', `${name} is not set: ${without}`, 'openssl rand -hex 32')] : [],
  );
  return [
    ...absent,
    ...(await checked('decision key', 'make both anew', async () => [decisionKey(config)])),
    ...(await checked('inbox', `let this user write ${config.HOLDFAST_STATE_DIR}`, async () => {
      const inbox = openInbox(config.HOLDFAST_STATE_DIR);
      inbox.probe();
      inbox.close();
      return [ok('inbox', `${config.HOLDFAST_STATE_DIR}/inbox.sqlite is written and synced`)];
    })),
  ];
}

/** The public key that workers know must be that of the private one which signs. */
function decisionKey({ env }: Config): Finding {
  const { HOLDFAST_DECISION_PRIVATE_KEY: secret, HOLDFAST_DECISION_KEY_ID: id } = env;
  const known = new Map(
    (env['HOLDFAST_DECISION_PUBLIC_KEYS'] ?? '').split(',').map((entry) => {
      const at = entry.indexOf('=');
      return [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
  if (secret === undefined || id === undefined)
    return known.size > 0 && !known.has('')
      ? ok('decision key', `decisions are verified with ${[...known.keys()].join(', ')}; this process signs none`)
      : failed('decision key', 'there is none: no decision can be verified', 'set HOLDFAST_DECISION_PUBLIC_KEYS');
  const signs = createPublicKey(createPrivateKey({ key: Buffer.from(secret, 'base64'), format: 'der', type: 'pkcs8' }));
  const signing = Buffer.from(signs.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64');
  return known.get(id) === signing
    ? ok('decision key', `decisions are signed and verified with "${id}"`)
    : failed(
        'decision key',
        `what HOLDFAST_DECISION_PRIVATE_KEY signs as "${id}" is verified with another key, or none`,
        `put ${id}=${signing} into HOLDFAST_DECISION_PUBLIC_KEYS and restart the workers`,
      );
}
