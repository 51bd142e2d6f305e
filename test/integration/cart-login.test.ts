import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { buyerOf, newCartToken } from "../helpers/buyer.ts";
import { givenUser, send } from "../helpers/client.ts";
import { FakeMarket } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const market = new FakeMarket();
let shop: Shop;

beforeAll(async () => {
  shop = await startShop({ replace: market.services });
});
afterAll(() => shop.stop());

test("what a guest put together is in the user's cart after the login, however often they log in", async () => {
  const [one, other] = [market.add(), market.add()];
  const user = await givenUser(shop);
  await buyerOf(shop, { token: user.token }).add(one, 2);
  const cartToken = newCartToken();
  const guest = buyerOf(shop, { cartToken });
  await guest.add(one, 1);
  await guest.add(other, 3);

  const { email, password } = user;
  for (const _ of [1, 2]) {
    const login = await send(
      shop,
      "POST",
      "/api/auth/login",
      { email, password },
      { headers: { "X-Cart-Token": cartToken } },
    );
    expect(login.status).toBe(200);
    const cart = await buyerOf(shop, { token: String(login.at("access_token")), cartToken }).get();
    expect(cart.at("items")).toMatchObject([
      { product_id: one, quantity: 3 },
      { product_id: other, quantity: 3 },
    ]);
  }
  expect((await guest.get()).at("items")).toEqual([]);
});
