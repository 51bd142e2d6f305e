/** How figures and tables are written, in the terminal as in a pipe. */

/** `1 row`, `2 rows`, `1,234 rows` */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** `29.99 EUR` @param amount decimal, as on the wire */
export function money(amount: number, currency: string): string {
  return `${amount.toFixed(2)} ${currency}`;
}

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h` @param seconds */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** `213 MB` */
export function bytes(count: number): string {
  if (count < 1e3) return `${count} B`;
  if (count < 1e6) return `${(count / 1e3).toFixed(1)} kB`;
  return count < 1e9 ? `${(count / 1e6).toFixed(0)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

/** East Asian wide letters and emoji. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]/u;
const COMBINING = /^[\p{Mn}\p{Me}\p{Cf}]/u;

/** Columns that it takes in a terminal. */
export function widthOf(text: string): number {
  let width = 0;
  for (const letter of text) width += WIDE.test(letter) ? 2 : COMBINING.test(letter) ? 0 : 1;
  return width;
}

/** Cuts what doesn't fit, and says so. */
export function clip(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let cut = "";
  for (const letter of text) {
    if (widthOf(cut + letter) > width - 1) break;
    cut += letter;
  }
  return `${cut}…`;
}

const letters = new Intl.Segmenter();

/** Without its last letter, as a reader sees letters: half an emoji is none, and no text that a shop takes. */
export function withoutLast(text: string): string {
  return Array.from(letters.segment(text), ({ segment }) => segment)
    .slice(0, -1)
    .join("");
}

/** Blanks up to a width, at the end or before it. */
export function pad(text: string, width: number, { before = false } = {}): string {
  const blanks = " ".repeat(Math.max(0, width - widthOf(text)));
  return before ? blanks + text : text + blanks;
}

/** What a terminal would obey rather than show has no place in a line. */
export function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}

/** As {@link clean}, of text that may have lines and tabs. */
export function cleanLines(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]+/g, " ");
}

/** `8.6 ms`, `29.99 EUR`, `2 h 5 min`, and `-` where nothing is known. */
const QUANTITY = /^(-|-?[\d.,]+ [A-Za-z%]+( \d+ [a-z]+)?)$/;

/**
 * Rows in columns as wide as their widest cell, two spaces apart; numbers and quantities to the right. `headers` name
 * them.
 * @returns the lines, the header first; none where there are no rows
 */
export function table(headers: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  if (rows.length === 0) return [];
  const all = [headers, ...rows.map((row) => row.map((cell) => clean(String(cell))))];
  const widths = headers.map((_, index) => Math.max(...all.map((row) => widthOf(row[index] ?? ""))));
  const isNumber = headers.map(
    (_, index) =>
      rows.every((row) => typeof row[index] === "number" || QUANTITY.test(String(row[index]))) &&
      rows.some((row) => row[index] !== "-"),
  );
  return all.map((row) =>
    row
      .map((cell, index) => pad(cell, widths[index] ?? 0, { before: isNumber[index] }))
      .join("  ")
      .trimEnd(),
  );
}

const BARS = "▁▂▃▄▅▆▇█";

/** Values as a row of bars, the highest as high as a line: `▁▃█`. */
export function sparkline(values: readonly number[]): string {
  const top = Math.max(...values, 0);
  return values
    .map((value) => BARS[top === 0 ? 0 : Math.min(BARS.length - 1, Math.floor((value / top) * BARS.length))])
    .join("");
}
