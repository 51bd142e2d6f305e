import { expect } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { deadEventQueue, eventQueue } from "../../lib/stores/event-jobs.ts";
import { signSandboxWebhook } from "../../services/payments/providers/sandbox-webhook.ts";
import { eventually, givenProduct, givenUser, type Json, send, type TestUser } from "./client.ts";
import { runSql } from "./inventory.ts";
import type { Shop } from "./shop.ts";

/** A request as its route is meant to be asked. */
export interface RouteRequest {
  /** The values of the address's parameters. */
  at?: Record<string, Json>;
  body?: object | string;
  query?: string;
  headers?: Record<string, string>;
  token?: string;
  /** What the answer must show. */
  shows?: object;
}

/**
 * For each action that has a route, a request that it answers; what it needs is made first. Routes that lead to the same
 * action take the same.
 */
export function requestsOf(
  shop: Shop,
  user: TestUser,
  admin: string,
): Record<string, () => Promise<RouteRequest> | RouteRequest> {
  const ADDRESS = {
    street_address: "12 Analytical Row",
    city: "London",
    postal_code: "N1 9GU",
    country: "GB",
  };
  const ask = (method: string, path: string, body?: object, token = user.token) =>
    send(shop, method, path, body, { token });
  const asAdmin = (method: string, path: string, body?: object) => ask(method, path, body, admin);
  const product = (stock_quantity = 10) => givenProduct(shop, admin, { stock_quantity });
  const credentials = () => ({ email: `new-${newId()}@example.com`, password: "a-good-password" });

  async function addressId(): Promise<Json> {
    return (await ask("POST", "/api/users/addresses", ADDRESS)).body.id ?? null;
  }
  async function categoryId(): Promise<Json> {
    return (await asAdmin("POST", "/api/categories", { name: `Lamps ${newId()}` })).body.id ?? null;
  }
  async function checkout(): Promise<{ shipping_address: object; items: object[] }> {
    return { shipping_address: ADDRESS, items: [{ product_id: await product(), quantity: 2 }] };
  }
  /** @returns the id of an order that waits for its payment, or that is paid */
  async function order(payment_method?: string): Promise<string> {
    const { body } = await ask("POST", "/api/orders", { ...(await checkout()), payment_method });
    return String(Object(body.order).id);
  }
  async function payment(): Promise<string> {
    const answer = await ask("GET", `/api/orders/${await order("pm_card_visa")}/payments`);
    return String(answer.at("payments", 0, "id"));
  }
  async function notification(): Promise<string> {
    return await eventually(async () => {
      const id = (await ask("GET", "/api/notifications")).at("notifications", 0, "id");
      return id !== undefined && String(id);
    });
  }
  /** What is given to a guest who puts something into a cart. */
  async function cart(): Promise<{ headers: Record<string, string>; product_id: number }> {
    const product_id = await product();
    const answer = await send(shop, "POST", "/api/cart/items", { product_id, quantity: 2 });
    return { headers: { "x-cart-token": answer.headers.get("x-cart-token") ?? "" }, product_id };
  }
  /** A mail that the mail server refused. */
  async function failedMail(): Promise<string> {
    const { documents } = Object(shop.broker.getLocalService("notifications"));
    const _id = `${newId()}:email`;
    const mail = { channel: "email", to: user.email, subject: "Hello", body: "Hello", status: "failed" };
    await documents.insertOnce({ _id, ...mail, created_at: new Date().toISOString() });
    return _id;
  }
  async function mailedToken(): Promise<string> {
    const { email } = await givenUser(shop);
    await ask("POST", "/api/auth/password/forgot", { email });
    return await eventually(async () => {
      const { body } = await asAdmin("GET", `/api/admin/outbox?to=${encodeURIComponent(email)}`);
      return /[0-9a-f-]{36}\.[A-Za-z0-9_-]{43}/.exec(JSON.stringify(body))?.[0];
    });
  }
  /** An event that a subscriber was given up on. */
  async function deadLetter(): Promise<string> {
    const queue = eventQueue("analytics");
    const envelope = {
      event: "order.placed",
      event_id: newId(),
      occurred_at: new Date().toISOString(),
      data: {},
    };
    const [row] = await runSql<{ id: string }>(
      shop,
      `INSERT INTO pgboss.job (name, source_name, data) VALUES ('${deadEventQueue("analytics")}', '${queue}',
         '${JSON.stringify({ envelope })}') RETURNING id`,
    );
    return row?.id ?? "";
  }
  async function parkedOrder(): Promise<string> {
    const id = await order();
    await runSql(shop, `UPDATE orders.sagas SET state = 'parked' WHERE order_id = '${id}'`);
    return id;
  }

  return {
    "auth.register": () => ({
      body: { ...credentials(), name: "Ada Lovelace" },
      shows: { token_type: "Bearer" },
    }),
    "auth.login": () => ({
      body: { email: user.email, password: user.password },
      shows: { user: { id: user.id } },
    }),
    "auth.refresh": async () => ({ body: { refresh_token: (await givenUser(shop)).refreshToken } }),
    "auth.logout": async () => ({ token: (await givenUser(shop)).token }),
    "auth.verify": () => ({ shows: { valid: true, user: { email: user.email } } }),
    "auth.forgotPassword": () => ({ body: { email: user.email } }),
    "auth.resetPassword": async () => ({
      body: { token: await mailedToken(), password: "another-password" },
    }),

    "users.profile": () => ({ shows: { user: { id: user.id } } }),
    "users.updateProfile": () => ({
      body: { first_name: "Augusta" },
      shows: { user: { first_name: "Augusta" } },
    }),
    "users.addresses": () => ({ shows: { addresses: expect.any(Array) } }),
    "users.addAddress": () => ({ body: ADDRESS, shows: ADDRESS }),
    "users.updateAddress": async () => ({
      at: { id: await addressId() },
      body: { city: "Leeds" },
      shows: { city: "Leeds" },
    }),
    "users.removeAddress": async () => ({ at: { id: await addressId() } }),
    "users.list": () => ({ query: "?role=admin", shows: { pagination: { total: 1 } } }),
    "users.get": () => ({ at: { id: user.id }, shows: { email: user.email } }),
    "users.update": async () => ({
      at: { id: (await givenUser(shop)).id },
      body: { is_active: false },
      shows: { is_active: false },
    }),

    "products.list": async () => ({ query: `?ids=${await product()}`, shows: { pagination: { total: 1 } } }),
    "products.get": async () => ({ at: { id: await product(7) }, shows: { stock_quantity: 7 } }),
    "products.create": () => ({
      body: { name: "Lamp", price: 19.99 },
      shows: { name: "Lamp", price: 19.99 },
    }),
    "products.update": async () => ({ at: { id: await product() }, body: { price: 5 }, shows: { price: 5 } }),
    "products.remove": async () => ({ at: { id: await product() } }),
    "products.setStock": async () => ({
      at: { id: await product() },
      body: { quantity: 3 },
      shows: { stock_quantity: 3 },
    }),
    "products.changeStock": async () => ({
      at: { id: await product(4) },
      body: { change: -1 },
      shows: { stock_quantity: 3 },
    }),
    "products.import": () => ({
      body: '{"sku":"ROUTE-1","name":"Lamp","price":3}\n',
      headers: { "content-type": "application/x-ndjson" },
      shows: { created: 1, rejected_total: 0 },
    }),
    "products.categories": () => ({ shows: { categories: expect.any(Array) } }),
    "products.createCategory": () => ({ body: { name: "Kettles" }, shows: { slug: "kettles" } }),
    "products.updateCategory": async () => ({
      at: { id: await categoryId() },
      body: { name: "Pots" },
      shows: { name: "Pots" },
    }),
    "products.removeCategory": async () => ({ at: { id: await categoryId() } }),

    "cart.get": async () => ({ headers: (await cart()).headers, shows: { total_items: 2 } }),
    "cart.addItem": async () => ({
      body: { product_id: await product(), quantity: 1 },
      shows: { items: [{ quantity: 1 }] },
    }),
    "cart.setItem": async () => {
      const { headers, product_id } = await cart();
      return { at: { product_id }, headers, body: { quantity: 1 }, shows: { total_items: 1 } };
    },
    "cart.removeItem": async () => {
      const { headers, product_id } = await cart();
      return { at: { product_id }, headers, shows: { total_items: 0 } };
    },
    "cart.clear": async () => ({ headers: (await cart()).headers, shows: { total_items: 0 } }),
    "cart.validate": async () => ({ headers: (await cart()).headers, shows: { is_valid: true } }),

    "orders.checkout": async () => ({
      body: { ...(await checkout()), payment_method: "pm_card_visa" },
      shows: { order: { status: "confirmed", user_id: user.id } },
    }),
    "orders.list": async () => ({ query: "?status=pending", shows: { orders: [{ id: await order() }] } }),
    "orders.get": async () => ({ at: { id: await order() }, shows: { status: "pending", user_id: user.id } }),
    "orders.history": async () => ({ at: { id: await order() }, shows: { history: [{ to: "pending" }] } }),
    "orders.cancel": async () => ({
      at: { id: await order("pm_card_visa") },
      body: {},
      shows: { status: "cancelled" },
    }),
    "orders.setStatus": async () => ({
      at: { id: await order("pm_card_visa") },
      body: { status: "processing" },
      shows: { status: "processing" },
    }),
    "orders.listAll": async () => ({
      query: "?status=pending&limit=1",
      shows: { orders: [{ id: await order() }] },
    }),
    "orders.listByUser": async () => ({
      at: { user_id: user.id },
      query: "?limit=1",
      shows: { orders: [{ id: await order(), user_id: user.id }] },
    }),
    "orders.sagas": async () => ({
      query: "?state=parked",
      shows: { sagas: [{ order_id: await parkedOrder() }] },
    }),
    "orders.redriveSaga": async () => ({
      at: { order_id: await parkedOrder() },
      shows: { state: "waiting" },
    }),

    "payments.process": async () => ({
      body: { order_id: await order(), payment_method: "pm_card_visa" },
      shows: { payment: { status: "captured" } },
    }),
    "payments.get": async () => ({ at: { id: await payment() }, shows: { payment: { status: "captured" } } }),
    "payments.listByOrder": async () => ({
      at: { id: await order("pm_card_visa") },
      shows: { payments: [{ status: "captured" }] },
    }),
    "payments.refund": async () => ({
      at: { id: await payment() },
      body: { amount: 1, reason: "scratched" },
      shows: { payment: { status: "partially_refunded" } },
    }),
    "payments.webhook": () => {
      const body = JSON.stringify({
        id: newId(),
        type: "charge.captured",
        data: { idempotency_key: `${newId()}:charge:1` },
      });
      const signature = signSandboxWebhook(
        shop.config.SANDBOX_WEBHOOK_SECRET,
        body,
        Math.floor(Date.now() / 1000),
      );
      return {
        at: { provider: "sandbox" },
        body,
        headers: { "x-sandbox-signature": signature },
        shows: { received: true },
      };
    },

    "notifications.list": async () => {
      await notification();
      return { query: "?limit=1", shows: { notifications: [{ id: expect.any(String) }] } };
    },
    "notifications.read": async () => ({
      at: { id: await notification() },
      shows: { read_at: expect.any(String) },
    }),
    "notifications.outbox": () => ({ shows: { messages: expect.any(Array) } }),
    "notifications.resend": async () => ({ at: { id: await failedMail() }, shows: { status: "queued" } }),

    "analytics.record": () => ({
      body: { type: "page_view", properties: { path: "/" } },
      shows: { accepted: 1 },
    }),
    "analytics.summary": () => ({ query: "?from=2026-01-01&to=2026-01-31", shows: { orders: 0 } }),

    "gateway.health": () => ({ shows: { status: "healthy" } }),
    "gateway.live": () => ({ shows: { status: "alive" } }),
    "gateway.ready": () => ({ shows: { status: "ready" } }),
    "gateway.verify": () => ({ shows: { invariants: expect.any(Array) } }),
    "gateway.status": () => ({}),
    "gateway.events": async () => ({ query: "?state=dead", shows: { events: [{ id: await deadLetter() }] } }),
    "gateway.event": async () => ({
      at: { id: await deadLetter() },
      shows: { state: "dead", subscriber: "analytics" },
    }),
    "gateway.redriveEvents": async () => ({
      body: { ids: [await deadLetter()] },
      shows: { redriven: 1, not_found: [] },
    }),
  };
}
