import { ProductPage } from "../actions/products.ts";
import { createClient } from "../lib/client.ts";
import { pause } from "../lib/patience.ts";

/** ms */
const TIMEOUT = 2_000;
/** s between two looks at a new shop's catalogue */
const LOOK_EVERY = 0.25;

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

/** A new shop answers before its demo catalogue is loaded. Waits, up to 30 s, until there is something to buy. */
export async function untilStocked([url = ""]: readonly string[], signal: AbortSignal): Promise<void> {
  const client = createClient(url, { signal });
  const query = { in_stock: true, limit: 1 };
  for (let seconds = 0; seconds < 30; seconds += LOOK_EVERY) {
    const page = await client.request("GET", "/api/products", ProductPage, { query });
    if (page.products.length > 0) return;
    await pause(LOOK_EVERY, signal);
  }
}
