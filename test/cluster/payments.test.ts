import { expect, it } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { SANDBOX_SIGNATURE, signSandboxWebhook } from "../../services/payments/providers/sandbox-webhook.ts";
import { eventually, givenProduct, givenUser, send, type TestUser } from "../helpers/client.ts";
import { ClientLog, tell } from "../helpers/client-log.ts";
import { describeCluster } from "../helpers/cluster-suite.ts";
import { SECRETS } from "../helpers/env.ts";
import { settled } from "../helpers/invariants.ts";
import { parseMetrics, sampleValue } from "../helpers/prometheus.ts";

/** Where money is: a provider that says nothing, webhooks of all kinds, time that runs out, a compensation that can't be done. */

const LAYOUT = {
  gateway: "gateway",
  front: "auth,users,cart,products,inventory",
  "orders-1": "orders",
  "orders-2": "orders",
  "payments-1": "payments",
  "payments-2": "payments,notifications,analytics",
};
/** s that an unpaid order keeps its stock here. */
const RESERVATION_TTL = 4;

const OPTIONS = { env: { RESERVATION_TTL: String(RESERVATION_TTL) } };

describeCluster("money on several nodes", LAYOUT, OPTIONS, (cluster) => {
  let user: TestUser;
  let log: ClientLog;

  const givenStock = async () => {
    log = new ClientLog(() => [cluster]);
    user = await givenUser(cluster);
    return await givenProduct(cluster, cluster.admin, { price: 10, stock_quantity: 100 });
  };
  const webhook = (
    type: string,
    key: string,
    { id = newId(), secret = SECRETS.SANDBOX_WEBHOOK_SECRET } = {},
  ) => {
    const raw = JSON.stringify({ id, type, data: { idempotency_key: key } });
    const signature = signSandboxWebhook(secret, raw, Math.floor(Date.now() / 1000));
    return send(cluster, "POST", "/api/payments/webhooks/sandbox", raw, {
      headers: { [SANDBOX_SIGNATURE]: signature },
    });
  };
  const booksOf = async (product: number) =>
    await cluster.sql(
      `SELECT o.id, o.status, o.updated_at, p.key, p.status AS payment, p.refunded, p.updated_at AS paid_at
       FROM orders.orders o JOIN orders.items i ON i.order_id = o.id JOIN payments.payments p ON p.order_id = o.id
       WHERE i.product_id = $1 ORDER BY o.id`,
      [product],
    );

  it("captures once what a provider captured without an answer", async () => {
    const product_id = await givenStock();
    const buying = { payment_method: "pm_sandbox_timeout_after_capture", patience: 60_000 };
    await Promise.all(
      Array.from({ length: 8 }, () => log.order(user, [{ product_id, quantity: 1 }], buying)),
    );
    tell("a provider that times out after it captured", log);
    expect(log.count("acknowledged")).toBe(8);
    await cluster.expectSound(log);
  });

  it("believes no webhook that is repeated, out of order or forged, and does what a genuine one hints at", async () => {
    const product_id = await givenStock();
    const entry = await log.order(user, [{ product_id, quantity: 2 }]);
    const [id = ""] = entry.orders;
    await settled(cluster);
    const before = await booksOf(product_id);
    const key = `${id}:charge:1`;
    const event = newId();
    const repeated = await Promise.all(
      Array.from({ length: 20 }, () => webhook("charge.captured", key, { id: event })),
    );
    const late = [
      await webhook("charge.failed", key),
      await webhook("refund.succeeded", `${id}:cancel`),
      await webhook("charge.captured", `${newId()}:charge:1`),
    ];
    const forged = await Promise.all(
      ["charge.failed", "charge.captured"].map((type) => webhook(type, key, { secret: "x".repeat(32) })),
    );
    const told = (answers: { status: number }[]) =>
      [...new Set(answers.map(({ status }) => status))].join(", ");
    tell("webhooks repeated, out of order, forged", `told ${told(repeated)}; ${told(late)}; ${told(forged)}`);
    expect([told(repeated), told(late), told(forged)]).toEqual(["200", "200", "401"]);
    expect(await booksOf(product_id)).toEqual(before);

    // Captured, and the node died before it wrote that down: the provider's own word is faster than anybody's question.
    const victim = await cluster.start("payments-1", { CRASH_AT: "payments.charge.after" });
    const orders = [1, 2].map(() => log.order(user, [{ product_id, quantity: 1 }], { patience: 30_000 }));
    await victim.exited;
    const [open] = await cluster.sql<{ key: string }>(
      "SELECT key FROM payments.payments WHERE status = 'processing'",
    );
    if (open) expect((await webhook("charge.captured", open.key)).status).toBe(200);
    await Promise.all(orders);
    await cluster.start("payments-1");
    expect(log.count("acknowledged")).toBe(3);
    await cluster.expectSound(log);
  });

  it("either pays an order or lets it expire, when its time ends while the payment runs", async () => {
    const product_id = await givenStock();
    const place = async () => {
      const body = { shipping_address: "12 Analytical Row", items: [{ product_id, quantity: 1 }] };
      const answer = await send(cluster, "POST", "/api/orders", body, { token: user.token });
      expect([answer.status, answer.at("order", "status")]).toEqual([201, "pending"]);
      return {
        id: String(answer.at("order", "id")),
        until: Date.parse(String(answer.at("order", "reserved_until"))),
      };
    };
    const placed = await Promise.all(Array.from({ length: 12 }, place));
    // The slow provider takes 3 s: those that begin before the end of the reservation are paid after it.
    const pay = async ({ id, until }: { id: string; until: number }, i: number) => {
      const begin = until - 1_500 + i * 250;
      await eventually(async () => Date.now() >= begin);
      const body = { order_id: id, payment_method: "pm_sandbox_slow" };
      return await send(cluster, "POST", "/api/payments/process", body, { token: user.token });
    };
    const told = (await Promise.all(placed.map(pay))).map(({ status, body }) =>
      `${status} ${body.code ?? ""}`.trim(),
    );
    await settled(cluster);
    const statuses = await eventually(async () => {
      const rows = await cluster.sql<{ id: string; status: string }>(
        "SELECT o.id, o.status FROM orders.orders o JOIN orders.items i ON i.order_id = o.id WHERE i.product_id = $1",
        [product_id],
      );
      return (
        rows.every(({ status }) => status !== "pending") &&
        new Map(rows.map(({ id, status }) => [id, status]))
      );
    }, 20_000);
    const ends = placed.map(({ id }, i) => `${told[i]} → ${statuses.get(id)}`);
    tell("a reservation expiring while its payment runs", ends.join(", "));
    expect(new Set(ends)).toEqual(new Set(["200 → confirmed", "409 ORDER_NOT_PAYABLE → cancelled"]));
    // Begun in time, so paid, though the reservation's time was over when the money came.
    expect(ends[0]).toBe("200 → confirmed");
    await cluster.expectSound(new ClientLog(() => []));
  });

  it("parks a compensation that keeps failing, counts it, and undoes the order when it is redriven", async () => {
    const product_id = await givenStock();
    // The books refuse to take a cancellation, for as long as nobody mends them.
    await cluster.sql(
      `CREATE FUNCTION payments.broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$`,
    );
    await cluster.sql(
      "CREATE TRIGGER broken BEFORE INSERT ON payments.cancelled_orders FOR EACH ROW EXECUTE FUNCTION payments.broken()",
    );
    const key = "never-undone";
    const buying = { key, payment_method: "pm_card_chargeDeclined" };
    const entry = await log.order(user, [{ product_id, quantity: 1 }], buying);
    expect(entry.said).toEqual(["504 ORDER_OUTCOME_UNKNOWN"]);
    const sagas = (state: string) =>
      send(cluster, "GET", `/api/admin/sagas?state=${state}`, undefined, { token: cluster.admin });
    await eventually(async () => (await sagas("compensating")).at("pagination", "total") === 1);
    // An hour of further tries, in no time.
    await cluster.sql("UPDATE orders.sagas SET attempts = 39 WHERE state = 'compensating'");
    // Not by the total, which is counted a moment after the page was read.
    const parked = await eventually(async () => {
      const answer = await sagas("parked");
      return answer.at("sagas", 0) !== undefined && answer;
    }, 60_000);
    const order = String(parked.at("sagas", 0, "order_id"));
    const verify = () => send(cluster, "GET", "/api/admin/verify", undefined, { token: cluster.admin });
    const report = JSON.stringify((await verify()).body);
    expect(report).toContain("is parked: its saga gave up and waits for an operator");
    // A node's figures are kept for 15 s: each is asked for them once here.
    const counted = async (node: string) => {
      const metrics = await fetch(`${cluster.probe(node)}/metrics`);
      return sampleValue(parseMetrics(await metrics.text()), "molecart_sagas_parked");
    };
    expect(await counted("orders-1")).toBe(1);
    // Nothing was guessed: the stock is still set aside.
    expect(
      await cluster.sql("SELECT reserved FROM inventory.levels WHERE product_id = $1", [product_id]),
    ).toEqual([{ reserved: 1 }]);

    await cluster.sql("DROP FUNCTION payments.broken CASCADE");
    const redriven = await send(
      cluster,
      "POST",
      `/api/admin/sagas/${order}/redrive`,
      {},
      { token: cluster.admin },
    );
    expect(redriven.body).toMatchObject({ state: "undone" });
    expect(await counted("orders-2")).toBe(0);
    await log.order(user, [{ product_id, quantity: 1 }], buying);
    tell("a compensation that keeps failing", log, `last error: ${parked.at("sagas", 0, "last_error")}`);
    expect(entry.said).toEqual(["504 ORDER_OUTCOME_UNKNOWN", "402 PAYMENT_DECLINED"]);
    await cluster.expectSound(log);
  }, 120_000);
});
