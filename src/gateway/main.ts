/** The gateway: alerts in, durable before they are answered, then to Temporal. `npm run gateway`. */
import { cannotStart, loadConfig, loadSettings } from '../config.ts';
import { createLog } from '../log.ts';
import { runbookCatalogue } from '../runbook/catalogue.ts';
import * as workflows from '../../workflows/index.ts';
import { startGateway } from './gateway.ts';
import * as sources from './sources/index.ts';

async function start(): ReturnType<typeof startGateway> {
  const config = loadConfig();
  const log = createLog('gateway', config);
  const gateway = await startGateway({
    config,
    settings: await loadSettings(config),
    runbooks: runbookCatalogue(workflows),
    sources: Object.values(sources),
    log: log.warn,
  });
  log.info(`gateway ready on ${gateway.url}`);
  return gateway;
}

const gateway = await start().catch(cannotStart);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void gateway.stop());
