import { describe, expect, it } from "@jest/globals";
import { layoutOf } from "../../cli/cluster/layout.ts";
import { SERVICE_NAMES } from "../../lib/service-names.ts";

const shown = (...args: string[]) =>
  layoutOf(args).map(({ name, services }) => `${name}: ${services.join(" ")}`);

describe("the layout of a local cluster", () => {
  it("has every service once, in a few processes", () => {
    const nodes = layoutOf([]);
    expect(nodes.flatMap(({ services }) => services).sort()).toEqual([...SERVICE_NAMES].sort());
    expect(nodes).toHaveLength(5);
    expect(new Set(nodes.map(({ name }) => name)).size).toBe(5);
  });

  it("gives a service processes of its own, and takes it out of the others", () => {
    const nodes = shown("orders=3", "inventory=2");
    expect(nodes).toEqual(
      expect.arrayContaining([
        "orders-1: orders",
        "orders-3: orders",
        "inventory-2: inventory",
        "payments: payments",
        "products: products",
      ]),
    );
    expect(nodes.filter((node) => node.endsWith(" orders"))).toHaveLength(3);
  });

  it("puts services together, and leaves one out", () => {
    const nodes = shown("orders+payments=2", "analytics=0", "gateway=1");
    expect(nodes).toEqual(
      expect.arrayContaining([
        "orders-payments-2: orders payments",
        "notifications: notifications",
        "gateway: gateway",
      ]),
    );
    expect(nodes.join()).not.toContain("analytics");
  });

  it.each([
    ["orders", /no part of a layout/],
    ["orders=", /no part of a layout/],
    ["orders=-1", /no part of a layout/],
    ["orders=21", /no part of a layout/],
    ["orders=1.5", /no part of a layout/],
    ["order=2", /no service order/],
    ["orders+=2", /no service/],
    ["--help=1", /no service/],
  ])("refuses %s", (arg, message) => {
    expect(() => layoutOf([arg])).toThrow(message);
  });

  it("refuses a service that is named twice", () => {
    expect(() => layoutOf(["orders=1", "orders+payments=2"])).toThrow(/orders is named twice/);
  });
});
