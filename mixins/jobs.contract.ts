import Type, { type Static } from "typebox";
import { action } from "../lib/contract.ts";
import { Nullable, Obj, Timestamp, Uuid } from "../lib/schema.ts";

/** The services that publish durable events: each has its queues in its own database. */
export const PUBLISHERS = ["users", "inventory", "orders", "payments"] as const;
export type Publisher = (typeof PUBLISHERS)[number];

/** A durable event that one subscriber has not taken: given up, or late. */
export const UndeliveredEvent = Obj({
  id: Uuid("of this delivery: what `redrive` takes"),
  state: Type.Enum(["dead", "late"], {
    description: "`dead`: given up after its last retry; `late`: still tried, for more than a minute",
  }),
  subscriber: Type.String(),
  event: Type.String(),
  event_id: Type.String(),
  occurred_at: Type.String(),
  since: Timestamp(),
  due_at: Timestamp(),
  attempts: Type.Integer(),
  last_error: Nullable(Type.String({ description: "the code of the last failure" })),
  data: Type.Record(Type.String(), Type.Unknown(), {
    description: "what the event says, without personal data; amounts are minor units",
  }),
});
export type UndeliveredEvent = Static<typeof UndeliveredEvent>;

export const EventState = UndeliveredEvent.properties.state;
export const Subscriber = () => Type.String({ pattern: "^[a-z]+$", maxLength: 50, examples: ["analytics"] });
export const EventIds = () => Type.Array(Uuid(), { minItems: 1, maxItems: 1000 });

/** How one queue of a database stands. */
export const QueueStatus = Obj({
  queue: Type.String(),
  pending: Type.Integer({ description: "due, or being handled" }),
  scheduled: Type.Integer({ description: "for a later time" }),
  oldest_s: Type.Number({ description: "s since the oldest pending job was due" }),
});

const database = Type.String({
  description: "tells databases apart: services that share one give the same figures",
});

/** What every publisher answers of its database's queues. Implemented once, in job-handlers.ts. */
export const jobActions = {
  undeliveredEvents: action({
    summary: "Durable events in this service's database that are dead or late, the oldest first",
    permissions: ["service"],
    params: Obj({
      state: Type.Optional(EventState),
      subscriber: Type.Optional(Subscriber()),
      ids: Type.Optional(EventIds()),
      limit: Type.Integer({ minimum: 0, maximum: 10_000 }),
    }),
    result: Obj({
      database,
      checked: Type.Integer({ description: "deliveries that are still to be made or were given up" }),
      dead: Type.Integer(),
      late: Type.Integer(),
      events: Type.Array(UndeliveredEvent),
    }),
    timeout: 15_000,
  }),
  redriveEvents: action({
    summary: "Put dead letters of this service's database back into their queues, each exactly once",
    permissions: ["service"],
    params: Obj({ subscriber: Type.Optional(Subscriber()), ids: Type.Optional(EventIds()) }),
    result: Obj({
      redriven: Type.Integer(),
      ids: Type.Array(Uuid(), { description: "those of the given ids that were put back" }),
    }),
    timeout: 15_000,
  }),
  queueFigures: action({
    summary: "How each queue of this service's database stands",
    permissions: ["service"],
    params: Obj({}),
    result: Obj({ database, queues: Type.Array(QueueStatus) }),
  }),
};
