// What this visitor met, told once, when the page is left: no more than the page, the kind of device and the release.
const { src, dataset } = document.currentScript;
const url = new URL('/vitals', src);
const met = new Map();
for (const on of [webVitals.onCLS, webVitals.onFCP, webVitals.onINP, webVitals.onLCP, webVitals.onTTFB])
  on(({ name, value }) => met.set(name, value));

function tell() {
  if (met.size === 0) return;
  const device = matchMedia('(pointer: coarse), (max-width: 768px)').matches ? 'mobile' : 'desktop';
  const vitals = [...met].map(([name, value]) => ({ name, value }));
  navigator.sendBeacon(url, JSON.stringify({ page: location.pathname, device, release: dataset.release, vitals }));
  met.clear();
}
addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && tell());
addEventListener('pagehide', tell);
