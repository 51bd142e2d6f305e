/** What NeDB takes for the end of a line beside `\n`, and JSON leaves as it is. */
const LINE_ENDS = /[\u0085\u2028\u2029]/g;

/**
 * The same JSON without any letter that NeDB would cut its file at: a customer may write one in any text, and a file with
 * cut lines is not opened again.
 */
export function onOneLine(json: string): string {
  return json.replace(LINE_ENDS, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
