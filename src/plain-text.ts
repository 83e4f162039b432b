/** Control characters but newline and tab, and those that turn the order of what follows around. */
const UNSEEN = /(?![\n\t])[\p{Cc}\u202A-\u202E\u2066-\u2069]/gu;

/** Text from outside as text to show: what would be invisible or would turn the text around is seen as `�`. */
export const plainText = (text: string): string =>
  text.replaceAll('\r\n', '\n').replaceAll(UNSEEN, '\uFFFD').toWellFormed();

/** The same on one line, cut to a length: for a subject or a title. */
export const oneLine = (text: string, length: number): string =>
  plainText(text).replaceAll(/\s+/g, ' ').trim().slice(0, length).toWellFormed();
