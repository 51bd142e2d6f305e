import type { Context, Middleware, Service } from "moleculer";
import type { Permission } from "../lib/contract.ts";
import { Forbidden, Unauthenticated } from "../lib/errors.ts";
import type { Meta } from "../lib/meta.ts";
import { specOf } from "./contract.ts";

/** Whether `permissions` let this person in; null or undefined is a guest. */
export function mayPersonCall(permissions: readonly Permission[], user: Meta["user"]): boolean {
  if (permissions.includes("public")) return true;
  if (!user) return false;
  return permissions.includes("user") || (permissions.includes("admin") && user.role === "admin");
}

/**
 * Enforces each action's `permissions`, on the node that runs it, whoever calls: the gateway, another service or the
 * REPL. An action that declares none is refused to everybody but Moleculer's own (`$node.*`).
 */
export function permissionsMiddleware(): Middleware {
  return {
    name: "Permissions",
    localAction(next, action) {
      const name = action.name ?? "";
      if (name.startsWith("$")) return next;
      const spec = specOf(name);
      // The gateway's HTTP entry is a private action of moleculer-web and gets its requests from nobody but itself.
      if (!spec) return action.visibility === "private" ? next : () => Promise.reject(new Forbidden({}));
      const { permissions } = spec;
      if (permissions.includes("public")) return next;
      return function (this: Service, ctx: Context<unknown, Meta>) {
        const { user } = ctx.meta;
        // A person's request comes through the gateway, or from no service at all (the REPL).
        const byService = ctx.caller !== null && !(ctx.caller === "gateway" && spec.rest !== undefined);
        if (permissions.includes("service") && byService) return next.call(this, ctx);
        if (mayPersonCall(permissions, user)) return next.call(this, ctx);
        return Promise.reject(user ? new Forbidden({}) : new Unauthenticated({}));
      };
    },
  };
}
