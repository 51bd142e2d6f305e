import { setTimeout as delay } from "node:timers/promises";
import { crashPoint } from "../../lib/crash.ts";
import { isDefinite, type ShopError } from "../../lib/errors.ts";

/**
 * The saga engine: runs a short declarative list of steps, each with its undo beside it. It knows nothing of orders,
 * SQL or Moleculer, so a saga is tested as: given these answers, expect these commands.
 *
 * - A step says `done`, `refused` (definitely nothing happened: what was done is undone in reverse), or `wait`.
 * - A step that throws anything but a definite failure leaves its outcome *unknown*. Unknown is asked again under the
 *   same key, here a few times and then by the job, and never compensated. So is what must be done: an undo, and every
 *   step where there is no way back, whatever it throws.
 * - Steps are idempotent at their participants, so forward progress needs no write of its own: a new driver starts at
 *   the first step again and is told what was answered before. Written down are the pivot, the decision to compensate,
 *   and the end.
 */

export type Outcome = { kind: "done" } | { kind: "refused"; failure: ShopError } | { kind: "wait" };

export const done: Outcome = { kind: "done" };
export const wait: Outcome = { kind: "wait" };
export const refused = (failure: ShopError): Outcome => ({ kind: "refused", failure });

export interface Step<C> {
  name: string;
  /** Asks for the effect. Idempotent: asked again, it gives the same answer. */
  run(context: C): Promise<Outcome>;
  /** Takes the effect back, and refuses it if it should come later. Idempotent. */
  undo?(context: C, failure: Refusal): Promise<void>;
}

/** Why a saga is undone, as it is written down. */
export interface Refusal {
  step: string;
  code: string;
  status: number;
  message: string;
  data: object;
}

export interface SagaDefinition<C> {
  kind: string;
  steps: readonly Step<C>[];
  /** Ends an undone saga: one local transaction. Without it there is no way back: a refused step is asked again. */
  undone?(context: C, refusal: Refusal): Promise<void>;
  /** Ends a finished one: one local transaction. */
  finished(context: C): Promise<void>;
  /** May turn a refusal into waiting (a declined card on an order that can still be paid). */
  waitsAfter?(context: C, refusal: Refusal): Promise<boolean>;
}

/** Where a driver notes what the next one must know. Every write is refused (throws) once the lease was taken over. */
export interface SagaJournal {
  /** The step to begin with; undefined: the first. */
  readonly resumeAt?: string;
  /** Set once the saga has turned back. */
  readonly refusal?: Refusal;
  /** Whether this is the first time that anybody asks: then a refused step has nothing left to undo. */
  readonly isFirstRun: boolean;
  turnBack(refusal: Refusal): Promise<void>;
  unknown(step: string, error: unknown): Promise<void>;
}

export type SagaResult =
  | { kind: "finished" }
  | { kind: "waiting"; refusal?: Refusal }
  | { kind: "undone"; refusal: Refusal };

/** How a step answered: `ok` includes that it waits. */
export type StepOutcome = "ok" | "refused" | "unknown";

export interface DriveOptions {
  /** How often an unknown outcome is asked for again before the drive is given up, and the pauses between, in ms. */
  retryDelays: readonly number[];
  /** Told of every answer, and that there was none; an undo is `undo <step>`. */
  onAnswer?: (step: string, outcome: StepOutcome) => void;
}

/** Given up for now: the outcome of a step is unknown. The job tries again. */
export class SagaUnresolved extends Error {
  readonly step: string;
  constructor(step: string, cause: unknown) {
    super(`The outcome of ${step} is unknown`, { cause });
    this.name = "SagaUnresolved";
    this.step = step;
  }
}

/** Somebody else drives this saga now. What this driver still wants to write is void. */
export class LeaseLost extends Error {
  constructor() {
    super("Another driver has taken this saga over");
    this.name = "LeaseLost";
  }
}

/**
 * Runs a saga from where its journal says until it is finished, undone or waiting.
 * @throws SagaUnresolved, LeaseLost
 */
export async function drive<C>(
  saga: SagaDefinition<C>,
  context: C,
  journal: SagaJournal,
  options: DriveOptions,
): Promise<SagaResult> {
  let asked = journal.isFirstRun ? 0 : 1;
  const ask = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof LeaseLost) throw error;
        asked++;
        options.onAnswer?.(step, "unknown");
        await journal.unknown(step, error);
        const pause = options.retryDelays[attempt];
        if (pause === undefined) throw new SagaUnresolved(step, error);
        await delay(pause);
      }
    }
  };

  if (journal.refusal && saga.undone) {
    return await undo(saga, context, journal.refusal, true, ask, options.onAnswer);
  }

  const start = journal.resumeAt === undefined ? 0 : indexOf(saga, journal.resumeAt);
  for (const step of saga.steps.slice(start)) {
    await crashPoint(`${saga.kind}.${step.name}.before`);
    const outcome = await ask(step.name, () => attemptStep(saga, step, context));
    options.onAnswer?.(step.name, outcome.kind === "refused" ? "refused" : "ok");
    await crashPoint(`${saga.kind}.${step.name}.after`);
    if (outcome.kind === "wait") return { kind: "waiting" };
    if (outcome.kind === "refused") {
      const refusal = refusalOf(step.name, outcome.failure);
      if (await saga.waitsAfter?.(context, refusal)) return { kind: "waiting", refusal };
      const mustUndo = asked > 0 || step !== saga.steps[0];
      if (mustUndo) await journal.turnBack(refusal);
      return await undo(saga, context, refusal, mustUndo, ask, options.onAnswer);
    }
  }
  await saga.finished(context);
  return { kind: "finished" };
}

/** A participant's definite failure is an answer like any other, where there is a way back. */
async function attemptStep<C>(saga: SagaDefinition<C>, step: Step<C>, context: C): Promise<Outcome> {
  try {
    return await step.run(context);
  } catch (error) {
    if (saga.undone && isDefinite(error)) return refused(error);
    throw error;
  }
}

/**
 * Undoes in reverse, beginning with the refused step itself: an earlier, unanswered request for it may still be on its
 * way, and its undo is also what turns that one away.
 */
async function undo<C>(
  saga: SagaDefinition<C>,
  context: C,
  refusal: Refusal,
  mustUndo: boolean,
  ask: <T>(step: string, work: () => Promise<T>) => Promise<T>,
  onAnswer: DriveOptions["onAnswer"],
): Promise<SagaResult> {
  const last = indexOf(saga, refusal.step);
  for (const step of mustUndo ? saga.steps.slice(0, last + 1).reverse() : []) {
    if (!step.undo) continue;
    await crashPoint(`${saga.kind}.${step.name}.undo.before`);
    await ask(`undo ${step.name}`, async () => await step.undo?.(context, refusal));
    onAnswer?.(`undo ${step.name}`, "ok");
    await crashPoint(`${saga.kind}.${step.name}.undo.after`);
  }
  await saga.undone?.(context, refusal);
  return { kind: "undone", refusal };
}

/** @throws Error for a step that another version wrote down: it is left to that one, and nothing is passed over */
function indexOf<C>({ kind, steps }: SagaDefinition<C>, name: string): number {
  const index = steps.findIndex((step) => step.name === name);
  if (index === -1) throw new Error(`There is no step ${name} in ${kind}`);
  return index;
}

function refusalOf(step: string, failure: ShopError): Refusal {
  return {
    step,
    code: failure.type,
    status: failure.code,
    message: failure.message,
    data: typeof failure.data === "object" && failure.data !== null ? failure.data : {},
  };
}
