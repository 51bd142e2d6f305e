import { describe, expect, test } from "@jest/globals";
import { ValidationFailed } from "../../lib/errors.ts";
import { givenNames, newEmail, normaliseEmail, requiredNames } from "../../services/users/identity.ts";

describe("emails", () => {
  test.each([
    ["ada@example.com", "ada@example.com"],
    ["  Ada@Example.COM\t", "ada@example.com"],
    ["JOSE\u0301@example.com", "jos\u00e9@example.com"],
    ["JOSÉ@example.com", "jos\u00e9@example.com"],
  ])("%j is stored as %j", (given, stored) => {
    expect(normaliseEmail(given)).toBe(stored);
    expect(normaliseEmail(stored)).toBe(stored);
  });

  test("one that lower-casing makes too long is refused", () => {
    const at = "@example.com";
    // İ becomes two code points.
    const grows = "İ".repeat(254 - at.length) + at;
    expect([...grows]).toHaveLength(254);
    expect(() => newEmail(grows)).toThrow(ValidationFailed);
    const stays = "é".repeat(254 - at.length) + at;
    expect(newEmail(stays)).toBe(stays);
  });
});

describe("names", () => {
  test.each([
    [{ name: "Ada Lovelace" }, { first_name: "Ada", last_name: "Lovelace" }],
    [{ name: "Ada King Lovelace" }, { first_name: "Ada King", last_name: "Lovelace" }],
    [{ name: "Ada" }, { first_name: "Ada", last_name: "" }],
    [{ name: "  Ada \n Lovelace " }, { first_name: "Ada", last_name: "Lovelace" }],
    [
      { first_name: " Ada ", last_name: "King  Lovelace" },
      { first_name: "Ada", last_name: "King Lovelace" },
    ],
    [
      { name: "Ada Byron", first_name: "Augusta", last_name: "King" },
      { first_name: "Augusta", last_name: "King" },
    ],
    [
      { name: "Ada Byron", last_name: "King" },
      { first_name: "Ada", last_name: "King" },
    ],
  ])("%j are %j", (given, names) => {
    expect(requiredNames(given)).toEqual(names);
  });

  test.each([
    [{}, ["/first_name", "/last_name"]],
    [{ first_name: "Ada" }, ["/last_name"]],
    [{ last_name: "Lovelace" }, ["/first_name"]],
  ])("%j are not enough for an account", (given, paths) => {
    try {
      requiredNames(given);
      throw new Error("They were accepted.");
    } catch (error) {
      expect(error).toMatchObject({
        type: ValidationFailed.code,
        data: { violations: paths.map((path) => expect.objectContaining({ path })) },
      });
    }
  });

  test("a change takes only what was given", () => {
    expect(givenNames({})).toEqual({});
    expect(givenNames({ last_name: "King" })).toEqual({ last_name: "King" });
  });
});
