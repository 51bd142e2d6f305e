import type { Documents } from "../../lib/stores/documents.ts";
import { type AnalyticsDocument, BEHAVIOUR_KINDS } from "./analytics.model.ts";

const DAY = 86_400_000;

/** Documents removed by one command: a store is not held up for long. */
const BATCH = 500;

/**
 * Forgets what visitors did before `days` days ago. What became of orders stays: it is the shop's books. Any number of
 * nodes may do so at once.
 * @param stop ends it between two commands
 */
export async function forgetBehaviour(
  documents: Documents<AnalyticsDocument>,
  days: number,
  stop?: AbortSignal,
): Promise<void> {
  const query = {
    at: { $lt: new Date(Date.now() - days * DAY).toISOString() },
    kind: { $in: BEHAVIOUR_KINDS },
  };
  while (!stop?.aborted) {
    const old = await documents.find({ query, limit: BATCH });
    if (old.length === 0) return;
    await documents.removeMany({ _id: { $in: old.map(({ _id }) => _id) } });
  }
}
