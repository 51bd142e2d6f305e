import Type, { type Static } from "typebox";
import { action, contract } from "../../lib/contract.ts";
import { NotFound } from "../../lib/errors.ts";
import { Obj, Pagination, pageParams, Timestamp, Uuid } from "../../lib/schema.ts";
import { EventIds, EventState, Subscriber, UndeliveredEvent } from "../../mixins/jobs.contract.ts";
import { Violation } from "../inventory/inventory.contract.ts";

import { ShopStatus } from "./status.contract.ts";

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

/** Publishers that did not answer: what only they know is missing. */
const notAsked = Type.Array(Type.String(), { description: "services that did not answer" });
export const EventPage = Obj({
  events: Type.Array(UndeliveredEvent),
  pagination: Pagination,
  dead: Type.Integer(),
  late: Type.Integer(),
  not_asked: notAsked,
});
export type EventPage = Static<typeof EventPage>;
export const Redriven = Obj({
  redriven: Type.Integer(),
  not_found: Type.Array(Uuid(), { description: "those of the given ids that are no dead letters" }),
  not_asked: notAsked,
});
export type Redriven = Static<typeof Redriven>;

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
  status: action({
    summary:
      "The whole shop at a glance: nodes, stores, services, sales, sagas, queues; at most a second old",
    rest: ["GET /admin/status"],
    permissions: ["admin"],
    params: Obj({}),
    result: ShopStatus,
  }),
  events: action({
    summary: "Durable events that were given up, or that wait for more than a minute, of every publisher",
    rest: ["GET /admin/events"],
    permissions: ["admin"],
    params: Obj({
      ...pageParams,
      state: Type.Optional(EventState),
      subscriber: Type.Optional(Subscriber()),
    }),
    result: EventPage,
    timeout: 15_000,
  }),
  event: action({
    summary: "One durable event that was not delivered",
    rest: ["GET /admin/events/:id"],
    permissions: ["admin"],
    params: Obj({ id: Uuid() }),
    result: UndeliveredEvent,
    errors: [NotFound],
    timeout: 15_000,
  }),
  redriveEvents: action({
    summary: "Put dead letters back into their queues: by id, of a subscriber, or all",
    rest: ["POST /admin/events/redrive"],
    permissions: ["admin"],
    params: Obj({
      ids: Type.Optional(EventIds()),
      subscriber: Type.Optional(Subscriber()),
      all: Type.Optional(Type.Literal(true)),
    }),
    result: Redriven,
    timeout: 30_000,
  }),
});
