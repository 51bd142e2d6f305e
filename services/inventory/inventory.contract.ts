import Type, { type Static } from "typebox";
import { action, contract } from "../../lib/contract.ts";
import {
  BelowReserved,
  IdempotencyMismatch,
  InsufficientStock,
  NotFound,
  ReservationReleased,
} from "../../lib/errors.ts";
import { IntId, Nullable, Obj, Quantity, Timestamp, Uuid } from "../../lib/schema.ts";
import { jobActions } from "../../mixins/jobs.contract.ts";

/** The most that is put on hand of one product: half of what its column holds, so that returns always fit. */
export const MAX_ON_HAND = 1_000_000_000;

/** on_hand + sold = received; 0 ≤ reserved ≤ on_hand; available = on_hand − reserved. */
export const StockLevel = Obj({
  product_id: IntId(),
  on_hand: Type.Integer(),
  reserved: Type.Integer(),
  available: Type.Integer(),
  received: Type.Integer(),
  sold: Type.Integer(),
  version: Type.Integer({ description: "grows with each change of the level" }),
});
export type StockLevel = Static<typeof StockLevel>;

export const LineItem = Obj({ product_id: IntId(), quantity: Quantity() });
export type LineItem = Static<typeof LineItem>;

export const Reservation = Obj({
  order_id: Uuid(),
  state: Type.Enum(["reserved", "committed", "released", "returned"]),
  expires_at: Nullable(Timestamp()),
});
export type Reservation = Static<typeof Reservation>;

/** What an order has of the stock: short, since `verify` compares those of every order there is. */
export const OrderStock = Obj({
  order_id: Uuid(),
  state: Reservation.properties.state,
  units: Type.String({
    description: "how many of which product, in order of product",
    examples: ["7×2, 9×1"],
  }),
});
export type OrderStock = Static<typeof OrderStock>;

export const Violation = Obj({
  invariant: Type.String(),
  message: Type.String(),
  row: Type.Record(Type.String(), Type.Unknown()),
});
export type Violation = Static<typeof Violation>;

export const inventoryContract = contract("inventory", {
  levels: action({
    summary: "Stock levels of products; one without a row has none",
    permissions: ["service", "admin"],
    params: Obj({ product_ids: Type.Array(IntId(), { minItems: 1, maxItems: 1000 }) }),
    result: Type.Array(StockLevel),
    idempotent: true,
  }),
  changes: action({
    summary:
      "Levels changed at or after a moment, in order of product: the feed from which products keeps its projection. The next page has the products `after` this one's last (0 for the first page); the next round starts at the `until` of this one's first page; a change may show some seconds late",
    permissions: ["service"],
    params: Obj({
      since: Timestamp(),
      after: Type.Integer({ minimum: 0 }),
      limit: Type.Integer({ minimum: 1, maximum: 5000 }),
    }),
    result: Obj({ levels: Type.Array(StockLevel), until: Timestamp() }),
    idempotent: true,
  }),
  set: action({
    summary: "Set on hand; the difference counts as received",
    permissions: ["service", "admin"],
    params: Obj({ product_id: IntId(), on_hand: Type.Integer({ minimum: 0, maximum: MAX_ON_HAND }) }),
    result: StockLevel,
    errors: [BelowReserved],
  }),
  setMany: action({
    summary: "Set on hand of many products (imports, seeds); refusals are reported per product",
    permissions: ["service"],
    params: Obj({
      levels: Type.Array(
        Obj({ product_id: IntId(), on_hand: Type.Integer({ minimum: 0, maximum: MAX_ON_HAND }) }),
        { minItems: 1, maxItems: 1000 },
      ),
    }),
    result: Obj({
      levels: Type.Array(StockLevel),
      refused: Type.Array(Obj({ product_id: IntId(), reserved: Type.Integer() })),
    }),
    idempotent: true,
    timeout: 15_000,
  }),
  adjust: action({
    summary: "Change on hand by a difference",
    permissions: ["service", "admin"],
    params: Obj({
      product_id: IntId(),
      change: Type.Integer({ minimum: -MAX_ON_HAND, maximum: MAX_ON_HAND }),
    }),
    result: StockLevel,
    errors: [BelowReserved],
  }),
  reserve: action({
    summary:
      "Reserve an order's items, all or none, until `expires_at`. Asked again it prolongs a live reservation; after a release it refuses",
    permissions: ["service"],
    bulkhead: true,
    params: Obj({
      order_id: Uuid(),
      items: Type.Array(LineItem, { minItems: 1, maxItems: 200 }),
      expires_at: Timestamp(),
    }),
    result: Reservation,
    errors: [InsufficientStock, ReservationReleased, IdempotencyMismatch],
    idempotent: true,
  }),
  release: action({
    summary: "Give an order's reservation back; later calls of reserve for it are refused. Undo of reserve",
    permissions: ["service"],
    params: Obj({ order_id: Uuid() }),
    result: Reservation,
    idempotent: true,
  }),
  commit: action({
    summary: "Turn a reservation into a sale",
    permissions: ["service"],
    params: Obj({ order_id: Uuid() }),
    result: Reservation,
    errors: [ReservationReleased, NotFound],
    idempotent: true,
  }),
  giveBack: action({
    summary: "Put a cancelled order's items back: a sale returns to the shelf, a reservation is released",
    permissions: ["service"],
    params: Obj({ order_id: Uuid() }),
    result: Reservation,
    idempotent: true,
  }),
  audit: action({
    summary: "Rows that break I1 (stock) or I4 (reservations past their time)",
    permissions: ["service", "admin"],
    params: Obj({}),
    result: Obj({ checked: Type.Integer(), violations: Type.Array(Violation) }),
    timeout: 60_000,
  }),
  auditOrders: action({
    summary:
      "What these orders have reserved or bought, and up to 100 between them that weren't asked for; one without a reservation is left out",
    permissions: ["service", "admin"],
    params: Obj({ order_ids: Type.Array(Uuid(), { maxItems: 1000 }) }),
    result: Type.Array(OrderStock),
    timeout: 60_000,
  }),
  ...jobActions,
});
