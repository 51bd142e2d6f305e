import { createInterface } from "node:readline";
import Type from "typebox";
import { Check } from "typebox/value";
import { Product } from "../../services/products/products.contract.ts";
import type { Client } from "../lib/client.ts";
import { CliError, EXIT, ShopRefused } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { patiently } from "../lib/patience.ts";
import { openMeter } from "../lib/progress.ts";
import { type Format, formatOf, openFile } from "../lib/rows.ts";
import { withSession } from "../lib/session.ts";
import type { StockImportOptions } from "./stock.ts";

const StockLine = Type.Object({
  product_id: Type.Integer({ minimum: 1 }),
  quantity: Type.Integer({ minimum: 0 }),
});

interface Counts {
  set: number;
  rejected: { line: number; error: string }[];
}

/** Sets what is on hand, a line a product: the shop has no way to take stock alone in bulk. @returns the exit code */
export async function importStock(file: string, options: StockImportOptions, io: Io): Promise<number> {
  const format = formatOf(options.format, file);
  const { source } = file === "-" ? { source: io.stdin } : await openFile(file);
  // Not before somebody reads: readline lets go of lines that nobody waits for.
  const open = () => createInterface({ input: source });
  const meter = await openMeter(io, { unit: "product", json: options.json });
  const counts: Counts = { set: 0, rejected: [] };
  try {
    if (options.dryRun) await eachLine(open(), format, counts, async () => undefined);
    else
      await withSession(options, io, ({ client }) =>
        eachLine(open(), format, counts, async (line) => {
          await patiently(() => put(client, line), io.signal);
          meter.update(counts.set + 1);
        }),
      );
  } finally {
    await meter.end();
    source.destroy();
  }
  if (options.json) io.printLine({ type: "summary", dry_run: options.dryRun === true, ...counts });
  else {
    for (const { line, error } of counts.rejected) io.say(`line ${line}: ${error}`);
    io.print(`${counts.set} ${options.dryRun ? "would be set" : "set"}, ${counts.rejected.length} rejected.`);
  }
  return counts.rejected.length === 0 ? EXIT.ok : EXIT.failed;
}

async function put(client: Client, { product_id, quantity }: { product_id: number; quantity: number }) {
  await client.request("PUT", `/api/products/${product_id}/stock`, Product, { body: { quantity } });
}

async function eachLine(
  lines: AsyncIterable<string>,
  format: Format,
  counts: Counts,
  take: (line: { product_id: number; quantity: number }) => Promise<void>,
): Promise<void> {
  let number = 0;
  let header: string[] | undefined;
  for await (const text of lines) {
    number++;
    if (text.trim() === "") continue;
    if (format === "csv" && !header) {
      header = text.split(",").map((name) => name.trim());
      if (!header.includes("product_id") || !header.includes("quantity")) {
        throw new CliError("The first line must name the columns product_id and quantity.");
      }
      continue;
    }
    const line = header ? fromCells(header, text) : fromJson(text);
    if (!Check(StockLine, line)) {
      counts.rejected.push({ line: number, error: "it needs a product_id and a quantity from 0" });
      continue;
    }
    try {
      await take(line);
      counts.set++;
    } catch (error) {
      // Whose login is refused once is refused at each line.
      if (!(error instanceof ShopRefused) || error.status >= 500 || [401, 403].includes(error.status))
        throw error;
      counts.rejected.push({ line: number, error: error.message });
    }
  }
}

/** Only numbers are read: a SKU that holds a comma stands in quotes and is passed over. */
function fromCells(header: readonly string[], text: string): unknown {
  const cells = text.match(/("([^"]|"")*"|[^,]*)(,|$)/g)?.map((cell) => cell.replace(/,$/, "").trim()) ?? [];
  const number = (name: string) => {
    const cell = cells[header.indexOf(name)] ?? "";
    return cell === "" ? undefined : Number(cell);
  };
  return { product_id: number("product_id"), quantity: number("quantity") };
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
