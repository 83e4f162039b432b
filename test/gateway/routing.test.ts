import { assertNames, route } from '../../src/gateway/routing.ts';
import { alertOf } from '../../src/gateway/source.ts';
import * as rig from './rig.ts';

describe('a route with * for a part of a label', () => {
  const matched = (asked: string, team: string) => {
    const routes = [{ match: { team: asked }, service: 'mail', environment: 'staging', runbook: 'high-error-rate' }];
    const alert = alertOf({ source: 'test', key: 'k', name: 'Odd', labels: { team } });
    return route(alert, { ...rig.settings, routes }, rig.runbooks).service === 'mail';
  };

  it.each([
    ['pay*', 'payments', true],
    ['pay*', 'repay', false],
    ['*ments', 'payments', true],
    ['*ments', 'paymentsx', false],
    ['*aym*', 'payments', true],
    ['*', 'anything', true],
    ['pay.*', 'payments', false],
    ['p*s', 'payments', false],
  ])('%s and %s: %s', (asked, team, expected) => {
    expect(matched(asked, team)).toBe(expected);
  });
});

describe('an alert is routed', () => {
  const to = (of: Partial<Parameters<typeof alertOf>[0]>) =>
    route(alertOf({ source: 'test', key: 'k', name: 'HighErrorRate', labels: {}, ...of }), rig.settings, rig.runbooks);

  it.each([
    [
      'by what it says itself, to the only environment',
      { service: 'shop' },
      'incident.shop.high-error-rate',
      'production',
    ],
    [
      'by a route with all its labels',
      { name: 'Checkout', labels: { team: 'money' } },
      'incident.shop.high-error-rate',
      'production',
    ],
    [
      'past a route with one label wrong',
      { name: 'Checkout', service: 'shop', labels: { team: 'x' } },
      'incident.shop.triage',
      'production',
    ],
    [
      'to the environment of its route, an incident of its own',
      { name: 'MailSlow' },
      'incident.mail.high-error-rate.staging',
      'staging',
    ],
    [
      'by its project',
      { service: 'web-shop', labels: { project: 'web-shop' } },
      'incident.shop.high-error-rate',
      'production',
    ],
    ['to triage when no runbook knows it', { name: 'Odd', service: 'shop' }, 'incident.shop.triage', 'production'],
    ['to triage when no environment is sure', { service: 'mail' }, 'incident.mail.triage', 'production'],
    [
      'to triage when the environment is unknown',
      { service: 'shop', environment: 'moon' },
      'incident.shop.triage',
      'production',
    ],
    [
      'to its environment',
      { service: 'mail', environment: 'staging' },
      'incident.mail.high-error-rate.staging',
      'staging',
    ],
    ['to the unrouted when the service is unknown', { service: 'ghost' }, 'incident.unrouted.triage', 'production'],
    ['to the unrouted without a service', {}, 'incident.unrouted.triage', 'production'],
  ])('%s', (_, of, workflowId, environment) => expect(to(of)).toMatchObject({ workflowId, environment }));

  it('by routes, and an order of proposals, that name what exists, or not at all', () => {
    const routes = [
      { match: {}, service: 'ghost' },
      { match: {}, service: 'shop', environment: 'moon', runbook: 'none' },
    ];
    const proposals = { 'high-error-rates': ['scale' as const] };
    const wrong = () => assertNames({ ...rig.settings, routes, proposals }, rig.runbooks);
    expect(wrong).toThrow(
      /routes\[0\]\.service.*\n.*routes\[1\]\.environment.*\n.*routes\[1\]\.runbook.*\nproposals: "high-error-rates" is no/,
    );
  });
});
