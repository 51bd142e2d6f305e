import { notReady } from "../../lib/health.ts";
import { principalOf } from "../../lib/meta.ts";
import { defineService } from "../../lib/service.ts";
import { eventOf, listEvents, redriveEvents } from "./events.ts";
import { gatewayContract } from "./gateway.contract.ts";
import { shopHealth } from "./health.ts";
import type { Timeouts } from "./http-server.ts";
import { statusBoard } from "./status.ts";
import { LostNodes, serviceNames } from "./status-nodes.ts";
import { verifyShop } from "./verify.ts";
import { web } from "./web.ts";

/** The shop's door: REST, its description, its health. @param timeouts of HTTP, for tests */
export const gateway = (timeouts?: Timeouts) =>
  defineService(gatewayContract)({
    mixins: [web(timeouts)],
    state() {
      const lost = new LostNodes();
      return { lost, board: statusBoard(this.broker, lost) };
    },
    actions: {
      async health(ctx) {
        const health = await shopHealth(this.broker);
        if (health.status === "unhealthy") ctx.meta.$statusCode = 503;
        return health;
      },
      async live() {
        return { status: "alive" };
      },
      async ready(ctx) {
        const failing = await notReady(this.broker);
        if (failing.length > 0) ctx.meta.$statusCode = 503;
        return { status: failing.length > 0 ? "not ready" : "ready", failing };
      },
      async verify(ctx) {
        return await verifyShop(ctx);
      },
      async status() {
        return await this.board();
      },
      async events(ctx) {
        return await listEvents(ctx, ctx.params);
      },
      async event(ctx) {
        return await eventOf(ctx, ctx.params.id);
      },
      async redriveEvents(ctx) {
        const { id: by } = principalOf(ctx.meta);
        const answer = await redriveEvents(ctx, ctx.params);
        this.logger.info("Dead letters redriven", { by, redriven: answer.redriven });
        return answer;
      },
    },
    events: {
      "$node.connected"(ctx) {
        this.lost.found(nodeOf(ctx.params).id);
      },
      "$node.disconnected"(ctx) {
        const { id, services, unexpected } = nodeOf(ctx.params);
        if (unexpected) this.lost.lose(id, services, performance.now());
      },
    },
  });

/** What Moleculer tells of a node that comes or goes. */
function nodeOf(payload: object): { id: string; services: string[]; unexpected: boolean } {
  const { node, unexpected }: { node?: object; unexpected?: boolean } = payload;
  const { id, services }: { id?: string; services?: unknown } = node ?? {};
  return { id: id ?? "", services: serviceNames(services), unexpected: unexpected === true };
}

export default gateway();
