/** Pictures as SVG, drawn without a browser. */
import { init, type EChartsOption } from 'echarts';

/** A chart of ECharts, without animation. Equal charts are equal texts. */
export function chartSvg(size: { width: number; height: number }, option: EChartsOption): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...size });
  try {
    chart.setOption({ animation: false, ...option });
    return sameNames(chart.renderToSVGString());
  } finally {
    chart.dispose();
  }
}

/** ECharts numbers its classes over all charts of a process. */
function sameNames(svg: string): string {
  const names = new Map<string, string>();
  return svg.replaceAll(/\bzr\d+-\w+-\d+/g, (name) => {
    const known = names.get(name) ?? `c${names.size}`;
    names.set(name, known);
    return known;
  });
}
