import Type, { type Static, type TSchema } from "typebox";
import { SERVERS } from "../../lib/health.ts";
import { Currency, Nullable, Obj, Timestamp } from "../../lib/schema.ts";
import { LowStock } from "../products/products.contract.ts";

/** What `GET /admin/status` answers: the whole shop at a glance, for live screens. */

const Count = Type.Integer();
const Ms = () => Type.Number({ description: "ms" });
const State = Type.Enum(["healthy", "degraded", "unhealthy"]);
/** Null where nobody could answer. */
const Known = <S extends TSchema>(schema: S) => Nullable(schema);

/** Calls since the node's process began; latencies of the last 5 to 10 s. */
const callFields = {
  calls: Count,
  errors: Type.Integer({ description: "faults: a refusal is an answer" }),
  p50_ms: Nullable(Ms()),
  p99_ms: Nullable(Ms()),
};

export const NodeStatus = Obj({
  id: Type.String(),
  state: Type.Enum(["ready", "not ready", "silent"], {
    description: "`silent`: it did not answer, or was lost without a word within the last 10 minutes",
  }),
  failing: Type.Array(Type.String(), { description: "what it isn't ready for: `orders: database`" }),
  services: Type.Array(Obj({ name: Type.String(), ...callFields })),
  figures: Nullable(
    Obj({
      version: Type.String({ description: "the shop's" }),
      node_version: Type.String(),
      uptime_s: Type.Number(),
      cpu_percent: Type.Number({ description: "of one core" }),
      rss_bytes: Count,
      event_loop_lag_ms: Type.Number({ description: "ms, the 99th percentile of the last 5 to 10 s" }),
      latency_ms: Type.Number({ description: "ms of a call there and back" }),
    }),
  ),
});
export type NodeStatus = Static<typeof NodeStatus>;

export const StoreStatus = Obj({
  name: Type.Enum(SERVERS),
  up: Type.Boolean(),
  latency_ms: Nullable(Type.Number({ description: "ms of a round trip, from the node that is farthest" })),
  failing: Type.Array(Type.String(), {
    description: "`<node> <service>: <store>` of each that has no answer",
  }),
});
export type StoreStatus = Static<typeof StoreStatus>;

export const ServiceStatus = Obj({
  name: Type.String(),
  status: State,
  instances: Count,
  ready: Type.Integer({ description: "instances that answer, on stores that answer" }),
  ...callFields,
  open_circuits: Type.Integer({ description: "of callers that leave an instance alone for now" }),
});
export type ServiceStatus = Static<typeof ServiceStatus>;

export const MinuteStatus = Obj({
  minute: Timestamp(),
  orders: Type.Integer({ description: "placed in this minute" }),
  paid: Type.Integer({ description: "of these, confirmed or beyond" }),
  revenue: Type.Number({ description: "of the paid ones, less what was refunded" }),
});
export type MinuteStatus = Static<typeof MinuteStatus>;

export const QueueOverview = Obj({
  queue: Type.String(),
  pending: Type.Integer({ description: "due, or being handled" }),
  scheduled: Type.Integer({ description: "for a later time" }),
  dead: Type.Integer({ description: "given up after the last retry" }),
  oldest_s: Type.Number({ description: "s since the oldest pending job was due" }),
});
export type QueueOverview = Static<typeof QueueOverview>;

export const SagaOverview = Obj({
  running: Count,
  compensating: Count,
  waiting: Type.Integer({ description: "for a payment" }),
  parked: Type.Integer({ description: "gave up: an operator must look" }),
  stuck: Type.Integer({ description: "running or compensating for more than two minutes" }),
  oldest_s: Type.Number({ description: "s since the oldest of those that run, are undone or parked began" }),
});
export type SagaOverview = Static<typeof SagaOverview>;

export const ShopStatus = Obj({
  status: State,
  nodes: Type.Array(NodeStatus),
  stores: Type.Array(StoreStatus),
  services: Type.Array(ServiceStatus),
  circuits: Type.Array(Obj({ from: Type.String(), node: Type.String(), action: Type.String() })),
  sales: Known(
    Obj({
      currency: Currency(),
      minutes: Type.Array(MinuteStatus, {
        description: "the last 60, the oldest first; the last one is under way",
      }),
    }),
  ),
  sagas: Known(SagaOverview),
  queues: Known(Type.Array(QueueOverview)),
  low_stock: Known(LowStock),
  not_asked: Type.Array(Type.String(), { description: "services that did not answer in time" }),
  timestamp: Timestamp(),
});
export type ShopStatus = Static<typeof ShopStatus>;
