import { defineService } from "../../lib/service.ts";
import { gatewayContract } from "./gateway.contract.ts";
import { prepareRequest } from "./prepare.ts";
import { web } from "./web.ts";

export default defineService(gatewayContract)({
  mixins: [web({ beforeAll: () => false, prepare: prepareRequest })],
  actions: {
    async health() {
      return { status: "healthy", services: {}, timestamp: new Date().toISOString() };
    },
    async live() {
      return { status: "alive" };
    },
    async ready() {
      return { status: "ready", failing: [] };
    },
    async verify() {
      return { ok: true, invariants: [], notes: [], timestamp: new Date().toISOString() };
    },
  },
});
