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

/** Cuts what doesn't fit, and says so. */
export function clip(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

/** What a terminal would obey rather than show has no place in a line. */
export function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
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
  const widths = headers.map((_, index) => Math.max(...all.map((row) => row[index]?.length ?? 0)));
  const isNumber = headers.map(
    (_, index) =>
      rows.every((row) => typeof row[index] === "number" || QUANTITY.test(String(row[index]))) &&
      rows.some((row) => row[index] !== "-"),
  );
  return all.map((row) =>
    row
      .map((cell, index) =>
        isNumber[index] ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
      )
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
