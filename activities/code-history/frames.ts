/**
 * Whether a file of a stack trace (`/srv/shop/src/checkout.ts`, `app:///src/checkout.ts`) is this one of the repository: both end in
 * the same folder and file, or in the same file where one of them names no folder.
 */
export function isFileOf(file: string, path: string): boolean {
  const [a, b] = [partsOf(file), partsOf(path)];
  const shared = Math.min(a.length, b.length, 2);
  return shared > 0 && a.slice(-shared).join('/') === b.slice(-shared).join('/');
}

const partsOf = (name: string): string[] => name.split('/').filter((part) => part !== '' && part !== '.');
