import { describe, expect, it } from "@jest/globals";
import { injectFaults } from "../../cli/chaos/inject.ts";
import type { Fault } from "../../cli/chaos/plan.ts";
import { freeze } from "../../cli/chaos/processes.ts";
import type { ChaosTarget } from "../../cli/chaos/target.ts";
import { CliError } from "../../cli/lib/errors.ts";

/** A shop that does as it is told, and notes it. */
function targetOf(change: Partial<ChaosTarget>, done: string[]): ChaosTarget {
  const noted = (what: string) => async () => void done.push(what);
  return {
    ...{ mode: "cluster", title: "a cluster", isOurs: true, nodes: [], servers: [], urls: [] },
    admin: { email: "", password: "" },
    ...{ kill: noted("kill"), terminate: noted("terminate"), revive: noted("revive"), close: noted("close") },
    freeze: async () => noted("wake"),
    failing: async () => [],
    ...change,
  };
}

const FREEZE: Fault = { n: 1, kind: "freeze", targets: ["orders"], at: 0, for: 0.02 };
const KILL: Fault = { n: 2, kind: "kill", targets: ["cart"], at: 0.01, for: 0.01 };

async function inject(change: Partial<ChaosTarget>) {
  const done: string[] = [];
  const started = performance.now();
  const options = {
    ...{ faults: [FREEZE, KILL], target: targetOf(change, done), changed: () => undefined },
    ...{ clock: () => (performance.now() - started) / 1000, signal: new AbortController().signal },
  };
  const ended = await injectFaults(options).catch((error: unknown) => error);
  return { done: done.sort(), ended };
}

describe("faults that are done", () => {
  it("are taken back", async () => {
    expect((await inject({})).done).toEqual(["kill", "revive", "wake"]);
  });

  it("are told of where they could not be done, and the others go on", async () => {
    const { done, ended } = await inject({
      freeze: async () => await Promise.reject(new CliError("orders is gone.")),
    });
    expect(done).toEqual(["kill", "revive"]);
    expect(ended).toMatchObject([{ kind: "freeze", failed: "orders is gone." }, { kind: "kill" }]);
  });

  it("are taken back before a bug in one is thrown", async () => {
    const bug = new Error("a bug");
    const { done, ended } = await inject({ freeze: async () => await Promise.reject(bug) });
    expect(done).toEqual(["kill", "revive"]);
    expect(ended).toBe(bug);
  });

  it("say so of a process that is gone", async () => {
    await expect(freeze(2 ** 22 + 1)).rejects.toThrow(CliError);
  });
});
