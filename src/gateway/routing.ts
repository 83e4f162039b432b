import type { Alert, Settings } from '../contracts/index.ts';
import { incidentId, kebab, type CatalogueEntry } from '../runbook/catalogue.ts';

/** Where an alert goes. */
export interface Target {
  service: string;
  environment: string;
  runbook: string;
  /** Workflow type. */
  type: string;
  workflowId: string;
}

const camel = (name: string): string => name.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/**
 * From labels to service, environment and runbook: the first route whose every label matches, else the alert's own labels and
 * the runbook that names the alert. What nothing knows goes to triage.
 */
export function route(alert: Alert, settings: Settings, runbooks: CatalogueEntry[]): Target {
  const labels: Record<string, string | undefined> = {
    alertname: alert.name,
    service: alert.service,
    environment: alert.environment,
    source: alert.source,
    ...alert.labels,
  };
  const rule = settings.routes.find(({ match }) =>
    Object.entries(match).every(([label, value]) => labels[label] === value),
  );
  const named = rule?.service ?? alert.service;
  const known = settings.services.find(({ name }) => name === named);
  const environments = Object.keys(known?.environments ?? {});
  const wanted = rule?.environment ?? alert.environment ?? (environments.length === 1 ? environments[0] : undefined);
  const environment = wanted !== undefined && environments.includes(wanted) ? wanted : undefined;
  const name = rule?.runbook ?? runbooks.find(({ alerts }) => alerts.includes(alert.name))?.name;
  const runbook =
    known !== undefined && environment !== undefined && runbooks.some((one) => one.name === name) && name !== undefined
      ? name
      : 'triage';
  const service = known?.name ?? 'unrouted';
  return {
    service,
    environment: environment ?? environments[0] ?? 'production',
    runbook,
    type: camel(kebab(runbook)),
    workflowId: incidentId(service, runbook),
  };
}
