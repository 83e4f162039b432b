import { chartSvg } from '../../src/charts.ts';
import type { BundlePart } from '../../src/contracts/index.ts';

/** A picture of what a bundle is made of, as SVG: the area of a package is its bytes. */
export const treemap = (parts: BundlePart[]): string =>
  chartSvg(
    { width: 960, height: 600 },
    {
      series: [
        {
          type: 'treemap',
          roam: false,
          nodeClick: false,
          breadcrumb: { show: false },
          label: { formatter: '{b}' },
          data: parts.map(({ name, rawBytes }) => ({
            name: `${name} ${Math.ceil(rawBytes / 1000)} kB`,
            value: rawBytes,
          })),
        },
      ],
    },
  );
