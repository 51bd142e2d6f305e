/**
 * The fault suite's hook. A node started with `CRASH_AT=<point>` kills itself with SIGKILL when it gets there, as a power
 * cut would between two lines; one with `FREEZE_AT=<point>` stops itself with SIGSTOP, once, until it is sent SIGCONT.
 * With `HOLD_AT=<point>,<point>…` the first work that gets to each point stays there for ever, which is said on stderr: one
 * kill from outside then finds many at different points. Without the variables, and always in production, it does nothing.
 */
export async function crashPoint(name: string): Promise<void> {
  if (isProduction) return;
  if (crashAt === name) process.kill(process.pid, "SIGKILL");
  if (toFreeze.delete(name)) process.kill(process.pid, "SIGSTOP");
  if (toHold.delete(name)) {
    console.error(`Held at ${name}`);
    await new Promise(() => undefined);
  }
}

// Read once: each look into the environment asks the system.
const isProduction = process.env.NODE_ENV === "production";
const crashAt = process.env.CRASH_AT;
const toFreeze = new Set(process.env.FREEZE_AT === undefined ? [] : [process.env.FREEZE_AT]);
const toHold = new Set(process.env.HOLD_AT?.split(","));
