import type { Incident, Result, Scope } from '../contracts/index.ts';

export interface RunbookMeta {
  /** As people say it: "High error rate". */
  title: string;
  /** Names of the alerts that open it. */
  alerts: string[];
}

/** A runbook is its workflow function, with what gateway, CLI and console need to know of it. */
export type Runbook = ((input: Incident) => Promise<Result>) & { meta: RunbookMeta };

export interface CatalogueEntry extends RunbookMeta {
  /** Kebab case, as in the workflow id. */
  name: string;
  /** Workflow type. */
  type: string;
}

/** `highErrorRate` → `high-error-rate`. */
export const kebab = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The runbooks among the exports of `workflows/`. */
export const runbookCatalogue = (workflows: object): CatalogueEntry[] =>
  Object.entries(workflows as Record<string, { meta?: RunbookMeta }>).flatMap(([type, { meta }]) =>
    meta === undefined ? [] : [{ name: kebab(type), type, ...meta }],
  );

/** Workflow id of the ladder that a run leaves behind where a person must go on. */
export const ladderOf = (workflowId: string): string => `${workflowId}.escalation.0`;

/** The runbook, as its status names it, in which a second person looks at what one has approved alone. */
export const BREAK_GLASS = 'break-glass';
/** Workflow id of the run in which that is asked; a digest is of one proposal of one run. */
export const secondLookId = ({ service, digest }: { service: string; digest: string }): string =>
  `${BREAK_GLASS}.${service}.${digest.slice(0, 16)}`;

const PRODUCTION = 'production';

/** Workflow id of the one open incident of a service, environment and runbook; production's goes without saying. */
export const incidentId = ({ service, environment }: Scope, runbook: string): string =>
  `incident.${service}.${runbook}${environment === PRODUCTION ? '' : `.${environment}`}`;
