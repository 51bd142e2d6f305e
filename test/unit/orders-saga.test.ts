import { describe, expect, it } from "@jest/globals";
import { InsufficientStock, OrderInProgress, PaymentDeclined, RefundRefused } from "../../lib/errors.ts";
import {
  done,
  drive,
  LeaseLost,
  type Outcome,
  type Refusal,
  refused,
  type SagaDefinition,
  type SagaJournal,
  SagaUnresolved,
  wait,
} from "../../services/orders/saga.ts";

type Reply = Outcome | Error;

/** A saga of three steps that writes down every command and answers from a script. */
function scripted(replies: Record<string, Reply[]>, { lastHasUndo = false, waits = false } = {}) {
  const commands: string[] = [];
  const answer = async (command: string): Promise<Outcome> => {
    commands.push(command);
    const reply = replies[command]?.shift() ?? done;
    if (reply instanceof Error) throw reply;
    return reply;
  };
  const undo = (name: string) => async () => {
    await answer(`undo ${name}`);
  };
  const saga: SagaDefinition<null> = {
    kind: "test",
    steps: [
      { name: "reserve", run: () => answer("reserve"), undo: undo("reserve") },
      { name: "charge", run: () => answer("charge"), undo: undo("charge") },
      { name: "commit", run: () => answer("commit"), ...(lastHasUndo ? { undo: undo("commit") } : {}) },
    ],
    async finished() {
      commands.push("finished");
    },
    async undone(_context, refusal) {
      commands.push(`undone: ${refusal.code}`);
    },
    ...(waits ? { waitsAfter: async (_: null, refusal: Refusal) => refusal.step === "charge" } : {}),
  };
  const journal = (over: Partial<SagaJournal> = {}): SagaJournal => ({
    isFirstRun: true,
    async turnBack(refusal) {
      commands.push(`turn back: ${refusal.code}`);
    },
    async unknown(step) {
      commands.push(`unknown: ${step}`);
    },
    ...over,
  });
  return { commands, saga, journal };
}

const noRetry = { retryDelays: [] };
const declined = () => refused(new PaymentDeclined({ reason: "card_declined" }));
const outOfStock = () =>
  refused(new InsufficientStock({ items: [{ product_id: 1, requested: 2, available: 0 }] }));
const lostNode = () => new Error("Request timed out");

describe("a saga whose steps succeed", () => {
  it("runs them in order and finishes", async () => {
    const { saga, commands, journal } = scripted({});
    expect(await drive(saga, null, journal(), noRetry)).toEqual({ kind: "finished" });
    expect(commands).toEqual(["reserve", "charge", "commit", "finished"]);
  });

  it("stops at a step that waits", async () => {
    const { saga, commands, journal } = scripted({ charge: [wait] });
    expect(await drive(saga, null, journal(), noRetry)).toEqual({ kind: "waiting" });
    expect(commands).toEqual(["reserve", "charge"]);
  });

  it("begins behind the pivot when its journal says so", async () => {
    const { saga, commands, journal } = scripted({});
    await drive(saga, null, journal({ resumeAt: "commit", isFirstRun: false }), noRetry);
    expect(commands).toEqual(["commit", "finished"]);
  });

  it("passes nothing over when its journal names a step of another version", async () => {
    const { saga, commands, journal } = scripted({});
    await expect(drive(saga, null, journal({ resumeAt: "ship" }), noRetry)).rejects.toThrow("ship");
    expect(commands).toEqual([]);
  });
});

describe("compensation", () => {
  it("has nothing to undo when the first step is refused at the first time of asking", async () => {
    const { saga, commands, journal } = scripted({ reserve: [outOfStock()] });
    const result = await drive(saga, null, journal(), noRetry);
    expect(result).toMatchObject({
      kind: "undone",
      refusal: { code: "INSUFFICIENT_STOCK", status: 409, step: "reserve" },
    });
    expect(commands).toEqual(["reserve", "undone: INSUFFICIENT_STOCK"]);
  });

  it("writes the decision down first, then undoes the refused step and those before it, in reverse", async () => {
    const { saga, commands, journal } = scripted({ charge: [declined()] });
    await drive(saga, null, journal(), noRetry);
    expect(commands).toEqual([
      "reserve",
      "charge",
      "turn back: PAYMENT_DECLINED",
      "undo charge",
      "undo reserve",
      "undone: PAYMENT_DECLINED",
    ]);
  });

  it("undoes a refused first step too, if an earlier request for it was never answered", async () => {
    const { saga, commands, journal } = scripted({ reserve: [lostNode(), outOfStock()] });
    await drive(saga, null, journal(), { retryDelays: [0] });
    expect(commands).toEqual([
      "reserve",
      "unknown: reserve",
      "reserve",
      "turn back: INSUFFICIENT_STOCK",
      "undo reserve",
      "undone: INSUFFICIENT_STOCK",
    ]);
  });

  it("undoes a refused first step too, if another driver may have asked before", async () => {
    const { saga, commands, journal } = scripted({ reserve: [outOfStock()] });
    await drive(saga, null, journal({ isFirstRun: false }), noRetry);
    expect(commands).toContain("undo reserve");
  });

  it("treats a definite failure that is thrown as a refusal", async () => {
    const { saga, commands, journal } = scripted({ charge: [new OrderInProgress({})] });
    await drive(saga, null, journal(), noRetry);
    expect(commands).toContain("undone: ORDER_IN_PROGRESS");
  });

  it("goes on with the undoing, not with the steps, after a take-over", async () => {
    const { saga, commands, journal } = scripted({});
    const refusal = { step: "charge", code: "PAYMENT_DECLINED", status: 402, message: "declined", data: {} };
    await drive(saga, null, journal({ refusal, isFirstRun: false }), noRetry);
    expect(commands).toEqual(["undo charge", "undo reserve", "undone: PAYMENT_DECLINED"]);
  });

  it("asks an undo again that was not answered", async () => {
    const { saga, commands, journal } = scripted({ charge: [declined()], "undo charge": [lostNode()] });
    await drive(saga, null, journal(), { retryDelays: [0] });
    expect(commands.filter((command) => command === "undo charge")).toHaveLength(2);
    expect(commands.at(-1)).toBe("undone: PAYMENT_DECLINED");
  });

  it("leaves an undo that keeps failing to the job", async () => {
    const { saga, commands, journal } = scripted({
      charge: [declined()],
      "undo charge": [lostNode(), lostNode()],
    });
    await expect(drive(saga, null, journal(), { retryDelays: [0] })).rejects.toThrow(SagaUnresolved);
    expect(commands).not.toContain("undo reserve");
    expect(commands.at(-1)).toBe("unknown: undo charge");
  });

  it("may turn a refusal into waiting", async () => {
    const { saga, commands, journal } = scripted({ charge: [declined()] }, { waits: true });
    expect(await drive(saga, null, journal(), noRetry)).toMatchObject({
      kind: "waiting",
      refusal: { code: "PAYMENT_DECLINED" },
    });
    expect(commands).toEqual(["reserve", "charge"]);
  });
});

describe("what must be done", () => {
  it("is asked again where it was refused: an undo", async () => {
    const { saga, commands, journal } = scripted({
      charge: [declined()],
      "undo charge": [new RefundRefused({ reason: "disputed" })],
    });
    await drive(saga, null, journal(), { retryDelays: [0] });
    expect(commands.slice(-4)).toEqual([
      "unknown: undo charge",
      "undo charge",
      "undo reserve",
      "undone: PAYMENT_DECLINED",
    ]);
  });

  it("is asked again where it was refused: a step of a saga without a way back, whatever was written down before", async () => {
    const refusedTwice = () => [1, 2].map(() => new RefundRefused({ reason: "disputed" }));
    const { saga, commands, journal } = scripted({ charge: refusedTwice() });
    const { undone: _undone, ...oneWay } = saga;
    const refusal = { step: "charge", code: "REFUND_REFUSED", status: 409, message: "refused", data: {} };
    const again = journal({ refusal, isFirstRun: false });
    await expect(drive(oneWay, null, again, { retryDelays: [0] })).rejects.toThrow(SagaUnresolved);
    const twice = ["charge", "unknown: charge", "charge", "unknown: charge"];
    expect(commands).toEqual(["reserve", ...twice]);
    expect(await drive(oneWay, null, again, noRetry)).toEqual({ kind: "finished" });
  });
});

describe("an unknown outcome", () => {
  it("is asked for again, and never compensated", async () => {
    const { saga, commands, journal } = scripted({ charge: [lostNode()] });
    await drive(saga, null, journal(), { retryDelays: [0] });
    expect(commands).toEqual(["reserve", "charge", "unknown: charge", "charge", "commit", "finished"]);
  });

  it("is left to the job when it stays unknown", async () => {
    const { saga, commands, journal } = scripted({ charge: [lostNode(), lostNode(), lostNode()] });
    await expect(drive(saga, null, journal(), { retryDelays: [0, 0] })).rejects.toMatchObject({
      name: "SagaUnresolved",
      step: "charge",
    });
    expect(commands.filter((command) => command.startsWith("undo"))).toEqual([]);
  });

  it("ends the drive at once when the lease was lost", async () => {
    const { saga, commands, journal } = scripted({ charge: [new LeaseLost()] });
    await expect(drive(saga, null, journal(), { retryDelays: [0, 0] })).rejects.toThrow(LeaseLost);
    expect(commands).toEqual(["reserve", "charge"]);
  });
});
