import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { eventually, givenUser, send, type TestUser } from "../helpers/client.ts";
import { ADDRESS, idOf, ordersOf, PAID } from "../helpers/orders.ts";
import { FakeParticipants } from "../helpers/participants.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const fakes = new FakeParticipants();
let shop: Shop;
let buyer: TestUser;
let filling: string;

beforeAll(async () => {
  const env = { CURRENCY: "USD", SHIPPING_FLAT: "4.90", TAX_PERCENT: "20" };
  shop = await startShop({ env, replace: fakes.services() });
});
afterAll(async () => await shop?.stop());
beforeEach(async () => {
  fakes.commands.length = 0;
  fakes.onComplete = () => {};
  filling = newId();
  buyer = await givenUser(shop);
});

const { place, get } = ordersOf(() => ({ shop, user: buyer }));
const CART = { shipping_address: ADDRESS, payment_method: "pm_card_visa" };
/** Fills the buyer's cart as it is by a revision, some of it since another. */
const givenCart = (revision: number, oldest_revision = 1) =>
  fakes.cart.set(buyer.id, {
    cart_id: `${filling}.${revision}`,
    oldest_revision,
    items: [{ product_id: 4, quantity: 1 }],
  });
const total = async () => (await get("/api/orders", buyer.token)).at("pagination", "total");

/** Places an order, and stops it at its charge. */
async function givenCharging(...[body, options]: Parameters<typeof place>) {
  const goOn = fakes.hold("charge");
  const first = place(body, options);
  await eventually(async () => fakes.commands.includes("charge"));
  const end = async () => {
    goOn();
    return await first;
  };
  return { end };
}

describe("an order whose payment is under way", () => {
  it("is in progress to who asks again under its key, and then the answer", async () => {
    const options = { headers: { "idempotency-key": newId() } };
    const charging = await givenCharging(PAID, options);
    const meanwhile = await place(PAID, options);
    expect([meanwhile.status, meanwhile.at("code")]).toEqual([409, "IDEMPOTENCY_IN_PROGRESS"]);
    const id = idOf(await charging.end());
    expect(idOf(await place(PAID, options))).toBe(id);
  });

  it("can't be cancelled meanwhile", async () => {
    const charging = await givenCharging(PAID);
    const id = String((await get("/api/orders", buyer.token)).at("orders", 0, "id"));
    const cancel = () => send(shop, "POST", `/api/orders/${id}/cancel`, {}, { token: buyer.token });
    const meanwhile = await cancel();
    expect([meanwhile.status, meanwhile.at("code")]).toEqual([409, "ORDER_IN_PROGRESS"]);
    expect((await charging.end()).at("order", "status")).toBe("confirmed");
    expect((await cancel()).at("status")).toBe("cancelled");
  });

  it("is in progress to a second click, which is answered with it if the cart was not told", async () => {
    givenCart(1);
    const charging = await givenCharging(CART);
    const meanwhile = await place(CART);
    expect([meanwhile.status, meanwhile.at("code")]).toEqual([409, "ORDER_IN_PROGRESS"]);
    const id = idOf(await charging.end());
    givenCart(1);
    const later = await place(CART);
    expect([later.status, idOf(later), later.headers.get("idempotent-replayed")]).toEqual([201, id, "true"]);
  });

  it("takes nothing out of a cart that has changed since: its card may be declined", async () => {
    const completed: string[] = [];
    fakes.onComplete = (cartId) => completed.push(cartId);
    fakes.charges.push("declined");
    givenCart(1);
    const charging = await givenCharging(CART);
    givenCart(2);
    const meanwhile = await place(CART);
    expect([meanwhile.status, meanwhile.at("code")]).toEqual([409, "ORDER_IN_PROGRESS"]);
    expect((await charging.end()).status).toBe(402);
    expect(completed).toEqual([]);
    expect((await place(CART)).status).toBe(201);
  });
});

it("is charged to its customer in full: with shipping and tax, in the shop's currency", async () => {
  const order_id = idOf(await place(PAID));
  const charge = { key: `${order_id}:charge:1`, order_id, user_id: buyer.id };
  expect(fakes.wanted.at(-1)).toEqual({ ...charge, amount: (500 + 490) * 1.2, currency: "USD" });
});

describe("an order that its cart was not told of", () => {
  it("stands, and leaves what was put in since to another order", async () => {
    givenCart(1);
    fakes.onComplete = () => {
      throw new Error("the cart is away");
    };
    expect((await place(CART)).status).toBe(201);
    givenCart(2);
    fakes.onComplete = (cartId) => {
      if (cartId === `${filling}.1`) givenCart(3, 2);
    };
    expect((await place(CART)).status).toBe(201);
    expect(await total()).toBe(2);
  });
});
