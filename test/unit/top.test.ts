import { describe, expect, it } from "@jest/globals";
import { lastMinute, RateMeter, sumOf } from "../../cli/status/rates.ts";
import { jobsOf, Snapshots, snapshotLine } from "../../cli/status/snapshot.ts";
import { arranged, partsOf, widthsOf, windowOf } from "../../cli/ui/top-layout.ts";
import type { Column, List } from "../../cli/ui/top-lists.ts";
import { cursorOf, press, startTop, type TopKey, type TopState } from "../../cli/ui/top-state.ts";
import type { NodeStatus } from "../../services/gateway/status.contract.ts";
import { AT, aNode, aStatus } from "../helpers/shop-status.ts";

const at = (seconds: number) => new Date(AT + seconds * 1000).toISOString();
const orders = (node: string, calls: number, errors = 0, uptime = 100): NodeStatus =>
  aNode(node, { orders: { calls, errors } }, uptime);

describe("rates", () => {
  const take = (meter: RateMeter, seconds: number, nodes: NodeStatus[], now = seconds * 1000) => {
    const rates = meter.take({ timestamp: at(seconds), nodes }, now);
    return rates && Object.fromEntries([...rates].map(([id, services]) => [id, services.get("orders")]));
  };

  it("are of the time between two answers, by node", () => {
    const meter = new RateMeter();
    expect(take(meter, 0, [orders("a", 100), orders("b", 7)])).toEqual({});
    expect(take(meter, 2, [orders("a", 150, 4, 102), orders("b", 7, 0, 102)])).toEqual({
      a: { calls_per_s: 25, errors_per_s: 2 },
      b: { calls_per_s: 0, errors_per_s: 0 },
    });
  });

  it("are not told of an answer that is no newer, except of another gateway's clock", () => {
    const meter = new RateMeter();
    take(meter, 10, [orders("a", 100)], 0);
    expect(take(meter, 10, [orders("a", 100)], 1000)).toBeUndefined();
    expect(take(meter, 9, [orders("a", 90)], 2000)).toBeUndefined();
    expect(take(meter, 4, [orders("a", 200)], 6000)).toEqual({
      a: { calls_per_s: null, errors_per_s: null },
    });
    expect(take(meter, 5, [orders("a", 210)], 7000)).toEqual({ a: { calls_per_s: 10, errors_per_s: 0 } });
  });

  it("begin anew with a node that was started again", () => {
    const meter = new RateMeter();
    take(meter, 0, [orders("a", 1000, 50)]);
    expect(take(meter, 4, [orders("a", 30, 2, 2)])).toEqual({ a: { calls_per_s: 15, errors_per_s: 1 } });
    // Its clock says nothing, its counters do.
    expect(take(meter, 5, [orders("a", 20, 0, 3)])).toEqual({ a: { calls_per_s: 20, errors_per_s: 0 } });
  });

  it("of a node that was silent for a while are over all of it, and of one that is new are unknown", () => {
    const meter = new RateMeter();
    const silent = { ...orders("a", 0), state: "silent" as const, figures: null };
    take(meter, 0, [orders("a", 100)]);
    expect(take(meter, 1, [silent])).toEqual({});
    expect(take(meter, 4, [orders("a", 140, 0, 104), orders("b", 9, 0, 1)])).toEqual({
      a: { calls_per_s: 10, errors_per_s: 0 },
    });
  });

  it("add up as far as they are known", () => {
    const unknown = { calls_per_s: null, errors_per_s: null };
    expect(sumOf([unknown, undefined])).toEqual(unknown);
    expect(
      sumOf([unknown, { calls_per_s: 2, errors_per_s: 0 }, { calls_per_s: 3, errors_per_s: 1 }]),
    ).toEqual({
      calls_per_s: 5,
      errors_per_s: 1,
    });
  });

  it("a minute are of the last 60 s", () => {
    const minutes = [
      { minute: at(0), orders: 60, paid: 60, revenue: 600 },
      { minute: at(60), orders: 10, paid: 8, revenue: 100 },
    ];
    expect(lastMinute(minutes, "orders", AT + 60_000)).toBe(70);
    expect(lastMinute(minutes, "orders", AT + 75_000)).toBe(55);
    expect(lastMinute(minutes, "revenue", AT + 120_000)).toBe(100);
    expect(lastMinute([], "orders", AT)).toBe(0);
  });
});

describe("a snapshot", () => {
  it("has the rates of the whole, and keeps them while there is nothing new", () => {
    const snapshots = new Snapshots("http://shop.example");
    const nodes = (calls: number) => [
      aNode("a", { gateway: { calls, errors: 0 }, orders: { calls: 3 * calls, errors: 0 } }),
      aNode("b", { orders: { calls, errors: calls / 10 } }),
    ];
    const first = snapshots.take(aStatus({ timestamp: at(0), nodes: nodes(10) })).snapshot;
    expect([first.calls_per_s, first.requests_per_s, first.errors_per_s]).toEqual([null, null, null]);
    const taken = snapshots.take(aStatus({ timestamp: at(2), nodes: nodes(30) }));
    const second = taken.snapshot;
    expect([second.calls_per_s, second.requests_per_s, second.errors_per_s]).toEqual([40, 10, 1]);
    expect(second.services.find(({ name }) => name === "orders")).toMatchObject({
      calls_per_s: 40,
      versions: ["0.1.0"],
    });
    expect(taken.series.calls).toEqual([40]);
    expect(snapshots.take(aStatus({ timestamp: at(2), nodes: nodes(30) })).snapshot).toBe(second);
    expect(snapshotLine(second)).toContain("  nodes 2/2  requests/s 10  calls/s 40  ");
  });

  it("adds the queues up", () => {
    const queue = { scheduled: 0, pending: 0, dead: 0, oldest_s: 0 };
    expect(
      jobsOf([
        { ...queue, queue: "a", pending: 2, oldest_s: 9 },
        { ...queue, queue: "b", dead: 3 },
      ]),
    ).toEqual({ pending: 2, dead: 3, oldest_s: 9 });
    expect(jobsOf(null)).toBeNull();
  });
});

describe("the layout", () => {
  const rows = (...names: string[]): List["rows"] =>
    names.map((name, index) => ({
      key: name,
      cells: [name, String(index)],
      values: [name, index],
      tone: "plain",
    }));
  const list: List = { columns: [], rows: rows("b", "a", "c") };
  const keys = (filter: string, column: number | null, descending: boolean) =>
    arranged(list, filter, { column, descending }).map(({ key }) => key);

  it("sorts and filters", () => {
    expect(keys("", null, false)).toEqual(["b", "a", "c"]);
    expect(keys("", null, true)).toEqual(["c", "a", "b"]);
    expect(keys("", 0, false)).toEqual(["a", "b", "c"]);
    expect(keys("", 1, true)).toEqual(["c", "a", "b"]);
    expect(keys("A", 0, false)).toEqual(["a"]);
  });

  it("gives the lines to the active list first, then to what has a row", () => {
    const counts = { services: 10, nodes: 5, queues: 0, stock: 3 };
    const given = (height: number, active: "services" | "nodes" | "orders") =>
      partsOf(height, active, counts).map(({ name, rows: own }) => `${name} ${own}`);
    expect(given(15, "services")).toEqual(["services 10", "nodes 2"]);
    expect(given(15, "nodes")).toEqual(["services 7", "nodes 5"]);
    expect(given(15, "orders")).toEqual(["services 10", "orders 1"]);
    expect(given(40, "services")).toEqual(["services 10", "nodes 5", "stock 3"]);
    expect(given(1, "services")).toEqual([]);
    for (let height = 2; height < 60; height++) {
      const parts = partsOf(height, "nodes", counts);
      const lines = parts.reduce((sum, part) => sum + part.rows + 1, 0) + parts.length - 1;
      expect(lines).toBeLessThanOrEqual(height);
    }
  });

  it("keeps the cursor's row in the window", () => {
    expect(windowOf(5, 10, 4)).toEqual({ start: 0, end: 5 });
    for (let cursor = 0; cursor < 30; cursor++) {
      const { start, end } = windowOf(30, 7, cursor);
      expect(end - start).toBe(7);
      expect(start <= cursor && cursor < end).toBe(true);
    }
  });

  it("leaves out columns that don't fit, and gives the first what is left", () => {
    const column = (title: string, width: number, from = 0): Column => ({
      title,
      width,
      from,
      isNumber: false,
    });
    const columns = [column("name", 10), column("b", 8), column("c", 8), column("d", 4, 60)];
    const long = rows("a name of some length");
    expect(widthsOf(columns, long, 80)).toEqual([21, 8, 8, 4]);
    expect(widthsOf(columns, long, 40)).toEqual([20, 8, 8, null]);
    expect(widthsOf(columns, long, 22)).toEqual([12, 8, null, null]);
  });
});

describe("the keys of top", () => {
  const KEYS = ["a", "b", "c"];
  const columns = [{ isNumber: false }, { isNumber: true }];
  const before = { keys: KEYS, columns, view: "now" };
  const text = (letter: string): TopKey => ({ name: "text", text: letter });
  function pressed(...keys: (TopKey | TopKey["name"])[]): TopState<string> {
    let state: TopState<string> = startTop();
    for (const key of keys) {
      const next = press(state, typeof key === "string" ? keyOf(key) : key, before);
      if (next === null) throw new Error("It has quit.");
      state = next;
    }
    return state;
  }
  const keyOf = (name: TopKey["name"]): TopKey => (name === "text" ? text("x") : { name });

  it("move the cursor with its row, and never off the list", () => {
    expect(cursorOf(pressed("down"), KEYS)).toBe(1);
    expect(cursorOf(pressed("down"), ["b", "a"])).toBe(0);
    expect(cursorOf(pressed("pageDown", text("j")), KEYS)).toBe(2);
    expect(cursorOf(pressed("pageDown", "pageUp", text("k")), KEYS)).toBe(0);
  });

  it("sort by one column after the other, numbers from the highest", () => {
    expect(pressed(text("s")).sorts.services).toEqual({ column: 0, descending: false });
    expect(pressed(text("s"), text("s")).sorts.services).toEqual({ column: 1, descending: true });
    expect(pressed(text("s"), text("s"), text("r")).sorts.services.descending).toBe(false);
    expect(pressed(text("s"), text("s"), text("s")).sorts.services.column).toBeNull();
  });

  it("filter, and show all again", () => {
    const typing = pressed(text("/"), text("q"), text("s"));
    expect(typing).toMatchObject({ filter: "qs", isTyping: true });
    expect(press(typing, { name: "backspace" }, before)).toMatchObject({ filter: "q" });
    expect(press(typing, { name: "enter" }, before)).toMatchObject({ filter: "qs", isTyping: false });
    expect(press(typing, { name: "escape" }, before)).toMatchObject({ filter: "", isTyping: false });
    expect(pressed(text("/"), text("x"), "enter", "escape").filter).toBe("");
  });

  it("pause with what is shown, look into a row, and come back", () => {
    expect(pressed(text(" ")).frozen).toBe("now");
    expect(pressed(text(" "), text(" ")).frozen).toBeUndefined();
    expect(pressed("down", "enter").detail).toEqual({ list: "services", key: "b" });
    expect(pressed("down", "enter", "escape").detail).toBeUndefined();
    expect(pressed("enter", text("2"))).toMatchObject({ list: "nodes", detail: undefined });
    expect(pressed(text("5"), "enter").detail).toBeUndefined();
    expect(pressed("backTab", "tab", "tab").list).toBe("nodes");
    expect(pressed(text("?"), "escape").isHelp).toBe(false);
    expect(press(pressed(), text("q"), before)).toBeNull();
  });
});
