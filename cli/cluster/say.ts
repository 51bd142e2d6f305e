/** What is said about the cluster goes to stderr; stdout is for the nodes' logs. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
