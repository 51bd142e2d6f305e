import type { Ctx } from "../../lib/service.ts";
import type { StockLevel } from "./inventory.contract.ts";

/**
 * Tells everybody live of levels of which more or less is available, once that is committed, and in one process waits
 * for whoever listens, so that the catalogue is right when the answer is given. It fails for no listener and no
 * transporter (Moleculer logs those): what gets lost is found through `changes`.
 */
export async function announce(ctx: Ctx, levels: readonly StockLevel[]): Promise<void> {
  if (levels.length > 0) await ctx.broadcast("stock.changed", { levels });
}
