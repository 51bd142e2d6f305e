import { describe, expect, it } from "@jest/globals";
import { clip, pad, table, widthOf } from "../../cli/lib/output.ts";

describe("the width of a text in a terminal", () => {
  it.each([
    ["Kōri", 4],
    ["Ko\u0304ri", 4],
    ["土鍋", 4],
    ["ｆｕｌｌ", 8],
    ["한글", 4],
    ["🛒 2", 4],
    ["✓ …", 3],
    ["", 0],
  ])("%s: %d columns", (text, width) => expect(widthOf(text)).toBe(width));

  it("is what it is cut and filled to", () => {
    expect(clip("Donabe rice cooker", 18)).toBe("Donabe rice cooker");
    expect(clip("Donabe rice cooker", 8)).toBe("Donabe …");
    // Half a letter is none.
    expect([clip("土鍋土鍋", 6), clip("土鍋土鍋", 7)]).toEqual(["土鍋…", "土鍋土…"]);
    expect([pad("土", 4), pad("土", 4, { before: true }), pad("long", 2)]).toEqual(["土  ", "  土", "long"]);
  });
});

describe("a table", () => {
  it("has figures to the right and words to the left", () => {
    expect(
      table(
        ["name", "price", "up", "left", "note", "version"],
        [
          ["土鍋", "9.80 EUR", "1 h 5 min", 7, "-", "0.1.0"],
          ["Pan", "129.00 EUR", "-", 120, "-", "0.10.0"],
        ],
      ),
    ).toEqual([
      "name       price         up  left  note  version",
      "土鍋    9.80 EUR  1 h 5 min     7  -     0.1.0",
      "Pan   129.00 EUR          -   120  -     0.10.0",
    ]);
  });

  it("shows nothing of what a terminal would obey, and nothing at all without rows", () => {
    expect(table(["name"], [["a\u001b[31mred\n"]])).toEqual(["name", "a [31mred"]);
    expect(table(["name"], [])).toEqual([]);
  });
});
