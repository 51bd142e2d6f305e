import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { judge } from "../../cli/chaos/check.ts";
import { FAULT_KINDS, faultText, planFaults, readFaults } from "../../cli/chaos/plan.ts";
import { below, isBelow } from "../../cli/chaos/processes.ts";
import { promisesOf } from "../../cli/chaos/report.ts";
import { seconds } from "../../cli/commands/chaos.ts";

const NODES = ["gateway", "orders-1", "orders-2", "products-inventory"];
const SERVERS = ["nats", "redis", "postgres"];
const OPTIONS = { seed: "1", duration: 60, kinds: FAULT_KINDS, nodes: NODES, servers: SERVERS };
/** s, and what is lost by rounding to tenths. */
const NEARLY = 0.11;

describe("the schedule of faults", () => {
  it("is the same for the same seed, and another for another", () => {
    expect(planFaults(OPTIONS)).toEqual(planFaults(OPTIONS));
    expect(planFaults({ ...OPTIONS, seed: "2" })).not.toEqual(planFaults(OPTIONS));
  });

  it("has every kind that there can be, and none that there can't", () => {
    const kinds = new Set(planFaults(OPTIONS).map(({ kind }) => kind));
    expect(kinds).toEqual(new Set(["kill", "freeze", "restart", "nats", "redis", "postgres"]));
  });

  it("ends in time, with one outage after the other, and nothing done to a frozen node", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.integer({ min: 5, max: 300 }),
        fc.subarray([...FAULT_KINDS], { minLength: 1 }),
        fc.integer({ min: 1, max: NODES.length }),
        (seed, duration, kinds, count) => {
          const nodes = NODES.slice(0, count);
          const faults = planFaults({ seed, duration, kinds, nodes, servers: SERVERS });
          const outages = faults.filter(({ kind }) => kind !== "freeze");
          for (const [index, fault] of faults.entries()) {
            expect(fault.n).toBe(index + 1);
            expect(fault.at + fault.for).toBeLessThan(duration + NEARLY);
            expect(kinds).toContain(fault.kind);
            expect(new Set(fault.targets).size).toBe(fault.targets.length);
            expect(fault.targets.length).toBeGreaterThan(0);
            const frozen = faults.filter(
              ({ kind, at, n }) => kind === "freeze" && n < fault.n && at <= fault.at,
            );
            for (const one of frozen.filter((one) => one.at + one.for > fault.at + NEARLY))
              expect(fault.targets).not.toContain(one.targets[0]);
          }
          for (const [index, { at }] of outages.entries()) {
            const before = outages[index - 1];
            if (before) expect(at).toBeGreaterThan(before.at + before.for);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it("is empty where nothing fits", () => {
    expect(planFaults({ ...OPTIONS, duration: 1 })).toEqual([]);
    expect(planFaults({ ...OPTIONS, kinds: ["mongo"] })).toEqual([]);
    expect(planFaults({ ...OPTIONS, kinds: ["kill"], nodes: [] })).toEqual([]);
  });

  it("is told in words", () => {
    expect(faultText({ kind: "kill", targets: ["orders-1", "gateway"] })).toBe(
      "kill -9 orders-1 and gateway",
    );
    expect(faultText({ kind: "nats", targets: ["nats"] })).toBe("kill -9 nats");
    expect(faultText({ kind: "freeze", targets: ["gateway"] })).toBe("freeze gateway");
  });
});

describe("its options", () => {
  it("--faults", () => {
    expect(readFaults("kill, nats")).toEqual(["kill", "nats"]);
    expect(() => readFaults("kill,fire")).toThrow("there is no fault fire, only kill, freeze");
    expect(() => readFaults("")).toThrow("there is no fault without a name");
  });

  it("--duration", () => {
    expect(["30", "30s", "2m", "10m"].map(seconds)).toEqual([30, 30, 120, 600]);
    for (const wrong of ["4", "11m", "1h", "-5", "30 s", ""]) expect(() => seconds(wrong)).toThrow("10m");
  });
});

describe("whose a process is", () => {
  const processes = new Map([
    [10, { ppid: 1, args: "cluster" }],
    [11, { ppid: 10, args: "guardian" }],
    [12, { ppid: 11, args: "nats" }],
    [20, { ppid: 1, args: "somebody else" }],
  ]);

  it("is told by who started it", () => {
    expect(below(processes, 10)).toEqual([11, 12]);
    expect(isBelow(processes, 20, 10)).toBe(false);
    expect(isBelow(processes, 10, 10)).toBe(false);
    expect(isBelow(processes, 99, 10)).toBe(false);
  });
});

const nothing = new Set<"paid" | "cancelled">();

describe("an order held against what its client was told", () => {
  it.each([
    ["paid", nothing, "confirmed", 1, undefined],
    ["paid", nothing, "cancelled", 1, /told that it is paid, and it is cancelled/],
    ["paid", nothing, "pending", 0, /told that it is paid, and it is pending/],
    ["paid", nothing, "confirmed", 2, /charged 2 times/],
    ["paid", nothing, "confirmed", 0, /confirmed, and not paid/],
    ["paid", new Set(["cancelled" as const]), "cancelled", 1, undefined],
    ["placed", nothing, "pending", 0, undefined],
    ["placed", nothing, "cancelled", 0, undefined],
    ["placed", nothing, "confirmed", 1, /told that it is placed, and it is confirmed/],
    ["placed", new Set(["paid" as const]), "confirmed", 1, undefined],
    ["cancelled", nothing, "cancelled", 1, undefined],
    ["cancelled", nothing, "confirmed", 1, /told that it is cancelled, and it is confirmed/],
  ] as const)("told %s, may be %p: %s with %i captures", (told, mayBe, status, captures, wrong) => {
    const answer = judge({ told, mayBe: new Set(mayBe) }, status, captures);
    if (wrong === undefined) expect(answer).toBeUndefined();
    else expect(answer).toMatch(wrong);
  });
});

describe("the promises", () => {
  const zero = { acknowledged: 0, refused: 0, unknown: 0 };
  const sound: Parameters<typeof promisesOf>[0] = {
    mode: "cluster",
    target: "a cluster",
    seed: "1",
    faults: [],
    told: { orders: zero, payments: zero, cancellations: zero },
    resolved: { acknowledged: 2, refused: 1, unknown: 0 },
    flow: {
      ...{
        visits: 9,
        searches: 0,
        views: 0,
        carts: 0,
        abandoned: 0,
        orders: 5,
        paid: 5,
        declined: 0,
        cancelled: 0,
      },
      ...{ sold_out: 0, failed: 0, count: 9, revenue: 0, currency: "EUR", seconds: 1, requests: 1 },
      ...{ requests_per_second: 1, orders_per_minute: 1, failures: {} },
      ...{ request_ms: { p50: null, p99: null }, checkout_ms: { p50: null, p99: null } },
    },
    orders: {
      ...{ acknowledged: 5, found: 5, final: 5, captures: { none: 1, one: 4, many: 0 } },
      ...{ longest_s: 2.5, violations: [] },
    },
    settled_s: 1,
    failing: [],
    verify: { ok: true, invariants: [], notes: [], timestamp: "2026-11-20T10:00:00.000Z" },
  };
  const broken = (change: Partial<typeof sound>) =>
    promisesOf({ ...sound, ...change })
      .filter(({ ok }) => !ok)
      .map(({ text }) => text);

  it("hold where all is well", () => {
    expect(broken({})).toEqual([]);
  });

  const breaks: [what: string, change: Partial<typeof sound>, count: number][] = [
    ["an order is lost", { orders: { ...sound.orders, found: 4, final: 4 } }, 2],
    ["one is not what it was told to be", { orders: { ...sound.orders, final: 4 } }, 1],
    ["one is still under way", { settled_s: null }, 1],
    ["one was charged twice", { orders: { ...sound.orders, captures: { none: 1, one: 3, many: 1 } } }, 1],
    ["an outcome stays unknown", { resolved: { acknowledged: 2, refused: 0, unknown: 1 } }, 1],
    ["a node is not back", { failing: ["orders-1: no answer"] }, 1],
    ["verify can't be asked", { verify: { error: "No shop answers." } }, 1],
  ];
  it.each(breaks)("are broken when %s", (_, change, count) => {
    expect(broken(change)).toHaveLength(count);
  });
});
