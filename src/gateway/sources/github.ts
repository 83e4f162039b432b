/**
 * GitHub webhooks (JSON): `X-Hub-Signature-256` is `sha256=<hex HMAC-SHA256 of the raw body>`.
 * A deployment whose status is `failure` or `error` fires `FailedDeployment`, `success` ends it. A workflow that failed on the
 * default branch of the repository itself (a fork's branch may have the same name) fires `FailedWorkflow`, its later success
 * ends it. What Holdfast itself shows of its deployments, cancelled or skipped runs, any other event and `ping` are nothing to do.
 * Any workflow that has ended wakes the deployments that may wait for it: they read its state from the API.
 * Source  docs.github.com, "Webhook events and payloads".
 */
import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { Alert } from '../../contracts/index.ts';
import { alertOf, defineSource, equal, keyOf, labelsOf, slugOf, Text } from '../source.ts';

const Id = z.union([z.number(), z.string()]);
const Repository = z.object({ name: z.string(), full_name: z.string(), default_branch: Text });
const DeploymentStatus = z.object({
  deployment_status: z.object({
    state: z.string(),
    environment: Text,
    description: Text,
    log_url: Text,
    target_url: Text,
    created_at: Text,
  }),
  deployment: z.object({ id: Id, ref: Text, sha: Text, environment: Text, payload: z.unknown().optional() }),
  repository: Repository,
});
const WorkflowRun = z.object({
  action: z.string(),
  workflow_run: z.object({
    id: Id,
    name: Text,
    head_branch: Text,
    head_sha: Text,
    conclusion: Text,
    html_url: Text,
    run_started_at: Text,
    head_repository: z.object({ full_name: Text }).nullish().catch(null),
  }),
  repository: Repository,
});

function deployment(body: unknown): Alert[] {
  const { deployment_status: status, deployment: of, repository } = DeploymentStatus.parse(body);
  const failed = ['failure', 'error'].includes(status.state);
  if (z.object({ holdfast: z.string() }).safeParse(of.payload).success) return [];
  if (!failed && status.state !== 'success') return [];
  const environment = status.environment ?? of.environment;
  return [
    alertOf({
      source: 'github',
      key: keyOf('deployment', repository.full_name, of.id),
      name: 'FailedDeployment',
      resolved: !failed,
      severity: 'critical',
      service: slugOf(repository.name),
      environment: slugOf(environment),
      summary: `deployment of ${of.ref ?? of.sha ?? 'a release'} to ${environment ?? 'an environment'}: ${status.description || status.state}`,
      startsAt: status.created_at,
      labels: labelsOf({
        alertname: 'FailedDeployment',
        repository: repository.full_name,
        environment,
        ref: of.ref,
        sha: of.sha,
      }),
      url: status.log_url || status.target_url,
    }),
  ];
}

function workflow(body: unknown): Alert[] {
  const { action, workflow_run: run, repository } = WorkflowRun.parse(body);
  const failed = ['failure', 'timed_out', 'startup_failure'].includes(run.conclusion ?? '');
  const own = run.head_repository?.full_name === repository.full_name;
  if (action !== 'completed' || !own || run.head_branch !== repository.default_branch) return [];
  if (!failed && run.conclusion !== 'success') return [];
  return [
    alertOf({
      source: 'github',
      key: keyOf('workflow_run', repository.full_name, run.id),
      name: 'FailedWorkflow',
      resolved: !failed,
      severity: 'warning',
      service: slugOf(repository.name),
      summary: `${run.name || 'a workflow'} on ${run.head_branch}: ${run.conclusion}`,
      startsAt: run.run_started_at,
      labels: labelsOf({
        alertname: 'FailedWorkflow',
        repository: repository.full_name,
        workflow: run.name,
        branch: run.head_branch,
        sha: run.head_sha,
      }),
      url: run.html_url,
    }),
  ];
}

export const github = defineSource({
  name: 'github',
  secret: 'HOLDFAST_GITHUB_WEBHOOK_SECRET',
  verify: (raw, headers, secret) =>
    equal(headers.get('x-hub-signature-256') ?? '', `sha256=${createHmac('sha256', secret).update(raw).digest('hex')}`),
  normalise(body, headers) {
    switch (headers.get('x-github-event')) {
      case 'deployment_status':
        return deployment(body);
      case 'workflow_run':
        return workflow(body);
      default:
        return [];
    }
  },
  ended(body, headers) {
    if (headers.get('x-github-event') !== 'workflow_run') return undefined;
    const { action, repository } = WorkflowRun.parse(body);
    return action === 'completed' ? repository.full_name : undefined;
  },
});
