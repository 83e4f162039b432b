import type { Policy, Scope, Settings } from './contracts/index.ts';

/** Who may approve what, and how many of them, in an environment: by its own rule for a risk, else by the general one. */
export function approvalAt({ approval, services }: Settings, { service, environment }: Scope): Policy['approval'] {
  const { low, medium, high } =
    services.find(({ name }) => name === service)?.environments[environment]?.approval ?? {};
  return { low: low ?? approval.low, medium: medium ?? approval.medium, high: high ?? approval.high };
}
