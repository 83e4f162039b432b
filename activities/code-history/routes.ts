/** Words by which the files of a route are known: `products` of `GET /api/products/:id`. The front page has names of its own. */
export function namesOf(route: string): string[] {
  const path = route.split(' ').at(-1) ?? '';
  const words = path.split('/').filter((word) => /^[\w-]+$/.test(word) && !/^(api|v\d+)$/.test(word));
  return words.length === 0 ? [] : words.toReversed();
}

const FRONT = ['page', 'index', 'home'];
const stem = (word: string): string => word.toLowerCase().replace(/(ies|s)$/, '');

/** Whether a file of these serves the route, by its name or because the configuration says so. */
export function touchedBy(of: { route: string; files: string[] }, paths: string[]): boolean {
  const [name] = namesOf(of.route);
  const words = name === undefined ? FRONT : [stem(name)];
  return paths.some((path) => {
    const file = path.split('/').at(-1)?.toLowerCase() ?? '';
    return of.files.includes(path) || words.some((word) => file.includes(word));
  });
}
