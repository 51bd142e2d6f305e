import type { Shop } from "./shop.ts";

type Gateway = Pick<Shop, "url">;

/** ms between two looks: several in the second that a stopping gateway still answers. */
const LOOK_EVERY = 100;
/** ms */
const LOOK_TIMEOUT = 1000;

/**
 * The gateways as a load balancer sees them: it looks at their readiness and sends nobody where a stop has begun. Where
 * none is ready it sends on to all.
 */
export function balanced(gateways: () => readonly Gateway[]): () => readonly Gateway[] {
  const unready = new Set<string>();
  let lookedAt = 0;
  const look = async ({ url }: Gateway) => {
    const isReady = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(LOOK_TIMEOUT) })
      .then(async (response) => (await response.text()) !== "" && response.ok)
      .catch(() => false);
    if (isReady) unready.delete(url);
    else unready.add(url);
  };
  return () => {
    const all = gateways();
    if (performance.now() - lookedAt >= LOOK_EVERY) {
      lookedAt = performance.now();
      for (const gateway of all) void look(gateway);
    }
    const ready = all.filter(({ url }) => !unready.has(url));
    return ready.length > 0 ? ready : all;
  };
}
