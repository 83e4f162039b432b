/** A browser without JavaScript: it keeps its cookie and sends the forms that it was shown. */
export function visitor(url: string, session: string) {
  const headers = { cookie: `holdfast=${session}`, accept: 'text/html', 'sec-fetch-site': 'same-origin' };
  const answer = async (response: Response) => ({
    status: response.status,
    headers: response.headers,
    text: await response.text(),
  });
  const get = async (path: string) => answer(await fetch(url + path, { headers, redirect: 'manual' }));
  const post = async (path: string, form: Record<string, string>, change: Record<string, string> = {}) =>
    answer(
      await fetch(url + path, {
        method: 'POST',
        redirect: 'manual',
        headers: { ...headers, origin: url, ...change },
        body: new URLSearchParams(form),
      }),
    );
  return {
    session,
    get,
    post,
    /** Send a form as the page at `from` has it, with its hidden fields. */
    async send(from: string, action: string, form: Record<string, string> = {}) {
      const { text } = await get(from);
      const at = text.indexOf(`action="${action}"`);
      if (at < 0) throw new Error(`there is no form ${action} on ${from}`);
      const inside = text.slice(at, text.indexOf('</form>', at));
      const hidden = [...inside.matchAll(/type="hidden" name="(\w+)" value="([^"]*)"/g)];
      return await post(action, { ...Object.fromEntries(hidden.map(([, name, value]) => [name, value])), ...form });
    },
  };
}
export type Visitor = ReturnType<typeof visitor>;
