import { parse } from "csv-parse/sync";
import { Compile } from "typebox/compile";
import { MalformedRequest, PayloadTooLarge, ValidationFailed } from "../../../lib/errors.ts";
import { violationsOf } from "../../../middlewares/contract.ts";
import { ImportLine } from "../products.contract.ts";
import { type BrokenRecord, MAX_RECORD, type TextRecord } from "./records.ts";

/** Why a line was not taken over, as the report says it. */
export interface Rejection {
  line: number;
  code: string;
  error: string;
}

/** A line of the import that is in order by itself. */
export interface ParsedLine {
  line: number;
  product: ImportLine;
}

type Parsed = ParsedLine | Rejection;

/** Turns the records of one stream into lines, in order: CSV's first is its header. */
export interface LineReader {
  /** undefined for the header. @throws ValidationFailed if the header can't be right */
  read(record: TextRecord | BrokenRecord): Parsed | undefined;
}

const COLUMNS = [
  "sku",
  "name",
  "description",
  "price",
  "category",
  "category_id",
  "currency",
  "images",
  "stock_quantity",
] as const;
const REQUIRED = ["sku", "name", "price"];
const NUMBERS = new Set<string>(["price", "category_id", "stock_quantity"]);
const NUMBER = /^-?\d+(\.\d+)?$/;

const PROBLEMS: Record<BrokenRecord["problem"], { code: string; error: string }> = {
  "too long": { code: PayloadTooLarge.code, error: `The line is longer than ${MAX_RECORD} bytes.` },
  "not UTF-8": { code: MalformedRequest.code, error: "The line is not valid UTF-8." },
  "open quote": { code: MalformedRequest.code, error: "The line opens a quote that is never closed." },
};

const validator = Compile(ImportLine);

export class JsonLineReader implements LineReader {
  read(record: TextRecord | BrokenRecord): Parsed {
    if ("problem" in record) return { line: record.line, ...PROBLEMS[record.problem] };
    try {
      return check(record.line, JSON.parse(record.text));
    } catch {
      return { line: record.line, code: MalformedRequest.code, error: "The line is not valid JSON." };
    }
  }
}

export class CsvLineReader implements LineReader {
  #header: string[] | undefined;

  read(record: TextRecord | BrokenRecord): Parsed | undefined {
    if ("problem" in record) {
      if (!this.#header) throw badHeader(PROBLEMS[record.problem].error);
      return { line: record.line, ...PROBLEMS[record.problem] };
    }
    const cells = cellsOf(record.text);
    if (!this.#header) {
      this.#header = headerOf(cells);
      return undefined;
    }
    if (!cells) {
      return { line: record.line, code: MalformedRequest.code, error: "The line is not valid CSV." };
    }
    const header = this.#header;
    if (cells.slice(header.length).some((cell) => cell !== "")) {
      return {
        line: record.line,
        code: ValidationFailed.code,
        error: "The line has more cells than the header.",
      };
    }
    // An empty cell says nothing.
    const values = header.flatMap((column, index) => {
      const cell = cells[index]?.trim() ?? "";
      return cell === "" ? [] : [[column, cellValue(column, cell)] as const];
    });
    return check(record.line, Object.fromEntries(values));
  }
}

function cellsOf(text: string): string[] | undefined {
  try {
    // Left to find out how lines end, it takes a carriage return anywhere for it, and the rest for a second line.
    const options = { record_delimiter: "\n", relax_quotes: true, relax_column_count: true };
    const [cells] = parse(text.endsWith("\r") ? text.slice(0, -1) : text, options);
    return cells;
  } catch {
    return undefined;
  }
}

function headerOf(cells: string[] | undefined): string[] {
  if (!cells) throw badHeader("The header is not valid CSV.");
  const header = cells.map((cell) => cell.trim().toLowerCase());
  const known: readonly string[] = COLUMNS;
  const unknown = header.filter((column) => !known.includes(column));
  if (unknown.length > 0) throw badHeader(`unknown columns: ${unknown.slice(0, 5).join(", ").slice(0, 200)}`);
  const missing = REQUIRED.filter((column) => !header.includes(column));
  if (missing.length > 0) throw badHeader(`missing columns: ${missing.join(", ")}`);
  if (new Set(header).size < header.length) throw badHeader("a column stands there twice");
  return header;
}

function badHeader(message: string): ValidationFailed {
  return new ValidationFailed({ violations: [{ path: "/header", message }] });
}

/** What is no number stays text, for the check to refuse. */
function cellValue(column: string, cell: string): string | number | string[] {
  if (column === "images") {
    return cell
      .split("|")
      .map((image) => image.trim())
      .filter((image) => image !== "");
  }
  return NUMBERS.has(column) && NUMBER.test(cell) ? Number(cell) : cell;
}

function check(line: number, product: unknown): Parsed {
  if (!validator.Check(product) || Object.hasOwn(product, "__proto__")) {
    const [first] = violationsOf(validator, product);
    const error = `${first?.path || "The line"}: ${first?.message ?? "is not valid"}.`;
    return { line, code: ValidationFailed.code, error };
  }
  if (!isStorable(product)) {
    return { line, code: MalformedRequest.code, error: "A text holds a NUL or a broken character." };
  }
  return { line, product };
}

/** Postgres takes neither a NUL nor half of a surrogate pair. */
function isStorable({ name, description = "", category = "", images = [] }: ImportLine): boolean {
  return [name, description, category, ...images].every(
    (text) => !text.includes("\0") && text.isWellFormed(),
  );
}
