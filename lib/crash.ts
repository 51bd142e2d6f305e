/**
 * The fault suite's hook. A node started with `CRASH_AT=<point>` kills itself with SIGKILL when it gets there, as a power
 * cut would between two lines; one with `FREEZE_AT=<point>` stops itself with SIGSTOP, once, until it is sent SIGCONT.
 * With `HOLD_AT=<point>,<point>…` the first work that gets to each point stays there for ever, which is said on stderr: one
 * kill from outside then finds many at different points. Without the variables, and always in production, it does nothing.
 */
export async function crashPoint(name: string): Promise<void> {
  if (process.env.NODE_ENV === "production") return;
  if (process.env.CRASH_AT === name) process.kill(process.pid, "SIGKILL");
  if (process.env.FREEZE_AT === name) {
    delete process.env.FREEZE_AT;
    process.kill(process.pid, "SIGSTOP");
  }
  if (toHold.delete(name)) {
    console.error(`Held at ${name}`);
    await new Promise(() => undefined);
  }
}

const toHold = new Set(process.env.HOLD_AT?.split(","));
