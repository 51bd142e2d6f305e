import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { CsvLineReader, JsonLineReader, type LineReader } from "../../services/products/import/lines.ts";
import { MAX_RECORD, RecordSplitter } from "../../services/products/import/records.ts";

/** Cuts bytes that come in chunks of `size`. */
function cut(bytes: Buffer | string, { quotes = false, size = 1 << 16 } = {}) {
  const splitter = new RecordSplitter({ quotes });
  const buffer = Buffer.from(bytes);
  const records = [];
  for (let at = 0; at < buffer.length; at += size)
    records.push(...splitter.push(buffer.subarray(at, at + size)));
  return [...records, ...splitter.end()];
}
const csv = (bytes: Buffer | string, size?: number) => cut(bytes, { quotes: true, size });

describe("cutting a stream into records", () => {
  test.each([1, 2, 3, 7, 1000])("lines in chunks of %i bytes", (size) => {
    expect(cut("\ufeffé1\r\n\n  \nß2\n土3", { size })).toEqual([
      { line: 1, text: "é1\r" },
      { line: 4, text: "ß2" },
      { line: 5, text: "土3" },
    ]);
  });

  test.each([1, 2, 3, 7, 1000])("quoted line breaks, commas and quotes in chunks of %i bytes", (size) => {
    expect(csv('\ufeff"a\nb",1\n"c ""d""\n,e",2\nf"g,3\nh,"i"\n', size)).toEqual([
      { line: 1, text: '"a\nb",1' },
      { line: 3, text: '"c ""d""\n,e",2' },
      { line: 5, text: 'f"g,3' },
      { line: 6, text: 'h,"i"' },
    ]);
  });

  test("nothing comes of nothing", () => {
    for (const bytes of ["", "\n", "\ufeff", "\r\n \n"]) expect([cut(bytes), csv(bytes)]).toEqual([[], []]);
  });

  test("a record that is not UTF-8 is told from its neighbours", () => {
    const bytes = Buffer.concat([
      Buffer.from("a\n"),
      Buffer.from([0x62, 0xff, 0x0a]),
      Buffer.from("c\n"),
      Buffer.from([0xc3]),
    ]);
    for (const size of [1, 1000]) {
      expect(cut(bytes, { size })).toEqual([
        { line: 1, text: "a" },
        { line: 2, problem: "not UTF-8" },
        { line: 3, text: "c" },
        { line: 4, problem: "not UTF-8" },
      ]);
    }
  });

  test.each([
    ["one byte too long", MAX_RECORD + 1],
    ["many times too long", MAX_RECORD * 3 + 17],
  ])("a line %s is passed over, and no other", (_, length) => {
    const long = Buffer.concat([Buffer.from("a\n"), Buffer.alloc(length, "x"), Buffer.from("\nb\nc")]);
    const expected = [
      { line: 1, text: "a" },
      { line: 2, problem: "too long" },
      { line: 3, text: "b" },
      { line: 4, text: "c" },
    ];
    expect(cut(long)).toEqual(expected);
    expect(csv(long)).toEqual(expected);
    expect(cut(long, { size: 1 << 24 })).toEqual(expected);
  });

  test("the longest line is taken, also as the last", () => {
    const longest = "x".repeat(MAX_RECORD);
    expect(cut(`${longest}\n${longest}`).map((record) => "text" in record && record.text.length)).toEqual([
      MAX_RECORD,
      MAX_RECORD,
    ]);
    expect(cut(`a\n${longest}x`)).toEqual([
      { line: 1, text: "a" },
      { line: 2, problem: "too long" },
    ]);
  });

  test("a quote that never closes costs its own line only", () => {
    const rest = Array.from({ length: 50_000 }, (_, n) => `row ${n},some more text`);
    for (const lines of [rest.slice(0, 3), rest]) {
      const records = csv(`head,er\nx,"never closed\n${lines.join("\n")}\n`);
      expect(records.slice(0, 3)).toEqual([
        { line: 1, text: "head,er" },
        { line: 2, problem: "open quote" },
        { line: 3, text: lines[0] },
      ]);
      expect(records).toHaveLength(lines.length + 2);
      expect(records.at(-1)).toEqual({ line: lines.length + 2, text: lines.at(-1) });
    }
    expect(csv('a\n"')).toEqual([
      { line: 1, text: "a" },
      { line: 2, problem: "open quote" },
    ]);
  });

  test("how the bytes are cut into chunks makes no difference", () => {
    const text = fc.array(fc.constantFrom('"', ",", "\n", "\r", "a", "é", " "), { maxLength: 60 });
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 20 }), fc.boolean(), (parts, size, quotes) => {
        const bytes = parts.join("");
        expect(cut(bytes, { quotes, size })).toEqual(cut(bytes, { quotes }));
      }),
    );
  });

  test("no line is lost: every character stands in a record or in a line given up", () => {
    const lines = fc.array(fc.constantFrom("a,b", '"q"', 'x"y', "", "é"), { maxLength: 20 });
    fc.assert(
      fc.property(lines, (parts) => {
        const records = csv(parts.join("\n"));
        const texts = records.flatMap((record) => ("text" in record ? [record.text] : []));
        expect(texts).toEqual(parts.filter((line) => line !== ""));
      }),
    );
  });
});

function readAll(reader: LineReader, ...texts: string[]) {
  return texts.map((text, index) => reader.read({ line: index + 1, text }));
}

describe("reading a line of NDJSON", () => {
  const whole = {
    sku: "A-1",
    name: "Café",
    description: "",
    price: 1.99,
    currency: "EUR",
    category_id: 1,
    category: "x",
    images: ["/1.jpg"],
    stock_quantity: 0,
  };

  test("takes a product, whole or as little as there must be", () => {
    const least = { sku: "A-1", name: "Café", price: 0 };
    expect(readAll(new JsonLineReader(), JSON.stringify(whole), JSON.stringify(least))).toEqual([
      { line: 1, product: whole },
      { line: 2, product: least },
    ]);
  });

  test.each([
    ["{", "MALFORMED_REQUEST", /JSON/],
    ["nonsense", "MALFORMED_REQUEST", /JSON/],
    ["[]", "VALIDATION_FAILED", /./],
    ["5", "VALIDATION_FAILED", /./],
    ["null", "VALIDATION_FAILED", /./],
    ['{"name":"x","price":1}', "VALIDATION_FAILED", /sku/],
    ['{"sku":"A","name":"","price":1}', "VALIDATION_FAILED", /^\/name: /],
    ['{"sku":"A","name":"x","price":"1"}', "VALIDATION_FAILED", /^\/price: /],
    ['{"sku":"A","name":"x","price":1.999}', "VALIDATION_FAILED", /two decimal places/],
    ['{"sku":"A","name":"x","price":19.9999999999}', "VALIDATION_FAILED", /two decimal places/],
    ['{"sku":"A","name":"x","price":1,"stock":5}', "VALIDATION_FAILED", /stock/],
    ['{"sku":"A","name":"x","price":1,"stock_quantity":-1}', "VALIDATION_FAILED", /^\/stock_quantity: /],
    ['{"sku":"A","name":"x\\u0000","price":1}', "MALFORMED_REQUEST", /NUL/],
    ['{"sku":"A","name":"x","price":1,"images":["\\ud800"]}', "MALFORMED_REQUEST", /broken/],
    ['{"__proto__":{"price":1},"sku":"A","name":"x","price":1}', "VALIDATION_FAILED", /./],
  ])("refuses %s", (text, code, error) => {
    expect(new JsonLineReader().read({ line: 7, text })).toEqual({
      line: 7,
      code,
      error: expect.stringMatching(error),
    });
  });

  test.each([
    ["too long", "PAYLOAD_TOO_LARGE"],
    ["not UTF-8", "MALFORMED_REQUEST"],
  ] as const)("a line that is %s is refused", (problem, code) => {
    expect(new JsonLineReader().read({ line: 7, problem })).toEqual({
      line: 7,
      code,
      error: expect.any(String),
    });
  });
});

describe("reading a line of CSV", () => {
  test("goes by the header, and an empty cell says nothing", () => {
    const reader = new CsvLineReader();
    const lines = readAll(
      reader,
      " SKU,price,Name,images,stock_quantity,category_id,category,description,currency\r",
      'A-1,1.99,"Café, ""grand""",/1.jpg| /2.jpg |,5,7,Tea,"two\nlines",EUR\r',
      "A-2,2,Cup",
      'A-3,3,27" monitor,,,,,,,,',
    );
    expect(lines).toEqual([
      undefined,
      {
        line: 2,
        product: {
          sku: "A-1",
          price: 1.99,
          name: 'Café, "grand"',
          images: ["/1.jpg", "/2.jpg"],
          stock_quantity: 5,
          category_id: 7,
          category: "Tea",
          description: "two\nlines",
          currency: "EUR",
        },
      },
      { line: 3, product: { sku: "A-2", price: 2, name: "Cup" } },
      { line: 4, product: { sku: "A-3", price: 3, name: '27" monitor' } },
    ]);
  });

  test("a carriage return inside a line ends no line: nothing after it is lost", () => {
    const reader = new CsvLineReader();
    expect(readAll(reader, "sku,name,price\r", "A-1,Big\rcup,1.99\r", 'A-2,"Small\r\ncup",2\r')).toEqual([
      undefined,
      { line: 2, product: { sku: "A-1", name: "Big\rcup", price: 1.99 } },
      { line: 3, product: { sku: "A-2", name: "Small\r\ncup", price: 2 } },
    ]);
  });

  test.each([
    ["A,x,cheap", "VALIDATION_FAILED", /^\/price: /],
    ["A,x,1e3", "VALIDATION_FAILED", /^\/price: /],
    ["A,x,-1", "VALIDATION_FAILED", /^\/price: /],
    ["A,x,1.999", "VALIDATION_FAILED", /two decimal places/],
    ["A,,1", "VALIDATION_FAILED", /name/],
    ["A,x,1,surplus", "VALIDATION_FAILED", /more cells/],
    ["A", "VALIDATION_FAILED", /name/],
    ["A,x\0,1", "MALFORMED_REQUEST", /NUL/],
  ])("refuses %j", (text, code, error) => {
    const reader = new CsvLineReader();
    readAll(reader, "sku,name,price");
    expect(reader.read({ line: 9, text })).toEqual({ line: 9, code, error: expect.stringMatching(error) });
  });

  test.each([
    ["sku,name", /price/],
    ["sku,name,price,colour", /colour/],
    ["sku,name,price,sku", /twice/],
    ["sku,name,price\rA-1,Cup,1.99\r", /unknown columns: price\rA-1|unknown columns: price\ra-1/],
    ["A-1,Cup,1.99", /A-1|a-1/],
    ["__proto__,name,price", /__proto__/],
  ])("refuses the whole stream for the header %s", (header, message) => {
    expect(() => new CsvLineReader().read({ line: 1, text: header })).toThrow(message);
  });

  test("refuses the whole stream for a header that can't be read", () => {
    expect(() => new CsvLineReader().read({ line: 1, problem: "too long" })).toThrow(/longer than/);
  });
});
