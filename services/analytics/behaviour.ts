import { ValidationFailed } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { Meta } from "../../lib/meta.ts";
import { guestVisitor, userVisitor } from "../../lib/visitor.ts";
import type { BehaviourEvent, BehaviourSignal } from "./analytics.contract.ts";
import type { BehaviourDocument } from "./analytics.model.ts";

/** Bytes of one event's properties as JSON. */
const MAX_PROPERTIES = 8 * 1024;

const KINDS: Readonly<Record<string, BehaviourDocument["kind"]>> = {
  visit: "visit",
  page_view: "visit",
  product_view: "visit",
  add_to_cart: "cart",
};

type Recorded = Partial<BehaviourEvent> & { events?: BehaviourEvent[] };

/**
 * The events of a request: one, or a batch.
 * @throws ValidationFailed if it is neither or both, or an event is too large
 */
export function eventsOf({ type, properties, events }: Recorded): BehaviourEvent[] {
  if (events !== undefined && (type !== undefined || properties !== undefined)) {
    throw refusal("/events", "send one event by its type, or a batch of events, not both");
  }
  if (events === undefined && type === undefined) throw refusal("/type", "is required, or a batch of events");
  const all = events ?? (type === undefined ? [] : [{ type, properties }]);
  for (const [index, event] of all.entries()) {
    if (Buffer.byteLength(JSON.stringify(event.properties ?? {})) > MAX_PROPERTIES) {
      const path = events ? `/events/${index}/properties` : "/properties";
      throw refusal(path, `must be at most ${MAX_PROPERTIES} bytes as JSON`);
    }
  }
  return all;
}

function refusal(path: string, message: string): ValidationFailed {
  return new ValidationFailed({ violations: [{ path, message }] });
}

/**
 * Who did it, as far as the client says: the user, else the guest of this cart, else the `visitor_id` that the client
 * made up, else nobody known, who counts as a visitor of their own. Never an address.
 */
export function visitorOf(meta: Meta, { properties }: BehaviourEvent, id: string): string {
  if (meta.user) return userVisitor(meta.user.id);
  if (meta.cartToken !== undefined) return guestVisitor(meta.cartToken);
  const given = properties?.visitor_id;
  return typeof given === "string" && given !== "" ? `client:${given.slice(0, 100)}` : `unknown:${id}`;
}

export function documentOf(meta: Meta, event: BehaviourEvent): BehaviourDocument {
  const _id = newId();
  return {
    _id,
    at: new Date().toISOString(),
    kind: kindOf(event.type),
    type: event.type,
    visitor: visitorOf(meta, event, _id),
    properties: JSON.stringify(event.properties ?? {}),
  };
}

/** The same of what another service tells of. */
export function documentOfSignal({ type, visitor, product_id }: BehaviourSignal): BehaviourDocument {
  return {
    _id: newId(),
    at: new Date().toISOString(),
    kind: kindOf(type),
    type,
    visitor,
    properties: JSON.stringify({ product_id }),
  };
}

function kindOf(type: string): BehaviourDocument["kind"] {
  return (Object.hasOwn(KINDS, type) && KINDS[type]) || "other";
}
