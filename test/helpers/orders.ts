import { Client } from "pg";
import { type Answer, givenUser, type RequestOptions, send, type TestUser } from "./client.ts";
import type { FakeParticipants } from "./participants.ts";
import { type Shop, startShop } from "./shop.ts";

export const ADDRESS = {
  street_address: "12 Analytical Row",
  city: "London",
  postal_code: "N1 9GU",
  country: "GB",
};
/** What a customer sends who wants to pay later. */
export const PENDING = { shipping_address: ADDRESS, items: [{ product_id: 5, quantity: 1 }] };
export const PAID = { ...PENDING, payment_method: "pm_card_visa" };

export const idOf = (answer: Answer) => String(answer.at("order", "id"));

/** A shop whose orders are real and whose participants are made up, a connection to its database, and a customer. */
export async function startOrders(
  fakes: FakeParticipants,
): Promise<{ shop: Shop; db: Client; user: TestUser }> {
  const shop = await startShop({ replace: fakes.services() });
  const db = new Client({ connectionString: shop.databaseUrl });
  await db.connect();
  return { shop, db, user: await givenUser(shop) };
}

/** What a customer asks of their orders, over REST; the shop and the customer may come later. */
export function ordersOf(customer: () => { shop: Pick<Shop, "url">; user: TestUser }) {
  const place = (body: object, options: RequestOptions = {}) => {
    const { shop, user } = customer();
    return send(shop, "POST", "/api/orders", body, { token: user.token, ...options });
  };
  return {
    place,
    /** @returns the id of the order that was placed */
    givenOrder: async (body: object = PAID) => idOf(await place(body)),
    get: (path: string, token?: string) =>
      send(customer().shop, "GET", path, undefined, token === undefined ? {} : { token }),
  };
}

/** Makes a saga's lease and job due now, as if its driver had died a while ago. */
export async function driverDied(db: Pick<Client, "query">, orderId: string): Promise<void> {
  await db.query("UPDATE orders.sagas SET lease_until = now() - interval '1 second' WHERE order_id = $1", [
    orderId,
  ]);
  await db.query(
    `UPDATE pgboss.job SET start_after = now() WHERE name = 'orders-saga' AND state IN ('created', 'retry')
       AND data->>'saga_id' IN (SELECT id::text FROM orders.sagas WHERE order_id = $1)`,
    [orderId],
  );
}
