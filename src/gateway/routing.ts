import { z } from 'zod';
import type { Alert, Settings } from '../contracts/index.ts';
import { incidentId, type CatalogueEntry } from '../runbook/catalogue.ts';

/** The incident that an alert belongs to. */
export const Target = z.object({
  service: z.string(),
  environment: z.string(),
  /** Workflow type. */
  type: z.string(),
  workflowId: z.string(),
});
export type Target = z.output<typeof Target>;

const TRIAGE = { name: 'triage', type: 'triage' };

/**
 * From labels to service, environment and runbook: the first route whose every label matches, else what the alert says itself
 * and the runbook that names the alert. A service is also known by its project in the error tracker. The only environment of
 * a service is its default. What nothing knows goes to triage.
 */
export function route(alert: Alert, settings: Settings, runbooks: CatalogueEntry[]): Target {
  const { name: alertname, service, environment, source } = alert;
  const labels: Record<string, string | undefined> = { service, environment, ...alert.labels, alertname, source };
  const rule = settings.routes.find(({ match }) =>
    Object.entries(match).every(([label, value]) => labels[label] === value),
  );
  const known =
    settings.services.find(({ name }) => name === (rule?.service ?? service)) ??
    settings.services.find(({ environments }) =>
      Object.values(environments).some(({ errors }) => errors !== undefined && errors.project === labels['project']),
    );
  const environments = Object.keys(known?.environments ?? {});
  const named = rule?.environment ?? environment ?? (environments.length === 1 ? environments[0] : undefined);
  const sure = known !== undefined && named !== undefined && environments.includes(named);
  const runbook = runbooks.find(({ name, alerts }) =>
    rule?.runbook === undefined ? alerts.includes(alertname) : name === rule.runbook,
  );
  const { name, type } = (sure ? runbook : undefined) ?? TRIAGE;
  const home = known?.name ?? 'unrouted';
  return {
    service: home,
    environment: sure ? named : (environments[0] ?? 'production'),
    type,
    workflowId: incidentId(home, name),
  };
}

/** Check that routes name what exists. @throws Error with the path of each mistake and its remedy. */
export function assertRoutes(settings: Settings, runbooks: CatalogueEntry[]): void {
  const names = runbooks.map(({ name }) => name);
  const mistakes = settings.routes.flatMap(({ service, environment, runbook }, i) => {
    const known = settings.services.find(({ name }) => name === service);
    return [
      ...(service !== undefined && known === undefined
        ? [`routes[${i}].service: "${service}" is not in services: add it or correct the name`]
        : []),
      ...(known !== undefined && environment !== undefined && !Object.hasOwn(known.environments, environment)
        ? [`routes[${i}].environment: "${service}" has no environment "${environment}"`]
        : []),
      ...(runbook !== undefined && !names.includes(runbook)
        ? [`routes[${i}].runbook: "${runbook}" is no runbook; there are ${names.join(', ')}`]
        : []),
    ];
  });
  if (mistakes.length > 0) throw new Error(`The routes are wrong:\n${mistakes.join('\n')}`);
}
