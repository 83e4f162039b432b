/** What is read of a service's performance, and its settings. */
import { z } from 'zod';
import { Instant } from './names.ts';

/** Answers of one route over a window. */
export const RouteWindow = z.object({
  requests: z.number(),
  perSecond: z.number(),
  p50Ms: z.number(),
  p95Ms: z.number(),
  p99Ms: z.number(),
});
export type RouteWindow = z.output<typeof RouteWindow>;

/** One route (`GET /api/products`): now, before the running release took the traffic, and at this time yesterday, where that is known. */
export const RouteTimes = z.object({
  route: z.string().max(120),
  now: RouteWindow,
  before: RouteWindow.optional(),
  yesterday: RouteWindow.optional(),
});
export type RouteTimes = z.output<typeof RouteTimes>;

/** How the memory of one instance went since it last started and was warm. Slopes are Theil–Sen's. */
export const MemoryTrend = z.object({
  instance: z.string().max(120),
  samples: z.number().int(),
  seconds: z.number(),
  restarts: z.number().int(),
  residentBytes: z.number(),
  residentBytesPerHour: z.number(),
  heapBytesPerHour: z.number(),
  limitBytes: z.number().optional(),
  /**
   * Until it is at its limit, or twice what it is where it has none, by the least growth of what cannot be garbage that the samples
   * allow with 95 % confidence. Absent where they allow none.
   */
  hoursUntilLimit: z.number().optional(),
});
export type MemoryTrend = z.output<typeof MemoryTrend>;

export const MetricName = z.enum(['LCP', 'INP', 'CLS', 'FCP', 'TTFB']);
export type MetricName = z.output<typeof MetricName>;
export const DeviceClass = z.enum(['mobile', 'desktop']);
export type DeviceClass = z.output<typeof DeviceClass>;

/** p75 of what real users met on one page: milliseconds, CLS without unit. */
export const WebVital = z.object({
  page: z.string().max(120),
  device: DeviceClass,
  metric: MetricName,
  p75: z.number(),
  samples: z.number().int(),
  /** There were more than could be read: of the newest. */
  newest: z.literal(true).optional(),
});
export type WebVital = z.output<typeof WebVital>;

/** Web vitals of one slot of time, as the record keeps them: a sketch per gateway and key. */
export const VitalsSlot = z.object({
  gateway: z.uuid(),
  at: Instant,
  service: z.string(),
  environment: z.string(),
  release: z.string(),
  page: z.string(),
  device: DeviceClass,
  metric: MetricName,
  samples: z.number().int(),
  sketch: z.string(),
});
export type VitalsSlot = z.output<typeof VitalsSlot>;

/** Medians of a page in the laboratory, and the audits whose remedy would save most. */
export const LabVitals = z.object({
  page: z.string().max(120),
  device: DeviceClass,
  runs: z.number().int(),
  /** 0..1 */
  score: z.number(),
  lcpMs: z.number(),
  cls: z.number(),
  tbtMs: z.number(),
  fcpMs: z.number(),
  speedIndexMs: z.number(),
  audits: z.array(z.object({ title: z.string().max(120), savesMs: z.number() })).max(5),
});
export type LabVitals = z.output<typeof LabVitals>;

const Sizes = z.object({ rawBytes: z.number().int(), gzipBytes: z.number().int(), brotliBytes: z.number().int() });
export type Sizes = z.output<typeof Sizes>;
/** One package of a bundle, with the bytes that it has in it. */
export const BundlePart = z.object({ name: z.string().max(120), rawBytes: z.number().int() });
export type BundlePart = z.output<typeof BundlePart>;
/** What a release sends to browsers, beside the release before it. `rawBytes` of a package are those that it has in the bundle. */
export const BundleChange = z.object({
  entries: z.array(z.object({ name: z.string().max(200), now: Sizes, before: Sizes.optional() })).max(20),
  /** Those that grew most, first. Empty where the build left no metafile. */
  packages: z.array(BundlePart.extend({ beforeBytes: z.number().int().optional() })).max(20),
  /** Packages that are in it more than once, with how often. */
  duplicated: z.array(z.object({ name: z.string().max(120), copies: z.number().int() })).max(10),
  /** All that it is made of: the largest packages, and the others together. Absent where the build left no metafile. */
  parts: z.array(BundlePart).max(25).optional(),
});
export type BundleChange = z.output<typeof BundleChange>;

/** A commit between two releases; `touches` are the slow routes and the failing files that it has to do with. */
export const CodeChange = z.object({
  id: z.string().max(64),
  author: z.string().max(60),
  at: Instant,
  subject: z.string().max(120),
  files: z.array(z.string().max(200)).max(10),
  fileCount: z.number().int(),
  added: z.number().int(),
  removed: z.number().int(),
  touches: z.array(z.string().max(120)).max(5),
});
export type CodeChange = z.output<typeof CodeChange>;

/** Whether the answers of a route may be kept by caches, and the flag that says so. `header` is its `Cache-Control`. */
export const CachingState = z.object({
  route: z.string().max(120),
  path: z.string().max(200),
  flag: z.string(),
  variant: z.string(),
  on: z.string(),
  caching: z.boolean(),
  header: z.string().max(200),
});
export type CachingState = z.output<typeof CachingState>;

/** What of an environment's performance is measured. */
export const PerformanceSettings = z.object({
  /** Histogram of seconds that every instance shows at `/metrics`, and its labels. */
  routes: z
    .object({
      histogram: z.string().default('http_request_duration_seconds'),
      routeLabel: z.string().default('route'),
      methodLabel: z.string().default('method'),
    })
    .prefault({}),
  /** Files that serve a route, where its name does not say. */
  files: z.record(z.string(), z.array(z.string())).default({}),
  /** Memory at which an instance is ended by its platform. */
  memoryLimitMiB: z.number().positive().optional(),
  /** Output folder of the build and esbuild's metafile, both in a release's files. */
  bundle: z.object({ folder: z.string(), metafile: z.string().optional() }).optional(),
  /** Idempotent routes whose answers may be cached, and the boolean flag that the service honours for it. */
  caching: z
    .array(z.object({ route: z.string(), path: z.string().startsWith('/'), flag: z.string() }))
    .max(20)
    .default([]),
  /** Beacons of real users. */
  vitals: z
    .object({
      origins: z.array(z.url().transform((url) => new URL(url).origin)).min(1),
      /** Share (0..1) of the beacons that is counted. */
      sample: z.number().min(0).max(1).default(1),
      /** Beacons counted in a second, of all users together, a tenth of them at once; more are refused. */
      perSecond: z.number().positive().default(500),
      windowSeconds: z.number().positive().default(3600),
      minimumSamples: z.number().int().min(1).default(100),
    })
    .optional(),
  /** Pages that Lighthouse looks at when there is a browser. */
  laboratory: z
    .object({
      /** Each takes two minutes or so, and is given ten. */
      pages: z.array(z.string().startsWith('/')).min(1).max(5).default(['/']),
      /** A browser takes a whole core: whoever serves this queue serves nothing else meanwhile. */
      taskQueue: z.string().default('holdfast-laboratory'),
    })
    .optional(),
});
export type PerformanceSettings = z.output<typeof PerformanceSettings>;

/** What a run needs of them. */
export const PerformancePolicy = z.object({
  vitals: z.object({ windowSeconds: z.number(), minimumSamples: z.number().int() }).optional(),
  bundle: z.boolean().default(false),
  caching: z.boolean().default(false),
  /** Without a task queue it is the incident's own. */
  laboratory: z.object({ taskQueue: z.string().optional(), pages: z.number().int().optional() }).optional(),
});
export type PerformancePolicy = z.output<typeof PerformancePolicy>;
