import { expect, test } from "@jest/globals";
import { fellLow } from "../../services/inventory/low-stock.ts";
import { noStock } from "../../services/inventory/stock-level.ts";

test.each([
  { before: 6, after: 5, low: true, why: "from above to the threshold" },
  { before: 9, after: 0, low: true, why: "from above to nothing" },
  { before: 7, after: 6, low: false, why: "it stays above" },
  { before: 5, after: 4, low: false, why: "it was low already" },
  { before: 4, after: 5, low: false, why: "it rises to the threshold" },
  { before: 5, after: 6, low: false, why: "it rises above" },
])("$before → $after is a fall to low: $low ($why)", ({ before, after, low }) => {
  const level = { ...noStock(1), available: after };
  expect(fellLow({ level, available_before: before }, 5)).toBe(low);
});
