import { msToNumber } from '@temporalio/common/lib/time.js';
import { html } from 'hono/html';
import type { Settings, Status } from '../../contracts/index.ts';
import { canaryStep } from '../../runbook/rollout.ts';
import { left, moment, type Html } from './layout.ts';

/**
 * How long the canary that stands is watched yet: as long as the configuration says at least, from when its step began. Where
 * that had to wait before it could, nobody here knows since when.
 */
export function bakeTimer({ steps = [], incident, doing }: Status, { services }: Settings): Html | string {
  const { service, environment } = incident;
  const of = services.find(({ name }) => name === service)?.environments[environment]?.deployment.canary;
  const names = of?.weights.map(canaryStep) ?? [];
  const step = steps.find(({ name, state }) => state === 'running' && names.includes(name));
  if (of === undefined || step?.at === undefined) return '';
  if (doing !== `${step.name}.`) return html`<p>Bakes for ${of.bake}.</p>`;
  const until = new Date(Date.parse(step.at) + msToNumber(of.bake)).toISOString();
  return Date.parse(until) > Date.now()
    ? html`<p>Bakes until ${moment(until, true)} at the earliest, ${left(until)}.</p>`
    : html`<p>
        Its bake time was over at ${moment(until, true)} at the earliest: while nobody can tell whether it is as good as
        what runs, it is watched for up to three times as long.
      </p>`;
}
