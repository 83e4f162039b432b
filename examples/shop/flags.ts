import { FlagdProvider } from '@openfeature/flagd-provider';
import { OpenFeature } from '@openfeature/server-sdk';
import { config } from './config.ts';

/** Flags come from a file of flagd's format, read again within five seconds of a change. Without one every flag is off. */
export async function openFlags(): Promise<void> {
  if (config.flagsFile === undefined) return;
  const provider = new FlagdProvider({ resolverType: 'in-process', offlineFlagSourcePath: config.flagsFile });
  await OpenFeature.setProviderAndWait(provider).catch((error: unknown) => console.error('flags are off:', error));
}

export async function expressCheckout(user: string): Promise<{ on: boolean; variant: string }> {
  const { value, variant } = await OpenFeature.getClient().getBooleanDetails('express-checkout', false, {
    targetingKey: user,
  });
  return { on: value, variant: variant ?? (value ? 'on' : 'off') };
}

export const closeFlags = (): Promise<void> => OpenFeature.close();
