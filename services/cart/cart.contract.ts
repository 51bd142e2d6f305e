import Type, { type Static } from "typebox";
import { action, contract } from "../../lib/contract.ts";
import { InsufficientStock, NotFound } from "../../lib/errors.ts";
import { envelopeOf } from "../../lib/events.ts";
import { IntId, MAX_QUANTITY, Nullable, Obj, Quantity, Timestamp, Uuid } from "../../lib/schema.ts";
import { LineItem } from "../inventory/inventory.contract.ts";

export const Cart = Obj({
  items: Type.Array(
    Obj({
      product_id: IntId(),
      product_name: Type.String(),
      product_price: Type.Number(),
      quantity: Quantity(),
      subtotal: Type.Number(),
      stock_available: Type.Integer(),
      unavailable: Type.Optional(Type.Boolean({ description: "no longer sold" })),
    }),
  ),
  total_amount: Type.Number({ description: "of what is still sold" }),
  total_items: Type.Integer({ description: "the sum of the quantities of what is still sold" }),
  expires_at: Nullable(Timestamp()),
});
export type Cart = Static<typeof Cart>;

export const cartContract = contract(
  "cart",
  {
    get: action({
      summary: "Your cart, or the guest's of the X-Cart-Token header",
      rest: ["GET /cart"],
      permissions: ["public"],
      params: Obj({}),
      result: Cart,
    }),
    addItem: action({
      summary: "Put a product into the cart; its quantity adds to what is there",
      rest: ["POST /cart/items"],
      permissions: ["public"],
      status: 201,
      params: Obj({ product_id: IntId(), quantity: Type.Optional(Quantity()) }),
      result: Cart,
      errors: [NotFound, InsufficientStock],
    }),
    setItem: action({
      summary: "Set a quantity; 0 removes",
      rest: ["PUT /cart/items/:product_id"],
      permissions: ["public"],
      params: Obj({ product_id: IntId(), quantity: Type.Integer({ minimum: 0, maximum: MAX_QUANTITY }) }),
      result: Cart,
      errors: [InsufficientStock],
    }),
    removeItem: action({
      summary: "Take a product out of the cart",
      rest: ["DELETE /cart/items/:product_id"],
      permissions: ["public"],
      params: Obj({ product_id: IntId() }),
      result: Cart,
    }),
    clear: action({
      summary: "Empty the cart",
      rest: ["DELETE /cart"],
      permissions: ["public"],
      params: Obj({}),
      result: Cart,
    }),
    validate: action({
      summary: "Check the cart against today's prices and stock",
      rest: ["POST /cart/validate"],
      permissions: ["public"],
      params: Obj({}),
      result: Obj({
        cart: Cart,
        is_valid: Type.Boolean(),
        validation_issues: Type.Array(
          Obj({
            product_id: Nullable(IntId()),
            issue: Type.String(),
            code: Type.Enum(["CART_EMPTY", "PRODUCT_UNAVAILABLE", "INSUFFICIENT_STOCK", "PRICE_CHANGED"]),
          }),
        ),
      }),
    }),
    merge: action({
      summary: "At login: move a guest's cart into the user's",
      permissions: ["service"],
      params: Obj({ user_id: Uuid(), cart_token: Type.String({ maxLength: 100 }) }),
      result: Type.Null(),
      idempotent: true,
    }),
    forCheckout: action({
      summary:
        "A user's cart as an order needs it (no items: nothing to order); `cart_id` names exactly what it holds now",
      permissions: ["service"],
      params: Obj({ user_id: Uuid() }),
      result: Obj({
        cart_id: Type.String(),
        oldest_revision: Type.Integer({
          description: "of what is in it: an order of this revision or a later one may have taken it already",
        }),
        items: Type.Array(LineItem),
      }),
      idempotent: true,
    }),
    complete: action({
      summary:
        "Take what a cart of this id held out of it, once its order stands; what was put in since is left alone",
      permissions: ["service"],
      params: Obj({ user_id: Uuid(), cart_id: Type.String({ maxLength: 100 }) }),
      result: Type.Null(),
      idempotent: true,
    }),
    onOrder: action({
      summary: "An order made from a cart stands: complete that cart",
      permissions: ["service"],
      params: envelopeOf("order.placed", "order.confirmed"),
      result: Type.Null(),
      idempotent: true,
    }),
  },
  { "order.placed": "onOrder", "order.confirmed": "onOrder" },
);
