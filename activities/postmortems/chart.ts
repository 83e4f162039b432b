import { chartSvg } from '../../src/charts.ts';
import type { Review } from '../../src/contracts/index.ts';

const WIDTH = 900;
const HEIGHT = 200;

/** The course of an incident as SVG: how long each stage took, in minutes, and the attempts in it. No text from outside is in it. */
export function courseChart({ times, attempts }: Review): string {
  const { beganAt, detectedAt, acknowledgedAt, decidedAt, mitigatedAt, endedAt } = times;
  const began = Date.parse(beganAt);
  const minutesTo = (at: string): number => Number(((Date.parse(at) - began) / 60_000).toFixed(2));
  const stages = [
    ['undetected', detectedAt],
    ['unacknowledged', acknowledgedAt],
    ['undecided', decidedAt],
    ['unmitigated', mitigatedAt],
    ['until closed', endedAt],
  ] as const;
  let reached = 0;
  const series = stages.flatMap(([name, at]) => {
    const end = at === undefined ? reached : Math.max(reached, minutesTo(at));
    const minutes = Number((end - reached).toFixed(2));
    reached = end;
    return at === undefined ? [] : [{ name, type: 'bar' as const, stack: 'course', barWidth: 36, data: [minutes] }];
  });
  const done = attempts.map(({ kind, result, at }) => ({
    value: [minutesTo(at), 0],
    label: { show: true, position: 'top' as const, distance: 24, formatter: `${kind}: ${result}` },
  }));
  return chartSvg(
    { width: WIDTH, height: HEIGHT },
    {
      grid: { left: 16, right: 24, top: 56, bottom: 40 },
      legend: { top: 8, itemGap: 24 },
      xAxis: { type: 'value', name: 'minutes', nameLocation: 'middle', nameGap: 24 },
      yAxis: { type: 'category', data: [''], axisTick: { show: false } },
      series: [...series, { name: 'attempts', type: 'scatter', symbol: 'diamond', symbolSize: 14, data: done }],
    },
  );
}
