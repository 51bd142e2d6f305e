import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { requestHash } from "../../lib/stores/idempotency.ts";

/** The same value with the properties of every object in the opposite order. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, turned(inner)]),
  );
}

describe("requestHash", () => {
  test("is the SHA-256 of the canonical JSON", () => {
    // printf '{"a":[2,1],"b":{"c":null,"d":"x"}}' | sha256sum
    expect(requestHash({ b: { d: "x", c: null }, a: [2, 1] })).toBe(
      "3e838b8479d2eb579d59c3e600921957ae3358a3f0a715771b58e13ac77c7c0e",
    );
  });

  test("does not depend on the order of properties, at any depth", () => {
    fc.assert(
      fc.property(fc.object(), (params) => {
        expect(requestHash({ turned: turned(params) })).toBe(requestHash({ turned: params }));
      }),
    );
  });

  test.each([
    [{ a: 1 }, { a: 2 }],
    [{ a: 1 }, { a: "1" }],
    [{ a: [1, 2] }, { a: [2, 1] }],
    [{ a: { b: 1 } }, { a: { c: 1 } }],
    [{ a: null }, {}],
    [{ a: [1] }, { a: { 0: 1 } }],
  ])("tells %j from %j", (one, other) => {
    expect(requestHash(one)).not.toBe(requestHash(other));
  });
});
