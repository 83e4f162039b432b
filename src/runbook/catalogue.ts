import type { Incident, Result } from '../contracts/index.ts';

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

/** Workflow id of the one open incident of a service and runbook. */
export const incidentId = (service: string, runbook: string): string => `incident.${service}.${runbook}`;
