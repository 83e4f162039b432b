import type { DataConverter } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { codecKeysOf, dataConverterOf } from './codec.ts';
import { createRedaction, isSecretHeader, secretsOf, type Redact } from './redaction.ts';

type Connection = ReturnType<typeof loadClientConnectConfig>['connectionOptions'];

/** How Holdfast reaches Temporal: the same for worker, gateway and command line. */
export interface Temporal {
  address: string;
  namespace: string;
  /** For `Connection` and `NativeConnection` alike. */
  connection: { address: string } & Pick<Connection, 'tls' | 'apiKey' | 'metadata'>;
  dataConverter: DataConverter;
  /** Takes out the secrets of the environment and of the profile. */
  redact: Redact;
}

/**
 * Temporal's standard variables over a profile in TOML: address, namespace, TLS, client certificate, API key, headers.
 * Payloads are encrypted with `HOLDFAST_CODEC_KEYS`. The profile is `TEMPORAL_PROFILE` of the file `TEMPORAL_CONFIG_FILE`, else `default` of the user's own file, if there is one.
 * @throws Error that says what is wrong with them.
 */
export function temporalOf(env: Record<string, string>): Temporal {
  let loaded: ReturnType<typeof loadClientConnectConfig>;
  try {
    loaded = loadClientConnectConfig({ overrideEnvVars: env });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot start, the connection to Temporal is wrong: ${why}`, { cause: error });
  }
  const { address = '127.0.0.1:7233', tls, apiKey, metadata } = loaded.connectionOptions;
  const connection = {
    address,
    ...(tls !== undefined && { tls }),
    ...(apiKey !== undefined && { apiKey }),
    ...(metadata !== undefined && { metadata }),
  };
  const headers = Object.entries(metadata ?? {}).filter(([name]) => isSecretHeader(name));
  const shown = [apiKey, ...headers.map(([, value]) => value)].filter((one) => typeof one === 'string');
  const redact = createRedaction([...secretsOf(env), ...shown]);
  const dataConverter = dataConverterOf(codecKeysOf(env['HOLDFAST_CODEC_KEYS']), redact);
  return { address, namespace: loaded.namespace ?? 'default', connection, dataConverter, redact };
}
