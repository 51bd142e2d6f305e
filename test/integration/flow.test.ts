import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { readSecrets } from "../../lib/embedded.ts";
import { newId } from "../../lib/ids.ts";
import { type Answer, eventually, send } from "../helpers/client.ts";
import { type NodeProcess, startNode } from "../helpers/node-process.ts";

/**
 * The shop as a newcomer runs it: one process, its own Postgres and files, the demo catalogue. It is killed with -9 in
 * the middle of a customer's way and started again: what was acknowledged is there.
 */

/** A short lease, which the node that dies gives itself, and the next one looks for soon. */
const SOON = { SAGA_LEASE: "500", JOBS_POLL: "0.5" };

let dataDir: string;
let shop: NodeProcess;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "molecart-flow-"));
  shop = await startNode({ DATA_DIR: dataDir });
}, 60_000);
afterAll(async () => {
  await shop?.kill("SIGTERM");
  await rm(dataDir, { recursive: true, force: true });
}, 60_000);

async function restart(): Promise<void> {
  await shop.kill("SIGKILL");
  shop = await startNode({ DATA_DIR: dataDir });
}

async function ok(answer: Promise<Answer>, status = 200): Promise<Answer> {
  const received = await answer;
  expect({ status: received.status, body: received.body }).toMatchObject({ status });
  return received;
}

const get = (path: string, token?: string) =>
  send(shop, "GET", path, undefined, token === undefined ? {} : { token });
const post = (path: string, body: object, token?: string) =>
  send(shop, "POST", path, body, token === undefined ? {} : { token });

describe("a customer's way through the shop", () => {
  it("register → login → browse → search → cart → order → pay → ship → deliver → refund, killed between its steps", async () => {
    await eventually(
      async () => Number((await get("/api/products?in_stock=true")).at("pagination", "total")) >= 120,
      20_000,
    );
    const email = "newcomer@example.com";
    const password = "a-good-password";
    await ok(post("/api/auth/register", { email, password, name: "New Comer" }), 201);
    const token = String((await ok(post("/api/auth/login", { email, password }))).at("access_token"));
    const categories = await ok(get("/api/categories"));
    expect(JSON.stringify(categories.body).match(/"slug"/g)?.length).toBeGreaterThanOrEqual(12);
    const found = await ok(get("/api/products?search=coffe%20maker&in_stock=true"));
    const product = Number(found.at("products", 0, "id"));
    const before = Number(found.at("products", 0, "stock_quantity"));
    expect(String(found.at("products", 0, "name")).toLowerCase()).toContain("coffee");
    await ok(post("/api/cart/items", { product_id: product, quantity: 1 }, token), 201);

    await restart();
    await ok(post("/api/auth/login", { email, password }));
    expect((await ok(get("/api/cart", token))).at("items", 0, "product_id")).toBe(product);
    const placed = await ok(post("/api/orders", { shipping_address: "12 Analytical Row" }, token), 201);
    const order = String(placed.at("order", "id"));
    expect(placed.at("order", "status")).toBe("pending");
    expect((await ok(get("/api/cart", token))).at("total_items")).toBe(0);
    expect((await ok(get(`/api/products/${product}`))).at("stock_quantity")).toBe(before - 1);

    await restart();
    const paid = await ok(
      post("/api/payments/process", { order_id: order, payment_method: "pm_card_visa" }, token),
    );
    const payment = String(paid.at("payment", "id"));
    expect(paid.at("payment", "status")).toBe("captured");

    await restart();
    const secrets = await readSecrets(dataDir);
    const admin = String(
      (
        await ok(post("/api/auth/login", { email: secrets?.ADMIN_EMAIL, password: secrets?.ADMIN_PASSWORD }))
      ).at("access_token"),
    );
    for (const status of ["processing", "shipped", "delivered"]) {
      await ok(send(shop, "PUT", `/api/orders/${order}/status`, { status }, { token: admin }));
    }

    await restart();
    const refund = await ok(post(`/api/payments/${payment}/refund`, { reason: "arrived broken" }, admin));
    expect(refund.at("payment", "status")).toBe("refunded");
    await eventually(async () => (await get(`/api/orders/${order}`, token)).at("status") === "refunded");
    const history = await ok(get(`/api/orders/${order}/history`, token));
    expect(history.body.history).toMatchObject(
      ["pending", "confirmed", "processing", "shipped", "delivered", "refunded"].map((to) => ({ to })),
    );
    // An event that a killed process had taken is given to another after half a minute.
    await eventually(async () => {
      const { body } = await get("/api/notifications?limit=100", token);
      return ["order.placed", "order.confirmed", "order.shipped", "order.refunded"].every((type) =>
        JSON.stringify(body).includes(`"${type}"`),
      );
    }, 60_000);
    const report = await ok(get("/api/admin/verify", admin));
    expect(report.body).toMatchObject({ ok: true });
  }, 180_000);
});

describe("a checkout whose process is killed after the money was captured", () => {
  it("is finished after the restart, and the same request again gives its order", async () => {
    const { access_token } = (
      await ok(
        post("/api/auth/register", {
          email: "second@example.com",
          password: "a-good-password",
          name: "Second",
        }),
        201,
      )
    ).body;
    const token = String(access_token);
    const body = {
      shipping_address: "12 Analytical Row",
      items: [{ product_id: 1, quantity: 1 }],
      payment_method: "pm_card_visa",
    };
    const options = { token, headers: { "idempotency-key": newId() } };

    await shop.kill("SIGTERM");
    shop = await startNode({ DATA_DIR: dataDir, CRASH_AT: "checkout.charge.after", ...SOON });
    await expect(send(shop, "POST", "/api/orders", body, options)).rejects.toThrow();
    expect(await shop.exited).toBe("SIGKILL");

    shop = await startNode({ DATA_DIR: dataDir, RATE_LIMIT: "off", ...SOON });
    const answer = await eventually(async () => {
      const again = await send(shop, "POST", "/api/orders", body, options);
      return again.status === 409 && again.at("code") === "IDEMPOTENCY_IN_PROGRESS" ? undefined : again;
    }, 20_000);
    expect(answer.status).toBe(201);
    expect(answer.at("order", "status")).toBe("confirmed");
    const payments = await ok(get(`/api/orders/${answer.at("order", "id")}/payments`, token));
    expect(payments.body.payments).toMatchObject([{ status: "captured" }]);
    expect((await ok(get("/api/orders", token))).at("pagination", "total")).toBe(1);
  }, 60_000);
});
