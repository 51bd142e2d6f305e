/**
 * `node cli-batch.ts <JSON of command lines>`: runs each with the `main` of `molecart`, one after the other in this
 * process, and prints what each wrote, as one JSON array of `Run`s.
 */
import { main } from "../../cli/program.ts";

const lines: string[][] = JSON.parse(process.argv[2] ?? "[]");
const print = process.stdout.write.bind(process.stdout);
const runs = [];
for (const args of lines) {
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    process[name].write = (chunk: string | Uint8Array) => {
      written[name] += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
      return true;
    };
  }
  process.exitCode = undefined;
  const started = performance.now();
  await main([process.execPath, "molecart", ...args]);
  process.stdout.removeAllListeners("error"); // each `main` brings its own
  runs.push({ code: Number(process.exitCode ?? 0), ...written, took: performance.now() - started });
}
process.exitCode = 0;
print(JSON.stringify(runs));
