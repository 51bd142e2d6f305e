import { describe, expect, test } from "@jest/globals";
import { periodOf, slicesOf } from "../../services/analytics/period.ts";

const NOW = new Date("2026-11-20T10:30:00.000Z");
const shown = (given: { from?: string; to?: string }) => {
  const { from, to } = periodOf(given, NOW);
  return [from.toISOString(), to.toISOString()];
};

describe("a period", () => {
  test.each([
    ["nothing", {}, "2026-10-22T00:00:00.000Z", "2026-11-20T10:30:00.000Z"],
    [
      "days",
      { from: "2026-11-01", to: "2026-11-02" },
      "2026-11-01T00:00:00.000Z",
      "2026-11-02T23:59:59.999Z",
    ],
    [
      "one day",
      { from: "2026-11-01", to: "2026-11-01" },
      "2026-11-01T00:00:00.000Z",
      "2026-11-01T23:59:59.999Z",
    ],
    [
      "times",
      { from: "2026-11-01T12:00:00Z", to: "2026-11-01T14:00:00+01:00" },
      "2026-11-01T12:00:00.000Z",
      "2026-11-01T13:00:00.000Z",
    ],
    ["an end only", { to: "2026-02-10" }, "2026-01-12T00:00:00.000Z", "2026-02-10T23:59:59.999Z"],
    [
      "a leap day",
      { from: "2024-02-29", to: "2024-02-29" },
      "2024-02-29T00:00:00.000Z",
      "2024-02-29T23:59:59.999Z",
    ],
  ])("of %s", (_, given, from, to) => {
    expect(shown(given)).toEqual([from, to]);
  });

  test.each([
    ["ends before it begins", { from: "2026-11-02", to: "2026-11-01" }],
    ["begins after now", { from: "2026-11-21" }],
    ["names a day that is none", { from: "2026-02-30", to: "2026-03-05" }],
    ["names a month that is none", { to: "2026-13-01" }],
    ["is longer than 366 days", { from: "2025-01-01", to: "2026-01-02" }],
  ])("that %s is refused", (_, given) => {
    expect(() => periodOf(given, NOW)).toThrow(
      expect.objectContaining({ type: "VALIDATION_FAILED", code: 422 }),
    );
  });

  test("may be 366 days long", () => {
    expect([...slicesOf(periodOf({ from: "2025-01-01", to: "2026-01-01" }, NOW))]).toHaveLength(366);
  });

  test("falls into its days without a gap or an overlap", () => {
    const slices = [...slicesOf(periodOf({ from: "2026-02-27T18:00:00Z", to: "2026-03-01T06:00:00Z" }, NOW))];
    expect(slices).toEqual([
      { day: "2026-02-27", from: "2026-02-27T18:00:00.000Z", to: "2026-02-27T23:59:59.999Z" },
      { day: "2026-02-28", from: "2026-02-28T00:00:00.000Z", to: "2026-02-28T23:59:59.999Z" },
      { day: "2026-03-01", from: "2026-03-01T00:00:00.000Z", to: "2026-03-01T06:00:00.000Z" },
    ]);
  });
});
