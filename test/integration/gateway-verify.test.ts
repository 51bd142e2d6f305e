import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type { ServiceBroker } from "moleculer";
import type { Static } from "typebox";
import { v7 } from "uuid";
import { Unavailable } from "../../lib/errors.ts";
import type { VerifyReport } from "../../services/gateway/gateway.contract.ts";
import { verifyShop } from "../../services/gateway/verify.ts";
import { FakeAudits } from "../helpers/audits.ts";
import { send } from "../helpers/client.ts";
import { FakePeople } from "../helpers/fakes.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

const people = new FakePeople();
const audits = new FakeAudits();
let shop: Shop;

beforeAll(async () => {
  shop = await startShop({ replace: { ...people.services, ...audits.services } });
});
afterAll(async () => await shop.stop());

beforeEach(() => {
  audits.clear();
  for (const action of Object.keys(audits.asked)) audits.asked[action] = 0;
  audits.stock = { checked: 12, violations: [] };
  audits.paymentViolations = [];
  audits.undelivered = [];
  audits.before = {};
});

/** ms before a suspicious row is asked about again: the fakes are as wrong at once. */
const PAUSE = 1;
const verify = () => verifyShop({ broker: shop.broker, name: "gateway" }, PAUSE);
/** `I2: <message>` of each violation. */
const found = ({ invariants }: Static<typeof VerifyReport>) =>
  invariants.flatMap(({ id, violations }) => violations.map(({ message }) => `${id}: ${message}`));

describe("GET /api/admin/verify", () => {
  it("is for admins", async () => {
    const as = async (token?: string) =>
      (await send(shop, "GET", "/api/admin/verify", undefined, { token })).status;
    expect([await as(), await as(people.add().token), await as(people.add("admin").token)]).toEqual([
      401, 403, 200,
    ]);
  });

  it("tells what was checked, and that it holds", async () => {
    for (let i = 0; i < 3; i++) audits.order();
    const answer = await send(shop, "GET", "/api/admin/verify", undefined, {
      token: people.add("admin").token,
    });
    expect(answer.body).toMatchObject({
      ok: true,
      invariants: [
        { id: "I1", ok: true, checked: 12, violations: [] },
        { id: "I2", ok: true, checked: 3, violations: [] },
        { id: "I3", ok: true, checked: 3, violations: [] },
        { id: "I4", ok: true, checked: 3, violations: [] },
        { id: "I5", ok: true, checked: 3 + 34, violations: [] },
      ],
      notes: [],
    });
  });
});

describe("a shop in order", () => {
  it("is looked at order by order, page by page, however many there are", async () => {
    for (let i = 0; i < 1201; i++) audits.order();
    const report = await verify();
    expect(report.ok).toBe(true);
    expect(report.invariants[1]).toMatchObject({ id: "I2", checked: 1201 });
    expect(audits.asked).toMatchObject({
      "orders.audit": 3,
      "inventory.auditOrders": 3,
      "payments.audit": 3,
      "notifications.audit": 3,
    });
  });

  it("may be empty", async () => {
    expect((await verify()).ok).toBe(true);
    expect(audits.asked["payments.audit"]).toBe(1);
  });

  it("may go on selling: what is ordered meanwhile is for the next time", async () => {
    audits.order();
    audits.before["orders.audit"] = () =>
      audits.order({ order_id: v7({ msecs: Date.now() + 60_000 }), paid: true, total: 1 });
    const report = await verify();
    expect(report.invariants[1]).toMatchObject({ checked: 1, ok: true });
  });
});

describe("what breaks an invariant", () => {
  it("I1 and I4, as inventory tells", async () => {
    audits.stock.violations = [
      { invariant: "I1", message: "reserved is not the sum", row: { product_id: 7 } },
      { invariant: "I4", message: "outlived", row: { order_id: "x" } },
    ];
    const report = await verify();
    expect(report.ok).toBe(false);
    expect(found(report)).toEqual(["I1: reserved is not the sum", "I4: outlived"]);
    expect(report.invariants.map(({ ok }) => ok)).toEqual([false, true, true, false, true]);
  });

  it("I2, between orders and payments, and inside payments", async () => {
    audits.pay(audits.order(), { captured: 1 });
    const twice = audits.order();
    audits.paymentViolations = [
      { invariant: "I2", message: "captured more than once", row: { order_id: twice } },
    ];
    expect(found(await verify()).sort()).toEqual([
      "I2: Order MC-000001 comes to 29.99 and 0.01 was captured.",
      "I2: captured more than once",
    ]);
  });

  it("in every order there is: all are told of, and each service is asked no more than it takes", async () => {
    const msecs = Date.now() - 61_000;
    for (let i = 0; i < 1201; i++) audits.told.set(audits.order({ order_id: v7({ msecs }) }), []);
    const report = await verify();
    expect(report.invariants[4]).toMatchObject({ id: "I5", ok: false });
    expect(new Set(found(report).map((message) => message.replace(/MC-\d+/, "MC-…")))).toEqual(
      new Set(["I5: Order MC-… was confirmed and its customer was not told."]),
    );
    expect(report.notes).toContain("I5: 1101 more violations.");
    expect(audits.asked).toMatchObject({ "orders.audit": 12, "notifications.audit": 12 });
  });

  it("once where a page ends and the next begins", async () => {
    for (let i = 0; i < 501; i++) audits.order();
    const order_id = [...audits.orders.keys()].sort()[499];
    audits.paymentViolations = [{ invariant: "I2", message: "captured more than once", row: { order_id } }];
    expect(found(await verify())).toEqual(["I2: captured more than once"]);
  });

  it("in few of many orders: those alone are asked about again", async () => {
    for (let i = 0; i < 1201; i++) audits.order();
    const [first = "", second = ""] = [...audits.orders.keys()].sort().slice(600);
    audits.pay(first, { captured: 1 });
    audits.pay(second, { captured: 2 });
    expect(found(await verify())).toHaveLength(2);
    expect(audits.asked["orders.audit"]).toBe(3 + 3 * 2);
  });

  it("I2 and I4, of orders that do not exist: wherever they would be, beside the pages of those that do", async () => {
    for (let i = 0; i < 1201; i++) audits.order();
    const ids = [...audits.orders.keys()].sort();
    const gone = [0, 499, 500, 501, 1200].map((n) => ids[n] ?? "");
    for (const id of gone) audits.orders.delete(id);
    const report = await verify();
    for (const invariant of [report.invariants[1], report.invariants[3]])
      expect(invariant?.violations.map(({ row }) => row.order_id)).toEqual(gone);
    audits.orders.clear();
    expect((await verify()).invariants.map(({ ok }) => ok)).toEqual([true, false, true, false, true]);
  });

  it("I3, and a parked order is a note too", async () => {
    const stuck = audits.order({ saga: "running", saga_age_ms: 121_000 });
    audits.order({ status: "cancelled", paid: false, saga: "parked" });
    const cancelled = audits.order({ status: "cancelled" });
    audits.pay(cancelled, { refunded: 2999 });
    audits.hold(cancelled, "returned");
    audits.pay([...audits.orders.keys()][1] ?? "", { captures: 0, captured: 0 });
    const report = await verify();
    expect(found(report)).toEqual([
      "I3: Order MC-000001 has been under way for 121 s.",
      "I3: Order MC-000002 is parked: its saga gave up and waits for an operator.",
    ]);
    expect(report.notes).toEqual([
      "Order MC-000002 is parked: redrive it, or settle it by hand.",
      "Orders under way: 1.",
    ]);
    expect(report.invariants[2]?.violations[0]?.row).toMatchObject({ order_id: stuck });
  });

  it("I5: told twice, not told, late; a dead letter is a note", async () => {
    const twice = audits.order();
    audits.told.set(twice, [{ order_id: twice, type: "order.confirmed", count: 2 }]);
    const untold = audits.order({ order_id: v7({ msecs: Date.now() - 61_000 }) });
    audits.told.set(untold, []);
    audits.lose("late", "order.shipped", 70);
    audits.lose("dead", "order.placed", 90);
    const report = await verify();
    expect(found(report).sort()).toEqual([
      "I5: Order MC-000001 was told of order.confirmed 2 times.",
      "I5: Order MC-000002 was confirmed and its customer was not told.",
      expect.stringMatching(/^I5: order.shipped for analytics has not been delivered for 7\d s\.$/),
    ]);
    expect(report.notes).toEqual([
      "Dead letter: order.placed for analytics was given up after its last retry.",
    ]);
  });

  it("is shown a hundred times, and counted beyond", async () => {
    for (let i = 0; i < 130; i++) audits.pay(audits.order(), { captured: 1 });
    const report = await verify();
    expect(report.invariants[1]?.violations).toHaveLength(100);
    expect(report.notes).toContain("I2: 30 more violations.");
  });
});

describe("two snapshots that are not of one moment", () => {
  it("are no violation, if the row is in order when it is asked about again", async () => {
    const id = audits.order();
    audits.pay(id, { captured: 0, captures: 0 });
    let times = 0;
    audits.before["payments.audit"] = () => {
      times += 1;
      if (times === 3) audits.pay(id, { captured: 2999, captures: 1 });
    };
    expect((await verify()).ok).toBe(true);
    expect(times).toBe(3);
  });

  it("have only the suspicious rows asked about again, three times at most", async () => {
    for (let i = 0; i < 20; i++) audits.order();
    const wrong = audits.order();
    audits.pay(wrong, { captured: 1 });
    for (let i = 0; i < 20; i++) audits.order();
    expect(found(await verify())).toHaveLength(1);
    // One page, then the one order three times.
    expect(audits.asked).toMatchObject({ "orders.audit": 4, "payments.audit": 4 });
  });

  it("are no violation, if the units came a little later", async () => {
    const id = audits.order();
    audits.hold(id, "reserved");
    audits.before["inventory.auditOrders"] = () => {
      if (audits.asked["inventory.auditOrders"] === 3) audits.hold(id, "committed");
    };
    expect((await verify()).ok).toBe(true);
    expect(audits.asked["inventory.auditOrders"]).toBe(3);
  });

  it("may leave one violation and bring another: neither was there twice", async () => {
    const id = audits.order({ refunded: 500 });
    let times = 0;
    audits.before["payments.audit"] = () => {
      times += 1;
      if (times === 2) {
        audits.pay(id, { refunded: 500 });
        audits.told.set(id, [{ order_id: id, type: "order.confirmed", count: 2 }]);
      }
    };
    expect((await verify()).ok).toBe(true);
  });

  it("are no violation, if an order was placed between the two", async () => {
    audits.order();
    audits.before["payments.audit"] = () => {
      audits.before = {};
      audits.order();
    };
    expect((await verify()).ok).toBe(true);
    expect(audits.asked["orders.audit"]).toBe(2);
  });

  it("are taken again of stock and of events, too", async () => {
    audits.stock.violations = [{ invariant: "I1", message: "for 3 s", row: { product_id: 7 } }];
    audits.lose("late", "order.shipped", 60);
    audits.before["inventory.audit"] = () => {
      if (audits.asked["inventory.audit"] === 2) audits.stock = { checked: 12, violations: [] };
    };
    audits.before["orders.undeliveredEvents"] = () => {
      // Asked for the dead and the late ones each time.
      if ((audits.asked["orders.undeliveredEvents"] ?? 0) > 6) audits.undelivered = [];
    };
    expect((await verify()).ok).toBe(true);
  });
});

describe("a service that doesn't answer", () => {
  const away = () => {
    throw new Unavailable({ retry_after: 1 });
  };
  const CASES: [string, string[]][] = [
    ["inventory.audit", ["I1", "I4"]],
    ["inventory.auditOrders", ["I4"]],
    ["orders.audit", ["I2", "I3", "I4", "I5"]],
    ["orders.undeliveredEvents", ["I5"]],
    ["payments.audit", ["I2"]],
    ["notifications.audit", ["I5"]],
  ];

  it.each(CASES)("%s leaves %j unproven, and that is no pass", async (action, broken) => {
    for (let i = 0; i < 2; i++) audits.order();
    audits.before[action] = away;
    const report = await verify();
    expect(report.ok).toBe(false);
    expect(report.invariants.filter(({ ok }) => !ok).map(({ id }) => id)).toEqual(broken);
    for (const line of found(report))
      expect(line).toMatch(/Could not be checked: \w+ did not answer \(SERVICE_UNAVAILABLE\)/);
  });
});

describe("a node of another version", () => {
  /** As if what is told of an order, in an answer of this action, came from another version. */
  const asOf = async (action: string, change: (row: object) => object) => {
    const answered = async (...asked: [name: string, params: object, options: object]) => {
      const answer = await shop.broker.call<object, object>(...asked);
      if (asked[0] !== action) return answer;
      if (Array.isArray(answer)) return answer.map(change);
      return "orders" in answer && Array.isArray(answer.orders)
        ? { ...answer, orders: answer.orders.map(change) }
        : change(answer);
    };
    const broker: ServiceBroker = Object.create(shop.broker, { call: { value: answered } });
    return await verifyShop({ broker, name: "gateway" }, PAUSE);
  };

  const CASES: [string, string, string[]][] = [
    ["inventory.audit", "checked", ["I1", "I4"]],
    ["inventory.auditOrders", "units", ["I4"]],
    ["orders.audit", "offline", ["I2", "I3", "I4", "I5"]],
    ["orders.audit", "units", ["I2", "I3", "I4", "I5"]],
    ["payments.audit", "captured", ["I2"]],
    ["notifications.audit", "count", ["I5"]],
  ];

  it.each(CASES)("is not judged by %s, which lacks %s: %j are unproven", async (action, field, unproven) => {
    audits.order();
    audits.pay(audits.order({ paid: false, offline: true }), { captures: 0, captured: 0 });
    const report = await asOf(action, (row) => ({ ...row, [field]: undefined }));
    const service = action.split(".", 1);
    expect(found(report)).toEqual(
      unproven.map((id) => `${id}: Could not be checked: ${service} is of an older version.`),
    );
  });

  it("is not judged by an answer that tells more of every order, and lacks something of one", async () => {
    for (let n = 0; n < 10; n++) audits.order();
    let rows = 0;
    const report = await asOf("orders.audit", (row) => {
      rows += 1;
      return { ...row, more: 1, ...(rows === 10 ? { units: undefined } : {}) };
    });
    expect(found(report)).toEqual(
      ["I2", "I3", "I4", "I5"].map((id) => `${id}: Could not be checked: orders is of an older version.`),
    );
  });

  it.each(CASES)("is judged by %s, if it tells more", async (action) => {
    audits.order();
    const report = await asOf(action, (row) => ({ ...row, more: 1 }));
    expect([report.ok, found(report)]).toEqual([true, []]);
  });
});
