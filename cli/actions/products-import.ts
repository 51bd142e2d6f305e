import type { Readable } from "node:stream";
import type { ImportReport } from "../../services/products/products.contract.ts";
import { productsContract } from "../../services/products/products.contract.ts";
import type { Client } from "../lib/client.ts";
import { CliError, EXIT, messageOf } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { plural } from "../lib/output.ts";
import { type Meter, openMeter } from "../lib/progress.ts";
import { counted, type Format, formatOf, MEDIA_TYPES, openFile } from "../lib/rows.ts";
import { withSession } from "../lib/session.ts";
import type { ImportOptions } from "./products.ts";

/** ms: as long as the shop's own limit. */
const TIMEOUT = 600_000;

/** Sends a file to the shop as a stream, and tells what became of its lines. @returns the exit code */
export async function importProducts(file: string, options: ImportOptions, io: Io): Promise<number> {
  const format = formatOf(options.format, file);
  const { source, size } = file === "-" ? { source: io.stdin, size: undefined } : await openFile(file);
  if (options.dryRun) return printReport(await checkLines(source, format), options, io);
  const meter = await openMeter(io, { unit: "byte", total: size, json: options.json });
  try {
    const report = await withSession(options, io, ({ client }) => sendLines(client, source, format, meter));
    await meter.end();
    return printReport(report, options, io);
  } finally {
    await meter.end();
    source.destroy();
  }
}

/** One request, however many lines. */
export async function sendLines(
  client: Client,
  source: Readable | AsyncIterable<Uint8Array>,
  format: Format,
  meter?: Pick<Meter, "update">,
): Promise<ImportReport> {
  let sent = 0;
  const content = counted(source, (bytes) => {
    sent += bytes;
    meter?.update(sent);
  });
  return await client.request("POST", "/api/products/import", productsContract.actions.import.result, {
    stream: { type: MEDIA_TYPES[format], content },
    timeout: TIMEOUT,
  });
}

/** What the shop's own reader says of the lines; nothing is sent. Which SKUs are known only the shop can tell. */
async function checkLines(source: Readable, format: Format) {
  const [{ RecordSplitter }, { CsvLineReader, JsonLineReader }] = await Promise.all([
    import("../../services/products/import/records.ts"),
    import("../../services/products/import/lines.ts"),
  ]);
  const splitter = new RecordSplitter({ quotes: format === "csv" });
  const reader = format === "csv" ? new CsvLineReader() : new JsonLineReader();
  const report = { dry_run: true, good: 0, rejected: [] as ImportReport["rejected"], rejected_total: 0 };
  const take = (records: ReturnType<typeof splitter.push>) => {
    for (const record of records) {
      const parsed = reader.read(record);
      if (!parsed) continue;
      if (!("code" in parsed)) report.good++;
      else if (report.rejected_total++ < 1000) report.rejected.push(parsed);
    }
  };
  try {
    for await (const chunk of counted(source, () => undefined)) take(splitter.push(Buffer.from(chunk)));
    take(splitter.end());
  } catch (error) {
    throw new CliError(`The lines can't be read: ${messageOf(error)}`);
  }
  return report;
}

function printReport(
  report: ImportReport | Awaited<ReturnType<typeof checkLines>>,
  options: ImportOptions,
  io: Io,
): number {
  const { rejected, rejected_total } = report;
  if (options.json) io.printLine({ type: "summary", ...report });
  else {
    for (const { line, code, error } of rejected) io.say(`line ${line}: ${error} (${code})`);
    const unlisted = rejected_total - rejected.length;
    if (unlisted > 0) io.say(`and ${plural(unlisted, "more line")}`);
    const what =
      "good" in report
        ? `${plural(report.good, "line")} would be taken`
        : `${report.created.toLocaleString("en-US")} created, ${report.updated.toLocaleString("en-US")} updated`;
    io.print(`${what}, ${rejected_total.toLocaleString("en-US")} rejected.`);
  }
  return rejected_total === 0 ? EXIT.ok : EXIT.failed;
}
