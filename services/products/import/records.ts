/** The longest record of an import, in bytes. */
export const MAX_RECORD = 1_000_000;

const LF = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/** A line of NDJSON, or a CSV record, which may span lines. */
export interface TextRecord {
  /** Where it begins, from 1. */
  line: number;
  text: string;
}
export interface BrokenRecord {
  line: number;
  problem: "too long" | "not UTF-8" | "open quote";
}

/**
 * Cuts a stream of bytes into records, holding one record at most: what is longer than {@link MAX_RECORD} is passed over
 * as it comes. Works on bytes because only so a record that is not UTF-8 can be told from its neighbours.
 *
 * A CSV field that opens a quote and never closes it would swallow the rest of the file. Its first line alone is given
 * up then, and what follows is read anew.
 */
export class RecordSplitter {
  readonly #quotes: boolean;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #buffer: Buffer = Buffer.alloc(0);
  /** Up to where the buffer has been looked at, and in what state of CSV that left off. */
  #scanned = 0;
  #inQuotes = false;
  #mayOpen = true;
  #line = 1;
  #passingOver = false;
  #started = false;

  /** @param quotes whether a quoted field may hold line breaks, as in CSV */
  constructor({ quotes }: { quotes: boolean }) {
    this.#quotes = quotes;
  }

  /** Takes the next bytes. @returns the records that end in them; blank ones are left out */
  push(chunk: Buffer): (TextRecord | BrokenRecord)[] {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    return this.#started || this.#skipBom() ? this.#cut() : [];
  }

  /** The stream has ended: whatever is left is the last record. */
  end(): (TextRecord | BrokenRecord)[] {
    const records = this.#cut();
    while (this.#buffer.length > 0) {
      if (this.#inQuotes) records.push(...this.#giveUpQuote(), ...this.#cut());
      else {
        records.push(...this.#take(this.#buffer.length));
        this.#buffer = Buffer.alloc(0);
      }
    }
    return records;
  }

  /** @returns false while too little came to tell */
  #skipBom(): boolean {
    const start = this.#buffer.subarray(0, BOM.length);
    if (start.length < BOM.length && BOM.subarray(0, start.length).equals(start)) return false;
    this.#started = true;
    if (start.equals(BOM)) this.#buffer = this.#buffer.subarray(BOM.length);
    return true;
  }

  #cut(): (TextRecord | BrokenRecord)[] {
    const records: (TextRecord | BrokenRecord)[] = [];
    for (;;) {
      const end = this.#findEnd();
      if (end !== -1) {
        records.push(...this.#take(end));
        this.#drop(end + 1);
      } else if (this.#buffer.length <= MAX_RECORD) return records;
      else if (this.#inQuotes) records.push(...this.#giveUpQuote());
      else {
        if (!this.#passingOver) records.push({ line: this.#line, problem: "too long" });
        this.#passingOver = true;
        this.#drop(this.#buffer.length);
      }
    }
  }

  /** Where the line break that ends the record stands, or -1. */
  #findEnd(): number {
    if (!this.#quotes || this.#passingOver) {
      const end = this.#buffer.indexOf(LF, this.#scanned);
      this.#scanned = this.#buffer.length;
      return end;
    }
    for (let at = this.#scanned; at < this.#buffer.length; at++) {
      const byte = this.#buffer[at];
      if (this.#inQuotes) {
        // A second quote opens again at once: that is how a quote is written inside quotes.
        if (byte === QUOTE) {
          this.#inQuotes = false;
          this.#mayOpen = true;
        }
      } else if (byte === LF) {
        return at;
      } else {
        this.#inQuotes = byte === QUOTE && this.#mayOpen;
        this.#mayOpen = byte === COMMA;
      }
    }
    this.#scanned = this.#buffer.length;
    return -1;
  }

  /** The record that ends at `end`, if it is one. */
  #take(end: number): (TextRecord | BrokenRecord)[] {
    if (this.#passingOver) return [];
    const line = this.#line;
    if (end > MAX_RECORD) return [{ line, problem: "too long" }];
    try {
      const text = this.#decoder.decode(this.#buffer.subarray(0, end));
      return text.trim() === "" ? [] : [{ line, text }];
    } catch {
      return [{ line, problem: "not UTF-8" }];
    }
  }

  /** Gives up the first line of a record whose quote never closes. */
  #giveUpQuote(): BrokenRecord[] {
    const line = this.#line;
    const end = this.#buffer.indexOf(LF);
    this.#passingOver = end === -1;
    this.#drop(end === -1 ? this.#buffer.length : end + 1);
    return [{ line, problem: "open quote" }];
  }

  /** Goes on behind the first `length` bytes. */
  #drop(length: number): void {
    const dropped = this.#buffer.subarray(0, length);
    for (let at = dropped.indexOf(LF); at !== -1; at = dropped.indexOf(LF, at + 1)) this.#line++;
    if (dropped.at(-1) === LF) this.#passingOver = false;
    this.#buffer = this.#buffer.subarray(length);
    this.#scanned = 0;
    this.#inQuotes = false;
    this.#mayOpen = true;
  }
}
