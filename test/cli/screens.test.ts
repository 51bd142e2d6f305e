import { afterEach, describe, expect, it } from "@jest/globals";
import { cleanup, render } from "ink-testing-library";
import { createElement as h } from "react";
import { FlowFigures } from "../../cli/actions/flow-figures.ts";
import type { HealthReport } from "../../cli/actions/health.ts";
import { progressOf } from "../../cli/lib/progress.ts";
import { FlowScreen } from "../../cli/ui/flow-screen.ts";
import { HealthScreen } from "../../cli/ui/health-screen.ts";
import { OrderScreen } from "../../cli/ui/order-screen.ts";
import { ProgressBar } from "../../cli/ui/progress-bar.ts";
import type { NodeStatus } from "../../services/gateway/status.contract.ts";
import type { Order } from "../../services/orders/orders.contract.ts";
import { plain } from "./support.ts";

afterEach(cleanup);

const AT = "2026-11-20T10:00:00.000Z";

describe("health --watch", () => {
  const SILENT: NodeStatus = { id: "node-2", state: "silent", failing: [], services: [], figures: null };
  const report: HealthReport = {
    ok: true,
    status: "degraded",
    url: "http://shop.example",
    services: {
      gateway: {
        ...{ status: "healthy", instances: 2, ready: 2, versions: ["0.1.0", "0.2.0"] },
        ...{ calls: 9, errors: 0, p50_ms: 4.21, p99_ms: 31, open_circuits: 1 },
      },
      cart: { status: "unhealthy", instances: 1, ready: 0 },
    },
    gateway: { latency_ms: 4.2, ready: false, failing: ["cart: redis"] },
    nodes: [
      {
        ...{ id: "node-1", state: "not ready", failing: ["cart: redis"], services: [] },
        figures: {
          ...{ version: "0.1.0", node_version: "24.0.0", uptime_s: 3700, cpu_percent: 12 },
          ...{ rss_bytes: 123_456_789, event_loop_lag_ms: 12.3, latency_ms: 0.8 },
        },
      },
      SILENT,
    ],
    stores: [
      { name: "postgres", up: true, latency_ms: 1.2, failing: [] },
      { name: "redis", up: false, latency_ms: null, failing: ["node-1 cart: redis"] },
    ],
    jobs: { pending: 2, dead: 1, oldest_s: 75 },
    sagas: { running: 3, compensating: 0, waiting: 2, parked: 1, stuck: 0, oldest_s: 4 },
    checked_at: AT,
  };

  it("shows each service and node, the stores, the jobs and the sagas", () => {
    expect(plain(render(h(HealthScreen, { report, height: 24 })).lastFrame())).toBe(
      [
        "DEGRADED  http://shop.example",
        "10:00:00 UTC · Ctrl-C ends",
        "",
        "   service  status     ready   version          p50      p99  open circuits",
        "✓  gateway  healthy    2 of 2  0.1.0, 0.2.0  4.2 ms  31.0 ms              1",
        "✗  cart     unhealthy  0 of 1                     -        -              0",
        "",
        "   node    state             up  memory      lag  latency  runs",
        "✗  node-1  not ready  1 h 1 min  123 MB  12.3 ms   0.8 ms  cart: redis",
        "✗  node-2  silent             -       -        -        -  0",
        "",
        "gateway  4.2 ms, not ready: cart: redis",
        "stores   postgres ✓ 1.2 ms · redis ✗",
        "         ✗ node-1 cart: redis",
        "jobs     2 due, the oldest for 1 min 15 s, 1 dead letter",
        "sagas    3 under way, 2 waiting, 0 stuck, 1 parked",
      ].join("\n"),
    );
  });

  it("shows more nodes than fit with what is ill first, and healthy services in one line", () => {
    const nodes = [
      ...Array.from({ length: 30 }, (_, index) => ({ ...SILENT, state: "ready" as const, id: `n-${index}` })),
      SILENT,
    ];
    const lines = plain(
      render(h(HealthScreen, { height: 24, report: { ...report, nodes } })).lastFrame(),
    ).split("\n");
    expect(lines).toContain("✓  1 service healthy");
    expect(lines[8]).toMatch(/^✗ {2}node-2 /);
    expect(lines[1]).toMatch(/ · \d+ more nodes$/);
    expect(lines.length).toBeLessThan(24);
  });

  it("shows that the shop is down", () => {
    const down = {
      ...report,
      ok: false,
      status: "down" as const,
      services: {},
      gateway: null,
      nodes: null,
      stores: null,
      jobs: null,
      sagas: null,
      error: "No answer.",
    };
    const frame = plain(render(h(HealthScreen, { report: down })).lastFrame());
    expect(frame).toMatch(/^DOWN {2}http:\/\/shop.example\n.*\nNo answer\.\n/);
  });
});

describe("a bar of progress", () => {
  it("has rate and time left, and no end where nobody knows it", () => {
    const half = progressOf("product", 60, 100, 20, 10);
    expect(plain(render(h(ProgressBar, { progress: half })).lastFrame())).toBe(
      `${"█".repeat(36)}${"░".repeat(24)} 60 %\n60 of 100 products, 4/s, 10 s left`,
    );
    const open = progressOf("byte", 5000, undefined, 0, 2, "asked to wait 3 s");
    expect(plain(render(h(ProgressBar, { progress: open })).lastFrame())).toBe(
      "5,000 bytes, 2,500/s, asked to wait 3 s",
    );
  });
});

describe("order flow", () => {
  it("shows figures and the last seconds", () => {
    const figures = new FlowFigures(4);
    figures.add("visits");
    figures.fail("SERVICE_UNAVAILABLE");
    const frame = plain(render(h(FlowScreen, { report: figures.report(), rates: [0, 2, 4] })).lastFrame());
    expect(frame).toContain("█".repeat(15));
    expect(frame).toContain(" 25 %\n");
    expect(frame).toContain("failed     1: SERVICE_UNAVAILABLE × 1\n");
    expect(frame).toContain("orders/s   ▁▅█\n");
    expect(frame.split("\n").length).toBeLessThanOrEqual(24);
  });
});

describe("order watch", () => {
  it("shows where the order is and how it came there", () => {
    const order: Order = {
      id: "0",
      number: "MC-000042",
      user_id: "0",
      status: "pending",
      items: [],
      subtotal: 5,
      shipping: 0,
      tax: 0,
      total_amount: 5,
      refunded_amount: 0,
      currency: "EUR",
      shipping_address: "-",
      payment: null,
      reserved_until: "2026-11-20T10:15:00.000Z",
      cancel_reason: null,
      synthetic: false,
      created_at: AT,
      updated_at: AT,
      history: [
        { at: AT, from: null, to: "pending", reason: "a \u001b[31mred\u001b[0m herring", by: "customer" },
      ],
    };
    const saga = {
      order_id: "0",
      number: "MC-000042",
      kind: "checkout",
      state: "running" as const,
      step: "charge",
      attempts: 2,
      last_error: null,
      owner: null,
      created_at: AT,
      updated_at: AT,
    };
    const frame = plain(render(h(OrderScreen, { sight: { order, saga } })).lastFrame());
    expect(frame).toMatch(/^MC-000042 {2}pending {2}5.00 EUR\n/);
    // What a customer wrote can't colour or move anything.
    expect(frame).toContain("10:00:00  ● pending  a  [31mred [0m herring, by customer\n");
    expect(frame).toContain("checkout running, at charge, 2 tries\n");
    expect(frame).toContain("stock reserved until 10:15:00 UTC\n");
    expect(frame).toMatch(/\n\nCtrl-C ends$/);
    const last = plain(render(h(OrderScreen, { sight: { order, saga }, isOver: true })).lastFrame());
    expect(last).toBe(frame.replace("\n\nCtrl-C ends", ""));
  });
});
