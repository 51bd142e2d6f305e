import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Value } from "typebox/value";
import { listEvents, redriveEvents, showEvent } from "../../cli/actions/events.ts";
import { placeOrder } from "../../cli/actions/order-place.ts";
import { listSagas, redriveSagas, showSaga } from "../../cli/actions/sagas.ts";
import { top } from "../../cli/actions/top.ts";
import type { Io } from "../../cli/lib/io.ts";
import { EventPage } from "../../services/gateway/gateway.contract.ts";
import { Order } from "../../services/orders/orders.contract.ts";
import { adminToken, eventually, givenProduct, givenUser } from "../helpers/client.ts";
import { FakeSubscriber, giveUpAfter } from "../helpers/dead-letters.ts";
import { query } from "../helpers/query.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { startProxy } from "../helpers/tcp-proxy.ts";
import { act, adminOf } from "./support.ts";

/** What an operator looks at and puts right: one shop, whose notifications take their events unless told otherwise. */
const subscriber = new FakeSubscriber();
subscriber.works = true;
let shop: Shop;
let env: Record<string, string>;
let product: string;

beforeAll(async () => {
  shop = await startShop({ replace: subscriber.services });
  env = adminOf(shop);
  product = String(await givenProduct(shop, await adminToken(shop), { price: 10, stock_quantity: 1000 }));
});
afterAll(() => shop?.stop());

/** An order of one lamp; without `pay` it waits. */
async function placed(pay?: string): Promise<Order> {
  const run = await act((io) => placeOrder({ item: [product], address: "Home", pay, json: true }, io), {
    env,
  });
  expect(run).toMatchObject({ code: 0, stderr: "" });
  return Value.Parse(Order, run.json());
}

describe("molecart sagas", () => {
  it("lists, shows, and redrives what is parked alone", async () => {
    const order = await placed();
    const list = await act((io) => listSagas({ state: "waiting", limit: 100, json: true }, io), { env });
    expect(Object(list.json()).sagas).toContainEqual(
      expect.objectContaining({ number: order.number, state: "waiting" }),
    );
    const shown = await act((io) => showSaga(order.number, { json: true }, io), { env });
    expect(shown.json()).toMatchObject({ order_id: order.id, kind: "checkout" });
    const none = await act((io) => redriveSagas([], { all: true }, io), { env });
    expect(none).toMatchObject({ code: 0, stdout: "", stderr: "No saga is parked.\n" });
    expect(await act((io) => redriveSagas([], {}, io), { env })).toMatchObject({ code: 2 });
    const unasked = await act((io) => redriveSagas([order.number], {}, io), { env });
    expect(unasked).toMatchObject({ code: 2, stdout: "" });
    const empty = await act((io) => listSagas({ state: "parked" }, io), { env });
    expect(empty.stderr).toBe("No sagas.\n");
  });
});

describe("molecart events", () => {
  const notifications = { subscriber: "notifications", state: "dead" };

  it("lists, shows and redrives dead letters, each once", async () => {
    await giveUpAfter(shop.databaseUrl, 1);
    subscriber.works = false;
    const [first, second] = [await placed("pm_card_visa"), await placed("pm_card_visa")];
    const dead = await eventually(async () => {
      const { json } = await act((io) => listEvents({ ...notifications, json: true }, io), { env });
      const page = Value.Parse(EventPage, json());
      // They are counted beside being listed: the second may have come in between.
      return page.dead === 2 && page.events.length === 2 && page;
    });
    subscriber.works = true;
    const ids = dead.events.map(({ id }) => id);
    const id = String(ids[0]);
    const text = await act((io) => listEvents(notifications, io), { env });
    expect(text).toMatchObject({
      code: 0,
      stderr: "2 undelivered events, page 1 of 1. 2 dead, 0 late.\n",
    });
    expect(text.stdout).toMatch(
      new RegExp(`^${id}  dead   order.confirmed  notifications +1  .*SERVICE_UNAVAILABLE$`, "m"),
    );
    const shown = await act((io) => showEvent(id, {}, io), { env });
    expect(shown.stdout).toMatch(new RegExp(`^data.order_id +(${first.id}|${second.id})$`, "m"));
    expect(await act((io) => redriveEvents(ids, { dryRun: true }, io), { env })).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "Would have 2 dead letters delivered again.\n",
    });
    expect(await act((io) => redriveEvents([id], {}, io), { env })).toMatchObject({ code: 2, stdout: "" });
    const one = await act((io) => redriveEvents([id], { yes: true }, io), { env });
    expect(one).toMatchObject({ code: 0, stdout: "1 event on the way again.\n" });
    const again = await act((io) => redriveEvents([id], { yes: true, json: true }, io), { env });
    expect(again).toMatchObject({ code: 1, stderr: `${id} is no dead letter (any more).\n` });
    expect(again.json()).toEqual({ dry_run: false, redriven: 0, not_found: [id], not_asked: [] });
    const rest = await act((io) => redriveEvents([], { all: true, yes: true }, io), { env });
    expect(rest).toMatchObject({ code: 0, stdout: "1 event on the way again.\n" });
    await eventually(async () => dead.events.every(({ event_id }) => subscriber.taken.includes(event_id)));
    const none = await act((io) => redriveEvents([], { subscriber: "notifications" }, io), { env });
    expect(none).toMatchObject({ code: 0, stderr: "There is no dead letter.\n" });
  });

  it("says what is wrong with what it is asked", async () => {
    const missing = "01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11";
    expect(await act((io) => showEvent(missing, {}, io), { env })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`There is no undelivered event ${missing}`),
    });
    for (const wrong of [
      (io: Io) => showEvent("1", {}, io),
      (io: Io) => redriveEvents([], {}, io),
      (io: Io) => redriveEvents([missing], { all: true }, io),
    ]) {
      expect(await act(wrong, { env })).toMatchObject({ code: 2, stdout: "" });
    }
  });
});

describe("molecart top", () => {
  it("gives snapshots with rates, while the shop is away too, and after its session has ended", async () => {
    const proxy = await startProxy(Number(new URL(shop.url).port));
    const stop = new AbortController();
    let step = 0;
    const seen = (stdout: string) => {
      const last = stdout.trimEnd().split("\n").at(-1) ?? "";
      const isDown = last.includes('"status":"down"');
      // Twice seen well, it is cut off; seen to be away, it comes back, without its sessions; seen again, it is over.
      if (step === 0 && stdout.split("\n").length > 2) {
        step = 1;
        void proxy.cut();
      } else if (step === 1 && isDown) {
        step = 2;
        const forgotten = "DELETE FROM kv.entries WHERE key LIKE '%session:%'";
        void query(shop.databaseUrl, forgotten).then(() => proxy.restore());
      } else if (step === 2 && !isDown) stop.abort();
    };
    try {
      const url = `http://127.0.0.1:${proxy.port}`;
      const run = await act((io) => top({ json: true, interval: 0.05, url }, io), {
        ...{ env, signal: stop.signal, seen },
      });
      expect(run).toMatchObject({ code: 0, stderr: "" });
      const lines = run.lines();
      const sales = { currency: "EUR", orders_per_minute: expect.any(Number) };
      expect(lines[0]).toMatchObject({ url, status: "healthy", calls_per_s: null, sales });
      expect(lines[1]).toMatchObject({
        status: "healthy",
        calls_per_s: expect.any(Number),
        nodes: [{ id: shop.broker.nodeID, calls_per_s: expect.any(Number) }],
      });
      expect(lines.find((line) => Object(line).status === "down")).toMatchObject({
        error: expect.stringContaining("No shop answers"),
      });
      expect(lines.at(-1)).toMatchObject({ status: "healthy", calls_per_s: expect.any(Number) });
    } finally {
      await proxy.close();
    }
  });

  it("prints a line a look where there is no terminal", async () => {
    const run = await act((io) => top({ interval: 1, count: 1 }, io), { env });
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toMatch(/^\S+Z {2}healthy {2}nodes 1\/1 {2}requests\/s - .* low stock \d+\n$/);
  });

  it("is for admins", async () => {
    const { email, password } = await givenUser(shop);
    const customer = { ...env, ADMIN_EMAIL: email, ADMIN_PASSWORD: password };
    const run = await act((io) => top({ interval: 1 }, io), { env: customer });
    expect(run).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("Log in as an admin") });
  });
});
