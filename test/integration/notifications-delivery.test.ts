import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { adminToken, eventually, givenUser, send } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;

beforeAll(async () => {
  shop = await startShop();
});
afterAll(() => shop.stop());

test("a new user's welcome comes by the durable event, once", async () => {
  const token = await adminToken(shop);
  const user = await givenUser(shop);
  const path = `/api/admin/outbox?to=${encodeURIComponent(user.email)}`;
  const mail = await eventually(async () => {
    const answer = await send(shop, "GET", path, undefined, { token });
    return answer.at("pagination", "total") === 0 ? undefined : answer;
  });
  expect(mail.status).toBe(200);
  expect(mail.at("messages")).toMatchObject([
    { channel: "email", to: user.email, subject: "Welcome to Molecart", status: "kept" },
  ]);
});
