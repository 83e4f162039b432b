import { z } from 'zod';
import type { Alert, Settings } from '../contracts/index.ts';
import { incidentId, type CatalogueEntry } from '../runbook/catalogue.ts';
import { matchable } from '../silences.ts';

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

/** Is this the value? A `*` at the beginning or the end of what is asked for stands for anything. */
function matches(asked: string, value: string | undefined): boolean {
  if (value === undefined) return false;
  const open = { start: asked.startsWith('*'), end: asked.length > 1 && asked.endsWith('*') };
  const text = asked.slice(open.start ? 1 : 0, open.end ? -1 : undefined);
  if (open.start && open.end) return value.includes(text);
  return open.start ? value.endsWith(text) : open.end ? value.startsWith(text) : value === text;
}

/**
 * From labels to service, environment and runbook: the first route whose every label matches, else what the alert says itself
 * and the runbook that names the alert. A service is also known by its project in the error tracker. The only environment of
 * a service is its default. What nothing knows, and what is in doubt, goes to triage.
 */
export function route(alert: Alert, settings: Settings, runbooks: CatalogueEntry[]): Target {
  const { name: alertname, service, environment } = alert;
  const labels = matchable(alert);
  const rule = settings.routes[ruleFor(alert, settings)];
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
  const { name, type } = (sure && alert.doubt === undefined ? runbook : undefined) ?? TRIAGE;
  const home = known?.name ?? 'unrouted';
  const likely = environments.includes('production') ? 'production' : (environments[0] ?? 'production');
  const scope = { service: home, environment: sure ? named : likely };
  return { ...scope, type, workflowId: incidentId(scope, name) };
}

/** Index of the route that matches, -1 where none does. */
export function ruleFor(alert: Alert, { routes }: Settings): number {
  const labels = matchable(alert);
  return routes.findIndex(({ match }) =>
    Object.entries(match).every(([label, value]) => matches(value, labels[label])),
  );
}

/** Check that routes, and the order of proposals, name what exists. @throws Error with the path of each mistake and its remedy. */
export function assertNames(settings: Settings, runbooks: CatalogueEntry[]): void {
  const names = runbooks.map(({ name }) => name);
  const noRunbook = (at: string, name: string): string[] =>
    names.includes(name) ? [] : [`${at}: "${name}" is no runbook; there are ${names.join(', ')}`];
  const mistakes = settings.routes.flatMap(({ service, environment, runbook }, i) => {
    const known = settings.services.find(({ name }) => name === service);
    return [
      ...(service !== undefined && known === undefined
        ? [`routes[${i}].service: "${service}" is not in services: add it or correct the name`]
        : []),
      ...(known !== undefined && environment !== undefined && !Object.hasOwn(known.environments, environment)
        ? [`routes[${i}].environment: "${service}" has no environment "${environment}"`]
        : []),
      ...(runbook === undefined ? [] : noRunbook(`routes[${i}].runbook`, runbook)),
    ];
  });
  mistakes.push(...Object.keys(settings.proposals).flatMap((name) => noRunbook('proposals', name)));
  if (mistakes.length > 0) throw new Error(`The configuration names what does not exist:\n${mistakes.join('\n')}`);
}
