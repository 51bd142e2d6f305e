import { describe, expect, test } from "@jest/globals";
import {
  readSandboxWebhook,
  SANDBOX_SIGNATURE,
  signSandboxWebhook,
} from "../../services/payments/providers/sandbox-webhook.ts";

const SECRET = "a secret that only the sandbox has";
const body = JSON.stringify({
  id: "evt_1",
  type: "refund.succeeded",
  data: { idempotency_key: "order:cancel", amount: 1 },
  livemode: false,
});
const now = () => Math.floor(Date.now() / 1000);

function read(signature: string | undefined, rawBody = body) {
  return readSandboxWebhook(
    SECRET,
    rawBody,
    signature === undefined ? {} : { [SANDBOX_SIGNATURE]: signature },
  );
}

describe("signSandboxWebhook", () => {
  test("is the hex HMAC-SHA256 of the time, a dot and the body", () => {
    // printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    expect(signSandboxWebhook("key", "{}", 1_700_000_000)).toBe(
      "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae",
    );
  });
});

describe("readSandboxWebhook", () => {
  test("takes an event for what it points at, and nothing it claims", () => {
    expect(read(signSandboxWebhook(SECRET, body, now()))).toEqual({
      id: "evt_1",
      about: "refund",
      key: "order:cancel",
    });
  });

  test.each([-299, 0, 299])("takes a signature that is %i s old", (age) => {
    expect(read(signSandboxWebhook(SECRET, body, now() - age)).id).toBe("evt_1");
  });

  test.each([-302, 302, 1e9])("refuses a signature that is %i s old", (age) => {
    expect(() => read(signSandboxWebhook(SECRET, body, now() - age))).toThrow(
      expect.objectContaining({ type: "INVALID_SIGNATURE" }),
    );
  });

  const good = signSandboxWebhook(SECRET, body, now());
  test.each([
    ["none", undefined],
    ["an empty one", ""],
    ["upper case", good.toUpperCase()],
    ["two digests", `${good},v1=${"0".repeat(64)}`],
    ["no time", good.replace(/t=\d+,/, "")],
    ["a time that is no number", good.replace(/t=\d+/, "t=NaN")],
    ["another time", good.replace(/t=(\d+)/, (_all, t) => `t=${Number(t) + 1}`)],
    ["a space", ` ${good}`],
  ])("refuses a signature that is %s", (_what, signature) => {
    expect(() => read(signature)).toThrow(expect.objectContaining({ type: "INVALID_SIGNATURE" }));
  });

  test("looks at the signature before the body", () => {
    expect(() => read(signSandboxWebhook("another", "{", now()), "{")).toThrow(
      expect.objectContaining({ type: "INVALID_SIGNATURE" }),
    );
    expect(() => read(signSandboxWebhook(SECRET, "{", now()), "{")).toThrow(
      expect.objectContaining({ type: "MALFORMED_REQUEST" }),
    );
  });
});
