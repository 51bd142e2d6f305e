import { Readable } from "node:stream";
import { afterEach, describe, expect, it } from "@jest/globals";
import { type CallingOptions, type Context, Errors, ServiceBroker } from "moleculer";
import { installCalls, mayRepeat } from "../../lib/calling.ts";
import { InsufficientStock } from "../../lib/errors.ts";
import { specOf } from "../../middlewares/contract.ts";

const OWN = "here";
const READ = "products.quote";
const WRITE = "orders.checkout";
const IDEMPOTENT_WRITE = "inventory.reserve";

/** What the next tries of a call come to: an answer, or a failure. */
type Outcome = object | Error;

let broker: ServiceBroker | undefined;
afterEach(async () => await broker?.stop());

/** A broker whose calls come to `outcomes`, in order; with a transporter, so that there are other nodes. */
function callerOf(outcomes: Outcome[], { alone = false } = {}) {
  const sent: { target: unknown; timeout: number }[] = [];
  const made = new ServiceBroker({
    nodeID: OWN,
    logger: false,
    ...(alone ? {} : { transporter: "Fake" }),
    skipProcessEventRegistration: true,
  });
  Reflect.set(made, "call", (target: unknown, _params?: unknown, { timeout }: CallingOptions = {}) => {
    sent.push({ target, timeout: Number(timeout) });
    const outcome = outcomes.shift();
    const meta = { try: sent.length };
    const promise = outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
    return Object.assign(promise, { ctx: { meta } });
  });
  installCalls(made, 5_000);
  broker = made;
  return { broker: made, sent };
}

const gone = (action: string) => new Errors.ServiceNotAvailableError({ action, nodeID: "there" });
const lost = (action: string) => new Errors.RequestRejectedError({ action, nodeID: "there" });
const late = (action: string, nodeID = "there") => new Errors.RequestTimeoutError({ action, nodeID });

describe("which calls are sent again", () => {
  const table: [string, Error, string, boolean][] = [
    ["a write that reached nobody", gone(WRITE), WRITE, true],
    ["a read that reached nobody", gone(READ), READ, true],
    ["a write whose node was lost", lost(WRITE), WRITE, false],
    ["a write that was not answered", late(WRITE), WRITE, false],
    ["an idempotent write whose node was lost", lost(IDEMPOTENT_WRITE), IDEMPOTENT_WRITE, true],
    ["an idempotent write that was not answered", late(IDEMPOTENT_WRITE), IDEMPOTENT_WRITE, true],
    ["a GET that was not answered", late("products.get"), "products.get", true],
    ["one that this node itself is too slow for", late(READ, OWN), READ, false],
    ["one whose own call to another was lost", lost(READ), WRITE, false],
    ["one whose own call to another reached nobody", gone(READ), WRITE, false],
    ["one that was refused", new InsufficientStock({ items: [] }), IDEMPOTENT_WRITE, false],
    ["an action nobody ever offered", new Errors.ServiceNotFoundError({ action: READ }), READ, false],
  ];
  it.each(table)("%s", (_name, error, action, expected) => {
    const spec = specOf(action);
    if (!spec) throw new Error(`There is no ${action}.`);
    expect(mayRepeat(error, action, spec, OWN)).toBe(expected);
  });
});

describe("a call", () => {
  it("is answered by a later try, and brings that one's meta home", async () => {
    const { broker, sent } = callerOf([gone(READ), lost(READ), { ok: true }]);
    const call = broker.call(READ, {});
    expect(await call).toEqual({ ok: true });
    expect(sent).toHaveLength(3);
    expect(call).toMatchObject({ ctx: { meta: { try: 3 } } });
  });

  it("is given up after some tries", async () => {
    const { broker, sent } = callerOf(Array.from({ length: 20 }, () => gone(WRITE)));
    await expect(broker.call(WRITE, {})).rejects.toMatchObject({ type: "SERVICE_NOT_AVAILABLE" });
    expect(sent).toHaveLength(5);
  });

  it("is repeated once after a timeout, not more", async () => {
    const { broker, sent } = callerOf(Array.from({ length: 20 }, () => late(READ)));
    await expect(broker.call(READ, {})).rejects.toMatchObject({ type: "REQUEST_TIMEOUT" });
    expect(sent).toHaveLength(2);
  });

  it("may go to another node than the one that was chosen first", async () => {
    const { broker, sent } = callerOf([gone(READ), {}]);
    const endpoint = { action: { name: READ }, id: "there" };
    await Reflect.apply(broker.call, broker, [endpoint, {}]);
    expect(sent.map(({ target }) => target)).toEqual([endpoint, READ]);
  });

  it("is not repeated on a node that is alone", async () => {
    const { broker, sent } = callerOf([gone(READ), {}], { alone: true });
    await expect(broker.call(READ, {})).rejects.toMatchObject({ type: "SERVICE_NOT_AVAILABLE" });
    expect(sent).toHaveLength(1);
  });

  it("with a stream is sent once, since a stream is read once", async () => {
    const { broker, sent } = callerOf([gone(READ), {}]);
    const stream = Readable.from(["x"]);
    await expect(broker.call(READ, {}, { stream })).rejects.toThrow();
    expect(sent).toHaveLength(1);
  });
});

describe("how long a call may take", () => {
  const contracts = specOf("orders.checkout")?.timeout ?? 0;
  /** A caller that was given `budget` ms, `spent` of which are gone. */
  function callerWith(budget: number, spent: number): Pick<Context, "options" | "startHrTime"> {
    const [seconds, nanoseconds] = process.hrtime();
    const start = seconds * 1e3 + nanoseconds / 1e6 - spent;
    return {
      options: { timeout: budget },
      startHrTime: [Math.floor(start / 1e3), Math.floor((start % 1e3) * 1e6)],
    };
  }
  async function timeoutOf(action: string, options: object): Promise<number> {
    const { broker, sent } = callerOf([{}]);
    await Reflect.apply(broker.call, broker, [action, {}, options]);
    return sent[0]?.timeout ?? Number.NaN;
  }

  it("is the contract's, else the general time", async () => {
    expect(contracts).toBeGreaterThan(5_000);
    expect(await timeoutOf(WRITE, {})).toBe(contracts);
    expect(await timeoutOf(READ, {})).toBe(5_000);
  });

  it("is what was asked for", async () => {
    expect(await timeoutOf(READ, { timeout: 200 })).toBe(200);
    expect(await timeoutOf(READ, { timeout: 9_000 })).toBe(9_000);
  });

  it("is never more than what is left of the caller's time", async () => {
    const left = await timeoutOf(READ, { parentCtx: callerWith(3_000, 1_000), timeout: 2_000 });
    expect(left).toBeGreaterThan(1_500);
    expect(left).toBeLessThanOrEqual(2_000);
  });

  it("is its own also within a caller that has much more", async () => {
    // Moleculer hands the caller's remaining 29 s on as if they had been asked for.
    expect(await timeoutOf(READ, { parentCtx: callerWith(30_000, 1_000), timeout: 29_000.5 })).toBe(5_000);
    expect(await timeoutOf(READ, { parentCtx: callerWith(30_000, 1_000), timeout: 300 })).toBe(300);
  });
});
