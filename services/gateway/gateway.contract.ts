import Type, { type Static } from "typebox";
import { action, contract } from "../../lib/contract.ts";
import { Obj, Timestamp } from "../../lib/schema.ts";
import { Violation } from "../inventory/inventory.contract.ts";

export const Invariant = Obj({
  id: Type.Enum(["I1", "I2", "I3", "I4", "I5"]),
  name: Type.String(),
  ok: Type.Boolean(),
  checked: Type.Integer({ description: "rows looked at" }),
  violations: Type.Array(Violation),
});
export const VerifyReport = Obj({
  ok: Type.Boolean(),
  invariants: Type.Array(Invariant),
  /** Not wrong, but an operator should know: dead letters, orders under way. */
  notes: Type.Array(Type.String()),
  timestamp: Timestamp(),
});
export type VerifyReport = Static<typeof VerifyReport>;

export const Health = Obj({
  status: Type.Enum(["healthy", "degraded", "unhealthy"]),
  services: Type.Record(
    Type.String(),
    Obj({ status: Type.Enum(["healthy", "degraded", "unhealthy"]), instances: Type.Integer() }),
  ),
  timestamp: Timestamp(),
});
export type Health = Static<typeof Health>;

/** What the gateway itself answers beside routing to the others. */
export const gatewayContract = contract("gateway", {
  health: action({
    summary: "The shop's health: 503 when checkout can't work",
    rest: ["GET //health", "GET /health"],
    permissions: ["public"],
    rateClass: "none",
    params: Obj({}),
    result: Health,
  }),
  live: action({
    summary: "This node is alive",
    rest: ["GET //health/live", "GET /health/live"],
    permissions: ["public"],
    rateClass: "none",
    params: Obj({}),
    result: Obj({ status: Type.Literal("alive") }),
  }),
  ready: action({
    summary: "This node may be given requests",
    rest: ["GET //health/ready", "GET /health/ready"],
    permissions: ["public"],
    rateClass: "none",
    params: Obj({}),
    result: Obj({ status: Type.Enum(["ready", "not ready"]), failing: Type.Array(Type.String()) }),
  }),
  verify: action({
    summary: "Check the invariants I1 to I5 over the live data",
    rest: ["GET /admin/verify"],
    permissions: ["admin"],
    rateClass: "none",
    params: Obj({}),
    result: VerifyReport,
    timeout: 120_000,
  }),
});
