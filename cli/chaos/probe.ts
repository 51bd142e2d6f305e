/** ms */
const TIMEOUT = 2_000;

/** What a node says it lacks; empty when it may be given requests. */
export async function readiness(name: string, port: number): Promise<string[]> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/health/ready`, {
      signal: AbortSignal.timeout(TIMEOUT),
    });
    if (response.ok) return [];
    const answer: unknown = await response.json();
    const failing =
      typeof answer === "object" && answer !== null && "failing" in answer ? answer.failing : [];
    return [`${name}: ${String(failing)}`];
  } catch {
    return [`${name}: no answer`];
  }
}
