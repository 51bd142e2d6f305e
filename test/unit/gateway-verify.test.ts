import { describe, expect, it } from "@jest/globals";
import { v7 } from "uuid";
import { madeAt } from "../../lib/ids.ts";
import {
  before,
  judgeMoney,
  judgeProgress,
  judgeStock,
  judgeTold,
  type OrderRow,
  type PaymentRow,
} from "../../services/gateway/verify-rules.ts";
import type { OrderStock } from "../../services/inventory/inventory.contract.ts";

const ID = v7({ msecs: 1_700_000_000_000 });

const UNITS = "3×1, 7×2";

const order = (fields: Partial<OrderRow> = {}): OrderRow => ({
  order_id: ID,
  number: "MC-000001",
  status: "confirmed",
  total: 2999,
  refunded: 0,
  paid: true,
  offline: false,
  units: UNITS,
  saga: null,
  saga_age_ms: null,
  overdue_ms: null,
  telling: false,
  ...fields,
});
const payment = (fields: Partial<PaymentRow> = {}): PaymentRow => ({
  order_id: ID,
  captures: 1,
  captured: 2999,
  refunded: 0,
  processing: 0,
  ...fields,
});
const NOTHING = { captures: 0, captured: 0 };

describe("I2, the money of an order", () => {
  const CASES: [string, OrderRow, PaymentRow | undefined, RegExp | undefined][] = [
    ["paid in full", order(), payment(), undefined],
    [
      "paid and refunded in part, on both sides",
      order({ refunded: 500 }),
      payment({ refunded: 500 }),
      undefined,
    ],
    ["delivered", order({ status: "delivered" }), payment(), undefined],
    ["free", order({ total: 0 }), payment({ captured: 0 }), undefined],
    [
      "confirmed by an admin without a payment",
      order({ paid: false, offline: true }),
      payment(NOTHING),
      undefined,
    ],
    [
      "confirmed by nobody without a payment",
      order({ paid: false }),
      payment(NOTHING),
      /confirmed without a payment, and no admin/,
    ],
    [
      "shipped so",
      order({ status: "shipped", paid: false }),
      undefined,
      /shipped without a payment, and no admin/,
    ],
    [
      "refunded, that an admin confirmed",
      order({ status: "refunded", paid: false, offline: true }),
      undefined,
      undefined,
    ],
    [
      "the same, and something was captured",
      order({ paid: false, offline: true }),
      payment(),
      /29\.99 of it is kept/,
    ],
    [
      "pending, with nothing",
      order({ status: "pending", paid: false, saga: "waiting" }),
      payment(NOTHING),
      undefined,
    ],
    [
      "pending, unknown to payments",
      order({ status: "pending", paid: false, saga: "waiting" }),
      undefined,
      undefined,
    ],
    [
      "cancelled before it was paid",
      order({ status: "cancelled", paid: false }),
      payment(NOTHING),
      undefined,
    ],
    ["cancelled and given back", order({ status: "cancelled" }), payment({ refunded: 2999 }), undefined],
    ["refunded", order({ status: "refunded", refunded: 2999 }), payment({ refunded: 2999 }), undefined],
    ["between two steps", order({ status: "pending", paid: false, saga: "running" }), payment(), undefined],
    ["being undone", order({ status: "cancelled", saga: "compensating" }), payment(), undefined],
    ["captured twice", order(), payment({ captures: 2, captured: 5998 }), /captured 2 times/],
    [
      "captured twice while it is moving",
      order({ saga: "running" }),
      payment({ captures: 2 }),
      /captured 2 times/,
    ],
    ["confirmed and never captured", order(), payment(NOTHING), /comes to 29.99 and 0.00 was captured/],
    ["confirmed, unknown to payments", order(), undefined, /0.00 was captured/],
    ["captured for less", order(), payment({ captured: 2998 }), /29.98 was captured/],
    ["captured for more", order(), payment({ captured: 3000 }), /30.00 was captured/],
    [
      "captured and not confirmed",
      order({ status: "pending", paid: false, saga: "waiting" }),
      payment(),
      /pending and 29.99 of it is kept/,
    ],
    ["cancelled and kept", order({ status: "cancelled" }), payment(), /cancelled and 29.99/],
    [
      "cancelled and kept in part",
      order({ status: "cancelled" }),
      payment({ refunded: 2000 }),
      /cancelled and 9.99/,
    ],
    ["parked and kept", order({ status: "cancelled", saga: "parked" }), payment(), /cancelled and 29.99/],
    ["refunded and kept", order({ status: "refunded" }), payment(), /refunded and 29.99/],
    [
      "given back more than taken",
      order({ status: "cancelled" }),
      payment({ refunded: 3000 }),
      /-0.01 of it is kept/,
    ],
    ["refunded on one side", order(), payment({ refunded: 500 }), /other refunds/],
    ["refunded on the other", order({ refunded: 500 }), payment(), /other refunds/],
  ];

  it.each(CASES)("%s", (_name, row, money, expected) => {
    const found = judgeMoney(row, money);
    expect(found.map(({ invariant }) => invariant)).toEqual(expected ? ["I2"] : []);
    if (expected) expect(found[0]?.message).toMatch(expected);
  });

  it("shows both sides of what it found", () => {
    expect(judgeMoney(order(), payment({ captured: 1 }))[0]?.row).toMatchObject({
      order_id: ID,
      total: 2999,
      captured: 1,
      refunded_by_payments: 0,
    });
  });
});

describe("I3, the progress of an order", () => {
  const pending = (fields: Partial<OrderRow>) => order({ status: "pending", paid: false, ...fields });
  const CASES: [string, OrderRow, RegExp | undefined][] = [
    ["done", order(), undefined],
    ["waiting for its payment", pending({ saga: "waiting", saga_age_ms: 10_000_000 }), undefined],
    ["waiting a little too long", pending({ saga: "waiting", overdue_ms: 119_000 }), undefined],
    ["waiting too long", pending({ saga: "waiting", overdue_ms: 121_000 }), /121 s past its reservation/],
    ["under way", pending({ saga: "running", saga_age_ms: 119_000 }), undefined],
    ["under way for too long", pending({ saga: "running", saga_age_ms: 121_000 }), /under way for 121 s/],
    [
      "being undone for too long",
      order({ status: "cancelled", saga: "compensating", saga_age_ms: 300_000 }),
      /under way for 300 s/,
    ],
    ["parked", pending({ saga: "parked", saga_age_ms: 1 }), /parked/],
    ["pending and forgotten", pending({ saga: null }), /nothing drives it/],
    ["pending after its saga was done", pending({ saga: "done" }), /nothing drives it/],
  ];

  it.each(CASES)("%s", (_name, row, expected) => {
    const found = judgeProgress(row);
    expect(found.map(({ invariant }) => invariant)).toEqual(expected ? ["I3"] : []);
    if (expected) expect(found[0]?.message).toMatch(expected);
  });
});

describe("I4, the units of an order", () => {
  const stock = (state: OrderStock["state"], units = UNITS): OrderStock => ({ order_id: ID, state, units });
  const pending = (saga: string) => order({ status: "pending", paid: false, saga });
  const cancelled = order({ status: "cancelled" });
  const CASES: [string, OrderRow, OrderStock | undefined, RegExp | undefined][] = [
    ...(["confirmed", "processing", "shipped", "delivered", "refunded"] as const).flatMap(
      (status): [string, OrderRow, OrderStock, RegExp | undefined][] => [
        [`sold, and it is ${status}`, order({ status }), stock("committed"), undefined],
        [`returned, and it is ${status}`, order({ status }), stock("returned"), /units are not sold/],
      ],
    ),
    ["reserved for one that waits", pending("waiting"), stock("reserved"), undefined],
    ["given back, and it waits", pending("waiting"), stock("released"), /pending and .* not reserved/],
    ["sold, and it waits", pending("waiting"), stock("committed"), /pending and .* not reserved/],
    ["none, of one cancelled", cancelled, undefined, undefined],
    ["released, of one cancelled", cancelled, stock("released"), undefined],
    ["returned, of one cancelled", cancelled, stock("returned"), undefined],
    ["reserved, of one cancelled", cancelled, stock("reserved"), /still reserved/],
    ["sold, of one cancelled", cancelled, stock("committed"), /still sold/],
    ["none, of one confirmed", order(), undefined, /not sold/],
    ["none", order(), stock("committed", ""), /other units are sold than it has/],
    ["fewer", order(), stock("committed", "3×1"), /other units/],
    ["more", order({ units: "7×2" }), stock("committed"), /other units/],
    ["anywhere, while it moves", pending("running"), stock("committed"), undefined],
    ["anywhere, while it is undone", pending("compensating"), stock("released"), undefined],
    ["anywhere, of one parked", pending("parked"), stock("released"), undefined],
  ];

  it.each(CASES)("%s", (_name, row, found, expected) => {
    const violations = judgeStock(row, found);
    expect(violations.map(({ invariant }) => invariant)).toEqual(expected ? ["I4"] : []);
    if (expected) expect(violations[0]?.message).toMatch(expected);
  });
});

describe("I5, what the customer was told", () => {
  const told = (type: string, count = 1) => ({ order_id: ID, type, count });
  const later = madeAt(ID) + 61_000;
  const soon = madeAt(ID) + 59_000;
  type Case = [string, OrderRow, ReturnType<typeof told>[], number, RegExp | undefined];
  const CASES: Case[] = [
    ["all", order(), [told("order.placed"), told("order.confirmed")], later, undefined],
    [
      "two refunds, each once",
      order(),
      [told("order.confirmed"), told("payment.refunded"), told("payment.refunded")],
      later,
      undefined,
    ],
    ["not yet", order(), [], soon, undefined],
    ["not, and it is late", order(), [told("order.placed")], later, /was not told/],
    ...(["processing", "shipped", "delivered", "refunded"] as const).map(
      (status): Case => [`not, and is ${status}`, order({ status }), [], later, /was not told/],
    ),
    ["not, of an order that came to nothing", order({ status: "cancelled" }), [], later, undefined],
    ["not, and its event is on its way, or a dead letter", order({ telling: true }), [], later, undefined],
    ["not, while it is moving", order({ saga: "running" }), [], later, undefined],
    ["not, as far as is known after 60 days", order(), [], madeAt(ID) + 60 * 86_400_000, undefined],
    ["not, 59 days ago", order(), [], madeAt(ID) + 59 * 86_400_000, /was not told/],
    ["twice", order(), [told("order.confirmed", 2)], soon, /order.confirmed 2 times/],
  ];

  it.each(CASES)("%s", (_name, row, messages, now, expected) => {
    const found = judgeTold(row, messages, now);
    expect(found.map(({ invariant }) => invariant)).toEqual(expected ? ["I5"] : []);
    if (expected) expect(found[0]?.message).toMatch(expected);
  });
});

describe("a UUIDv7", () => {
  it("tells when it was made", () => {
    expect(madeAt(ID)).toBe(1_700_000_000_000);
  });

  it.each([
    ["01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11", "01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c10"],
    ["01936f6e-2f7a-7cc3-98a4-000000000000", "01936f6e-2f7a-7cc3-98a3-ffffffffffff"],
    ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000000"],
  ])("%s comes after %s", (uuid, expected) => {
    expect(before(uuid)).toBe(expected);
  });
});
