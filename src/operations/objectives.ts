import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { z } from 'zod';
import { ObjectiveReport, TREND_DAYS, type ObjectiveDay, type Settings } from '../contracts/index.ts';
import type { IncidentRecord } from '../record.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Services of which some environment has a monitor. */
export const monitored = ({ services }: Settings): string[] =>
  services
    .filter(({ environments }) => Object.values(environments).some(({ monitor }) => monitor !== undefined))
    .map(({ name }) => name);

/** The days of a trend, oldest first. */
export const trendDays = (): string[] =>
  Array.from({ length: TREND_DAYS }, (_, i) =>
    new Date(Date.now() - (TREND_DAYS - 1 - i) * DAY_MS).toISOString().slice(0, 10),
  );

/**
 * How the objectives of a service stand, as its monitor knows them; none where it has not been started yet. Days that an earlier
 * monitor measured are of the record, where there is one.
 */
export async function objectivesOf(
  client: Client,
  service: string,
  record?: IncidentRecord,
): Promise<{ reports: ObjectiveReport[]; unknown?: string }> {
  const reports = await reportsOf(client, service);
  const [since = ''] = trendDays();
  try {
    const completed = reports.map(async (report) => {
      const { environment, name: objective } = report;
      return withDays(report, (await record?.objectiveDays({ service, environment, objective, since })) ?? []);
    });
    return { reports: await Promise.all(completed) };
  } catch (error) {
    return { reports, unknown: `the record cannot be read: ${String(error)}` };
  }
}

/** Of a day that both know, what was measured more of. */
function withDays(report: ObjectiveReport, recorded: ObjectiveDay[]): ObjectiveReport {
  const trend = new Map(report.trend.map((one) => [one.day, one]));
  for (const { day, total, bad } of recorded)
    if (total > (trend.get(day)?.total ?? 0)) trend.set(day, { day, total, badShare: bad / total });
  return { ...report, trend: [...trend.values()].toSorted((a, b) => a.day.localeCompare(b.day)) };
}

async function reportsOf(client: Client, service: string): Promise<ObjectiveReport[]> {
  try {
    return z.array(ObjectiveReport).parse(await client.workflow.getHandle(`monitor.${service}`).query('objectives'));
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw error;
  }
}

export const percent = (share: number | undefined): string =>
  share === undefined ? 'unknown' : `${Number((share * 100).toFixed(1))} %`;
export const times = (burn: number | undefined): string => (burn === undefined ? '?' : `${burn.toFixed(1)}×`);
