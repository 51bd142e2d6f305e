/**
 * The fault suite's hook. A node started with `CRASH_AT=<point>` kills itself with SIGKILL when it gets there, as a power
 * cut would between two lines; one with `FREEZE_AT=<point>` stops itself with SIGSTOP, once, until it is sent SIGCONT.
 * Without the variables, and always in production, it does nothing.
 */
export function crashPoint(name: string): void {
  if (process.env.NODE_ENV === "production") return;
  if (process.env.CRASH_AT === name) process.kill(process.pid, "SIGKILL");
  if (process.env.FREEZE_AT === name) {
    delete process.env.FREEZE_AT;
    process.kill(process.pid, "SIGSTOP");
  }
}
