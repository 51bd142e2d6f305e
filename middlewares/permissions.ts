import type { Context, Middleware, Service } from "moleculer";
import { call } from "../lib/call.ts";
import type { ActionSpec, Permission } from "../lib/contract.ts";
import { Forbidden, InvalidToken, Unauthenticated } from "../lib/errors.ts";
import { type Meta, personMeta } from "../lib/meta.ts";
import { isGuest } from "../lib/seal.ts";
import { specOf } from "./contract.ts";

/** Whether `permissions` let this person in; null or undefined is a guest. */
export function mayPersonCall(permissions: readonly Permission[], user: Meta["user"]): boolean {
  if (permissions.includes("public")) return true;
  if (!user) return false;
  return permissions.includes("user") || (permissions.includes("admin") && user.role === "admin");
}

/** It tells a node's whole configuration, passwords of its servers included. */
const OPTIONS = "$node.options";

/**
 * Enforces each action's `permissions`, on the node that runs it, whoever calls: the gateway, another service, the REPL,
 * or a guest node (lib/seal.ts), whose requests are those of the person whose token they carry. An action that declares
 * none is refused to everybody but Moleculer's own (`$node.*`), which a guest node's admin may ask, too.
 */
export function permissionsMiddleware(): Middleware {
  return {
    name: "Permissions",
    localAction(next, { name = "" }) {
      const spec = specOf(name);
      const isOwn = name.startsWith("$");
      return function (this: Service, ctx: Context<unknown, Meta>) {
        if (isGuest(ctx.nodeID)) {
          const permissions = isOwn && name !== OPTIONS ? ADMIN : permissionsForGuests(spec);
          return identify(ctx).then((user) => admit(permissions, user) ?? next.call(this, ctx));
        }
        if (isOwn) return next.call(this, ctx);
        if (!spec) return Promise.reject(new Forbidden({}));
        // A person's request comes through the gateway, or from no service at all (the REPL).
        const byService = ctx.caller !== null && !(ctx.caller === "gateway" && spec.rest !== undefined);
        if (byService && spec.permissions.includes("service")) return next.call(this, ctx);
        return admit(spec.permissions, ctx.meta.user) ?? next.call(this, ctx);
      };
    },
  };
}

const ADMIN: readonly Permission[] = ["admin"];

/** Who logs in does so at the gateway, which counts how often that fails. */
function permissionsForGuests(spec: ActionSpec | undefined): readonly Permission[] {
  return spec && spec.rateClass !== "auth" ? spec.permissions : [];
}

/** The person behind a guest node's request; null for nobody. @throws InvalidToken if the token is not good (any more) */
async function identify(ctx: Context<unknown, Meta>): Promise<Meta["user"]> {
  const { accessToken: token, ...meta } = personMeta(ctx.meta);
  ctx.meta = meta;
  if (token === undefined) return null;
  const user = await call(ctx, "auth.resolve", { token });
  if (!user) throw new InvalidToken({});
  ctx.meta.user = user;
  return user;
}

/** @returns undefined for who may call */
function admit(permissions: readonly Permission[], user: Meta["user"]): Promise<never> | undefined {
  if (mayPersonCall(permissions, user)) return undefined;
  return Promise.reject(user ? new Forbidden({}) : new Unauthenticated({}));
}
