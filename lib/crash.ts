/**
 * The fault suite's hook: a node started with `CRASH_AT=<point>` kills itself with SIGKILL when it gets there, as a
 * power cut would between two lines. Without the variable, and always in production, it does nothing.
 */
export function crashPoint(name: string): void {
  if (process.env.CRASH_AT === name && process.env.NODE_ENV !== "production")
    process.kill(process.pid, "SIGKILL");
}
