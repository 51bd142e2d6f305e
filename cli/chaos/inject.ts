import { CliError } from "../lib/errors.ts";
import { waited } from "../lib/patience.ts";
import { type Fault, faultText } from "./plan.ts";
import type { ChaosTarget } from "./target.ts";

/** A fault as it came to be. */
export interface Happened extends Fault {
  text: string;
  /** s after the start; null while it lasts. */
  ended: number | null;
  /** Why it could not be done, if so. */
  failed?: string;
}

interface Options {
  faults: readonly Fault[];
  target: ChaosTarget;
  /** s since the start */
  clock: () => number;
  /** Told when one begins, ends or fails. */
  changed: (happened: readonly Happened[]) => void;
  /** Begins no more, and takes back at once what was done. */
  signal: AbortSignal;
}

/**
 * Does the faults at their times and takes each back. However it ends, nothing is frozen then, and what was killed was
 * started again.
 */
export async function injectFaults({ faults, target, clock, changed, signal }: Options): Promise<Happened[]> {
  const happened: Happened[] = [];
  const frozen: Promise<void>[] = [];
  const bugs: unknown[] = [];
  let mustRevive = false;
  const run = async (fault: Fault) => {
    const one: Happened = { ...fault, at: round(clock()), text: faultText(fault), ended: null };
    happened.push(one);
    changed(happened);
    try {
      if (fault.kind === "freeze") {
        const wakes = await Promise.all(fault.targets.map((name) => target.freeze(name)));
        await waited(fault.for, signal);
        await Promise.all(wakes.map((wake) => wake()));
      } else {
        mustRevive = true;
        if (fault.kind === "restart") await target.terminate(fault.targets);
        else await target.kill(fault.targets);
        await waited(fault.for, signal);
        await target.revive();
        mustRevive = false;
      }
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      one.failed = error.message;
    }
    one.ended = round(clock());
    changed(happened);
  };
  try {
    for (const fault of faults) {
      if (!(await waited(Math.max(0, fault.at - clock()), signal))) break;
      // Others come while it lasts: what fails in it is thrown when all has been taken back.
      if (fault.kind === "freeze") frozen.push(run(fault).catch((error: unknown) => void bugs.push(error)));
      else await run(fault);
    }
  } finally {
    await Promise.all(frozen);
    if (mustRevive) await target.revive();
  }
  if (bugs.length > 0) throw bugs[0];
  return happened;
}

const round = (seconds: number) => Math.round(seconds * 10) / 10;
