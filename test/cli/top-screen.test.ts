import { afterEach, describe, expect, it } from "@jest/globals";
import { cleanup, render } from "ink-testing-library";
import { createElement as h } from "react";
import { Snapshots } from "../../cli/status/snapshot.ts";
import { TopScreen } from "../../cli/ui/top-screen.ts";
import { emptyView, type TopView, type Wanted } from "../../cli/ui/top-view.ts";
import { SERVICE_NAMES } from "../../lib/service-names.ts";
import { eventually } from "../helpers/client.ts";
import { AT, aNode, aStatus } from "../helpers/shop-status.ts";

afterEach(cleanup);

/** A frame without colours, its lines without the blanks at their end. */
const plain = (frame: string | undefined) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are
  (frame ?? "").replace(/\u001b\[[0-9;]*m/g, "").replace(/ +$/gm, "");

const URL = "http://shop.example";
const KEYS = { enter: "\r", escape: "\u001b", tab: "\t", down: "\u001b[B" };

/** A shop of three nodes after two looks, 2 s apart. */
function aView(): TopView {
  const snapshots = new Snapshots(URL);
  const nodes = (calls: number) => [
    aNode("edge", { gateway: { calls, errors: 0 } }, 4000),
    aNode(
      "core-1",
      Object.fromEntries(
        SERVICE_NAMES.slice(1).map((name, index) => [name, { calls: calls * index, errors: 0 }]),
      ),
    ),
    aNode("core-2", { orders: { calls, errors: calls / 10 } }),
  ];
  const status = (seconds: number, calls: number) =>
    aStatus({
      timestamp: new Date(AT + seconds * 1000).toISOString(),
      nodes: nodes(calls),
      sales: {
        currency: "EUR",
        minutes: [4, 8, 2].map((orders, index) => ({
          minute: new Date(AT + (index - 2) * 60_000).toISOString(),
          ...{ orders, paid: orders, revenue: orders * 10 },
        })),
      },
      sagas: { running: 2, compensating: 1, waiting: 5, parked: 1, stuck: 1, oldest_s: 200 },
      queues: [{ queue: "events-cart", pending: 3, scheduled: 0, dead: 2, oldest_s: 12 }],
      low_stock: {
        threshold: 5,
        count: 1,
        products: [{ id: 7, sku: "POT", name: "Donabe (土鍋)", available: 0 }],
      },
    });
  snapshots.take(status(0, 100));
  return { ...emptyView(URL), ...snapshots.take(status(2, 120)) };
}

function open(view: TopView, size = { columns: 80, rows: 24 }) {
  const wanted: Wanted[] = [];
  const ended: true[] = [];
  const props = {
    ...{ hasKeys: true, size },
    want: (one: Wanted) => void wanted.push(one),
    quit: () => void ended.push(true),
  };
  const screen = render(h(TopScreen, { view, ...props }));
  const frame = () => plain(screen.lastFrame());
  return {
    ...{ wanted, ended, frame },
    show: (next: TopView) => screen.rerender(h(TopScreen, { view: next, ...props })),
    press: (keys: string) => screen.stdin.write(keys),
    shows: (text: string | RegExp) => eventually(async () => new RegExp(text).test(frame())),
  };
}

describe("the screen of top", () => {
  it("fits 80x24", () => {
    const lines = open(aView()).frame().split("\n");
    expect(lines.slice(0, 14)).toEqual([
      "HEALTHY  http://shop.example  nodes 3/3  10:00:02 UTC",
      "calls/s            370  █",
      "orders/min          10  ▅█▃",
      "EUR/min           97.3  ▅█▃",
      "requests/s 10 · p50 2.5 ms, p99 40 ms · errors/s 1 · open circuits 0",
      "sagas 3, stuck 1, parked 1 · dead letters 2 · jobs 12 s late · low stock 1",
      "postgres ✓ 1.2 ms",
      "[1 services] 2 nodes  3 orders  4 sagas  5 queues  6 stock    ? help  q quit",
      "   service         ready     calls/s   p50 ms   p99 ms   errors/s   circuits",
      "❯✓ gateway         1 of 1       10.0      2.5     40.0          0          0",
      expect.stringMatching(/^ ✓ \w+ +1 of 1 +0 /),
      ...lines.slice(11, 14),
    ]);
    expect(lines.length).toBeLessThanOrEqual(23);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    const orders = lines.find((line) => line.startsWith(" ✓ orders"));
    expect(orders).toMatch(/^ ✓ orders +2 of 2 +60\.0 +2\.5 +40\.0 +1\.0 +0$/);
    expect(lines.some((line) => line.startsWith("   node 2/3 "))).toBe(true);
  });

  it("shows more on a larger terminal", () => {
    const lines = open(aView(), { columns: 100, rows: 45 }).frame().split("\n");
    expect(lines.length).toBeLessThanOrEqual(44);
    for (const text of ["core-2", "events-cart", "Donabe (土鍋)"]) {
      expect(lines.some((line) => line.includes(text))).toBe(true);
    }
    expect(lines.find((line) => line.includes("service  "))).toMatch(/circuits +errors$/);
  });

  it("leaves lines for rows on a small terminal, and says where there is no room", () => {
    const lines = open(aView(), { columns: 40, rows: 10 }).frame().split("\n");
    expect(lines.slice(0, 5)).toEqual([
      "HEALTHY  http://shop.example  nodes 3/3…",
      "sagas 3, stuck 1, parked 1 · dead lette…",
      "[1 services] 2 nodes  3 orders  4 sagas…",
      expect.stringMatching(/^ {3}service 5\/10 +ready/),
      expect.stringMatching(/^❯✓ gateway +1 of 1/),
    ]);
    expect(lines).toHaveLength(9);
    const trouble = { message: "No shop answers.", since: "2026-11-20T10:00:05.000Z" };
    expect(open({ ...aView(), trouble }, { columns: 40, rows: 10 }).frame()).toContain(
      "\nNo shop answers.\n",
    );
    expect(open(aView(), { columns: 40, rows: 6 }).frame()).toMatch(/\n❯✓ gateway/);
    const tiny = open(aView(), { columns: 40, rows: 5 }).frame();
    expect(tiny).toBe("Too small: top needs 6 lines. q quits");
  });

  it("cuts what is too long for a small terminal", async () => {
    const { press, shows } = open(aView(), { columns: 80, rows: 10 });
    press("?");
    await shows(/\nTab, 1 to 6 +the next list, or one by its number\n↑ ↓, j k +choose a row\n/);
    press("2");
    press(KEYS.enter);
    await shows(/\nnode +edge, ready\nfailing +-\nversion +[\d.]+ on Node [\d.]+\n/);
  });

  it("is sorted, filtered and paused by keys", async () => {
    const { press, shows, show, frame } = open(aView());
    press("sssr");
    await shows("calls/s▲");
    press("s".repeat(5));
    press("/");
    await shows("Filter services: ▏");
    press("pay");
    await shows("Filter services: pay▏");
    press(KEYS.enter);
    await shows(/\[1 services \/pay\].*❯✓ payments/s);
    expect(frame()).not.toContain("inventory");
    press(" ");
    await shows("PAUSED");
    show({ ...aView(), url: "http://later.example" });
    expect(frame()).toContain(URL);
    press(" ");
    await shows("http://later.example");
    press("?");
    await shows("the other way round");
    press("q");
  });

  it("looks into a node, and into an order", async () => {
    const { press, shows, wanted, show } = open(aView());
    press(KEYS.tab);
    await shows(/\[2 nodes\]/);
    press(KEYS.down);
    await shows("❯✓ core-1");
    press(KEYS.enter);
    await shows(/node +core-1, ready\n.*there and back 0.8 ms\n.*service 6\/9 +calls\/s▼/s);
    press("3");
    await shows("none");
    const order = {
      ...{ id: "01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11", number: "MC-000042", user_id: "0" },
      ...{ status: "confirmed" as const, items: [], subtotal: 5, shipping: 0, tax: 0, total_amount: 5 },
      ...{ refunded_amount: 0, currency: "EUR", shipping_address: "-", payment: null, synthetic: false },
      ...{ reserved_until: null, cancel_reason: null, created_at: "2026-11-20T10:00:00.000Z" },
      updated_at: "2026-11-20T10:00:00.000Z",
    };
    show({ ...aView(), orders: [order] });
    await shows(/❯✓ MC-000042 +confirmed +5.00 EUR/);
    press(KEYS.enter);
    await shows("Looking…");
    await eventually(async () => wanted.at(-1)?.order === order.id);
    expect(wanted.at(-1)).toEqual({ list: "orders", order: order.id });
    const history = [
      { at: order.created_at, from: null, to: "pending" as const, reason: null, by: "customer" },
    ];
    show({ ...aView(), orders: [order], sight: { order: { ...order, history }, saga: undefined } });
    await shows("10:00:00  ● pending  by customer");
    press(KEYS.escape);
    await shows("❯✓ MC-000042");
  });

  it("says that the shop does not answer, and that it does again", async () => {
    const { show, frame } = open(emptyView(URL));
    expect(frame()).toContain("Looking…");
    const trouble = { message: "No shop answers.", since: "2026-11-20T10:00:05.000Z" };
    show({ ...aView(), trouble });
    expect(frame()).toMatch(/^NO ANSWER since 10:00:05 {2}http/);
    expect(frame()).toContain("\nNo shop answers.\n");
    show(aView());
    expect(frame()).toMatch(/^HEALTHY/);
  });

  it.each(["q", "\u0003"])("ends at %j", async (key) => {
    const { press, ended } = open(aView());
    press(key);
    await eventually(async () => ended.length === 1);
  });
});
