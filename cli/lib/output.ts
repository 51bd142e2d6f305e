/** Data goes to stdout, so that it can be piped; what is said about it goes to stderr. */

export function print(line = ""): void {
  process.stdout.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** `1 row`, `2 rows`, `1,234 rows` */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** Pads to a column. */
export function column(text: string, width: number): string {
  return text.padEnd(width);
}

/** `head` and `less` may close the pipe before everything is written: that is their right, and no failure. */
export function allowClosedPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
}
