import { describe, expect, test } from "@jest/globals";
import { hash } from "@node-rs/argon2";
import { ValidationFailed } from "../../lib/errors.ts";
import { checkRules, isOutdated, Passwords } from "../../services/users/passwords.ts";

describe("PASSWORD_REQUIRE", () => {
  const all = ["upper", "lower", "digit", "symbol"];
  test.each([
    ["correct horse battery", []],
    ["Corr3ct-horse", all],
    ["Пароль1!", all],
    ["ПАРОЛЬпароль", ["upper", "lower"]],
  ])("%j keeps the rules %j", (password, rules) => {
    expect(() => checkRules(password, rules)).not.toThrow();
  });

  test.each([
    ["correct-h0rse", "upper"],
    ["CORRECT-H0RSE", "lower"],
    ["Correct-horse", "digit"],
    ["Corr3ct horse", "symbol"],
  ])("%j breaks the rule %s alone", (password, rule) => {
    expect(() => checkRules(password, [rule])).toThrow(ValidationFailed);
    expect(() =>
      checkRules(
        password,
        all.filter((other) => other !== rule),
      ),
    ).not.toThrow();
  });

  test("each broken rule is told, with the path", () => {
    try {
      checkRules("        ", all);
      throw new Error("It was accepted.");
    } catch (error) {
      const violations = all.map(() => ({ path: "/password", message: expect.stringMatching(/^must have/) }));
      expect(error).toMatchObject({ type: ValidationFailed.code, data: { violations } });
    }
  });
});

describe("hashes", () => {
  const passwords = new Passwords();

  test("are argon2id at 19 MiB, two passes, one lane, with a salt of their own", async () => {
    const [one, other] = await Promise.all([
      passwords.hash("a-good-password"),
      passwords.hash("a-good-password"),
    ]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(one).not.toBe(other);
  });

  test("match their password and no other", async () => {
    const stored = await passwords.hash("a-good-password");
    expect(await passwords.verify(stored, "a-good-password")).toBe(true);
    expect(await passwords.verify(stored, "a-good-passwore")).toBe(false);
    expect(await passwords.verify(stored, "a-good-password ")).toBe(false);
    expect(await passwords.verify(stored, "")).toBe(false);
  });

  test("don't depend on how a keyboard spells an accent", async () => {
    expect(await passwords.verify(await passwords.hash("caf\u00e9-au-lait"), "cafe\u0301-au-lait")).toBe(
      true,
    );
  });

  test("nobody's hash matches nothing", async () => {
    expect(await passwords.verify(undefined, "a-good-password")).toBe(false);
    expect(await passwords.verify(undefined, "")).toBe(false);
  });

  test("of today's parameters are kept, others are outdated", async () => {
    expect(isOutdated(await passwords.hash("a-good-password"))).toBe(false);
    expect(isOutdated(await hash("a-good-password", { memoryCost: 8192 }))).toBe(true);
    expect(isOutdated(await hash("a-good-password", { timeCost: 3 }))).toBe(true);
    expect(isOutdated(await hash("a-good-password", { parallelism: 2 }))).toBe(true);
    expect(isOutdated(await hash("a-good-password", { algorithm: 1 }))).toBe(true);
  });

  test("more than may wait are refused, the others are made", async () => {
    const few = new Passwords({ concurrency: 2, queue: 2 });
    const answers = await Promise.allSettled([1, 2, 3, 4, 5].map(() => few.verify(undefined, "x")));
    expect(answers.map((answer) => answer.status)).toEqual([...Array(4).fill("fulfilled"), "rejected"]);
  });
});
