import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export interface Service {
  image: string;
  build?: { context: string; target?: string };
  user?: string;
  profiles?: string[];
  command?: string[];
  entrypoint?: string[];
  environment?: Record<string, string>;
  secrets?: string[];
  ports?: string[];
  volumes?: string[];
  networks?: string[];
  depends_on?: Record<string, { condition: string; required?: boolean }>;
  healthcheck?: { test?: string[]; disable?: boolean };
  restart?: string;
  pull_policy?: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  mem_limit?: string;
  pids_limit?: number;
}
interface Compose {
  services: Record<string, Service>;
  secrets: Record<string, { file: string }>;
  volumes: Record<string, unknown>;
  networks: Record<string, { internal?: boolean }>;
}

export const ROOT = join(__dirname, '..', '..');
export const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
/** What Compose has of a text: `${NAME:-otherwise}` is the variable or what stands for it, `$$` a dollar. */
function interpolated(text: string, given: Record<string, string>): string {
  const next = text.replace(/\$\{(\w+):-([^{}]*)\}/g, (_, name: string, otherwise: string) => given[name] || otherwise);
  return next === text ? text.replaceAll('$$', () => '$') : interpolated(next, given);
}
/** `docker-compose.yml` as Compose reads it, where these variables are set. */
export const composed = (given: Record<string, string>): Compose =>
  parse(interpolated(textOf('docker-compose.yml'), given), { merge: true }) as Compose;
export const compose = composed({});
