// Shows what has changed without a reload, and counts down. The pages read and decide without it.
const main = document.querySelector('main[data-live]');
const parse = (text) => new DOMParser().parseFromString(text, 'text/html');

/** A form that somebody is filling in is never taken away. */
const busy = () =>
  document.activeElement?.closest('main form') != null ||
  [...document.querySelectorAll('main input:not([type=hidden]), main textarea')].some((field) =>
    field.type === 'radio' ? field.checked !== field.defaultChecked : field.value !== field.defaultValue,
  );

/** What is asked must not change under a finger: another proposal is shown when the person wants it. */
function offer() {
  if (document.querySelector('.changed')) return;
  const bar = document.createElement('p');
  bar.className = 'changed';
  bar.setAttribute('role', 'status');
  const link = document.createElement('a');
  link.href = location.href;
  link.textContent = 'This has changed: show it as it is now';
  bar.append(link);
  main.prepend(bar);
}

async function refresh() {
  const response = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (!response.ok || response.redirected) return location.reload();
  const fresh = parse(await response.text()).querySelector('main');
  if (!fresh) return;
  const [before, after] = [main.dataset.asks ?? '', fresh.dataset.asks ?? ''];
  if (busy() || (before !== '' && after !== '' && before !== after)) return offer();
  const open = [...main.querySelectorAll('details[id][open]')].map(({ id }) => id);
  const focused = document.activeElement?.id;
  main.replaceChildren(...fresh.childNodes);
  Object.assign(main.dataset, { version: fresh.dataset.version, asks: after });
  for (const id of open) document.getElementById(id)?.setAttribute('open', '');
  if (focused) document.getElementById(focused)?.focus();
  count();
}

function count() {
  for (const time of document.querySelectorAll('time[data-left]')) {
    const seconds = Math.max(0, Math.round((Date.parse(time.dateTime) - Date.now()) / 1000));
    time.textContent =
      seconds === 0 ? 'now' : seconds < 60 ? `in ${seconds} s` : `in ${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }
}

if (main) {
  let refreshing = Promise.resolve();
  const source = new EventSource(main.dataset.live);
  source.addEventListener('version', ({ data }) => {
    refreshing = refreshing.then(() => (data === main.dataset.version ? undefined : refresh())).catch(() => undefined);
  });
  addEventListener('pagehide', () => source.close());
}
count();
setInterval(count, 1000);
