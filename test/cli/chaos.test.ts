import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { cleanup, render } from "ink-testing-library";
import { createElement as h } from "react";
import { runningCluster } from "../../cli/chaos/cluster-target.ts";
import { freeze } from "../../cli/chaos/processes.ts";
import type { ClusterState } from "../../cli/cluster/state.ts";
import { ChaosScreen } from "../../cli/ui/chaos-screen.ts";
import { molecart } from "../helpers/cli.ts";
import { eventually } from "../helpers/client.ts";

afterEach(cleanup);

describe("what it breaks", () => {
  const sleepers: ChildProcess[] = [];
  let dataDir: string;
  beforeEach(async () => {
    dataDir = join(process.env.TMPDIR ?? "/tmp", `molecart-chaos-test-${process.pid}-${Date.now()}`);
    await mkdir(dataDir);
  });
  afterEach(async () => {
    for (const one of sleepers.splice(0)) one.kill("SIGKILL");
    await rm(dataDir, { recursive: true });
  });

  /** A process that does nothing, with what its command line is to say. */
  function sleeper(says: string): number {
    const child = spawn("/bin/sh", ["-c", "read -r line", says], { stdio: ["pipe", "ignore", "ignore"] });
    sleepers.push(child);
    return child.pid ?? 0;
  }
  const stateIn = /^\S+ \(.*\) (\S)/;
  async function written(pid: number, node: number): Promise<void> {
    const state: ClusterState = {
      pid,
      urls: ["http://127.0.0.1:1"],
      servers: { nats: node },
      nodes: [{ name: "orders", services: ["orders"], pid: node, port: null, probe_port: 1 }],
    };
    await writeFile(join(dataDir, "cluster.json"), JSON.stringify(state));
  }
  const around = () => ({ DATA_DIR: dataDir, ADMIN_EMAIL: "a@example.com", ADMIN_PASSWORD: "x" });

  it("is no process that got the number of a cluster that is gone", async () => {
    await written(sleeper("something else"), sleeper("a node"));
    expect(await runningCluster(around())).toBeUndefined();
  });

  it("is no process that the cluster did not start, whatever its file says", async () => {
    const stranger = sleeper("a stranger");
    await written(sleeper("cli/cluster/main.ts"), stranger);
    const target = await runningCluster(around());
    for (const attempt of [
      () => target?.kill(["orders"]),
      () => target?.kill(["nats"]),
      () => target?.terminate(["orders"]),
      () => target?.freeze("orders"),
    ])
      await expect(attempt()).rejects.toThrow(`The process ${stranger} is not one of the cluster's`);
    expect(process.kill(stranger, 0)).toBe(true);
  });

  it("goes on by itself when whoever froze it is killed", async () => {
    if (process.platform !== "linux") return;
    const { readFile } = await import("node:fs/promises");
    const stateOf = async (pid: number) => stateIn.exec(await readFile(`/proc/${pid}/stat`, "utf8"))?.[1];
    const frozen = sleeper("a node");
    const wake = await freeze(frozen);
    await eventually(async () => (await stateOf(frozen)) === "T");
    await wake();
    await eventually(async () => (await stateOf(frozen)) !== "T");

    const script = `import { freeze } from "./cli/chaos/processes.ts"; await freeze(${frozen}); console.log("frozen"); setInterval(() => {}, 1000);`;
    const freezer = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    sleepers.push(freezer);
    await once(freezer.stdout, "data");
    // The signal is sent; on another core the process may still be about to see it.
    await eventually(async () => (await stateOf(frozen)) === "T");
    freezer.kill("SIGKILL");
    await eventually(async () => (await stateOf(frozen)) !== "T");
  });
});

describe("misused", () => {
  it.each([
    [["--url", "https://shop.example"], /breaks nothing that it did not start on this machine/],
    [["--faults", "fire"], /there is no fault fire, only kill, freeze/],
    [["--duration", "2h"], /It must be a time from 5s to 10m/],
    [["--embedded", "orders=2"], /An embedded shop is one process/],
    [["order=2"], /There is no service order/],
    [["--mix", "steal=1"], /there is no kind steal/],
  ])("%p: 2, and nothing is started", async (args, what) => {
    const { code, stdout, stderr } = await molecart(["chaos", ...args]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(what);
    expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
  });

  it("--cluster without a nats-server: 1, and how to get one", async () => {
    const { code, stderr } = await molecart(["chaos", "--cluster"], { PATH: "/nonexistent" });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^There is no nats-server here\.\nFor a cluster .*apt-get install nats-server/);
  });
});

it("shows what is broken and what the clients are told", () => {
  const fault = { kind: "kill" as const, targets: ["orders-1"], for: 2 };
  const view = {
    ...{
      title: "a cluster of 8 nodes",
      seed: "7",
      phase: "breaking it",
      seconds: 15,
      duration: 30,
      planned: 9,
    },
    faults: [
      { ...fault, n: 1, at: 1.5, text: "kill -9 orders-1", ended: 3.6 },
      { ...fault, n: 2, at: 5, text: "kill -9 nats", ended: 5.1, failed: "nats is down already." },
      { ...fault, n: 3, at: 14.2, text: "kill -9 redis", ended: null },
    ],
    told: {
      orders: { acknowledged: 41, refused: 2, unknown: 1 },
      payments: { acknowledged: 12, refused: 3, unknown: 0 },
      cancellations: { acknowledged: 4, refused: 0, unknown: 0 },
    },
    rates: [1, 2, 4],
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are
  const frame = (render(h(ChaosScreen, { view })).lastFrame() ?? "").replace(/\u001b\[[0-9;]*m/g, "");
  expect(frame.replace(/ +$/gm, "")).toBe(
    [
      "CHAOS  a cluster of 8 nodes",
      "seed 7, fault 3 of 9 · Ctrl-C mends all and ends",
      `${"█".repeat(30)}${"░".repeat(30)} 15 s breaking it`,
      "",
      "  1.5 s  kill -9 orders-1  back after 2.1 s",
      "  5.0 s  kill -9 nats  nats is down already.",
      " 14.2 s  kill -9 redis  …",
      "",
      "orders     41 acknowledged, 2 refused, 1 unknown",
      "payments   12 acknowledged, 3 refused, 0 unknown",
      "cancelled  4 acknowledged, 0 refused, 0 unknown",
      "orders/s   ▃▅█",
    ].join("\n"),
  );
});
