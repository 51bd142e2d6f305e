import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  type Model,
  type Sequelize,
} from "sequelize";
import type { OrderStatus } from "./order-state.ts";
import type { ShippingAddress } from "./orders.contract.ts";

/** A row of orders.orders. Amounts are integer minor units. */
export interface OrderModel extends Model<InferAttributes<OrderModel>, InferCreationAttributes<OrderModel>> {
  id: string;
  number: string;
  user_id: string;
  status: OrderStatus;
  currency: string;
  subtotal: number;
  shipping: number;
  tax: number;
  total: number;
  refunded: CreationOptional<number>;
  shipping_address: ShippingAddress;
  cart_id: string | null;
  synthetic: boolean;
  payment_id: string | null;
  payment_provider: string | null;
  reserved_until: Date | null;
  cancel_reason: string | null;
  created_at: CreationOptional<Date>;
  updated_at: CreationOptional<Date>;
}

export type OrderAttributes = InferAttributes<OrderModel>;

/** The order service's model. Checkout and sagas write by conditional SQL; lists read through it. */
export function defineModels(sequelize: Sequelize) {
  const main = sequelize.define<OrderModel>(
    "Order",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      number: DataTypes.TEXT,
      user_id: DataTypes.UUID,
      status: DataTypes.TEXT,
      currency: DataTypes.TEXT,
      subtotal: DataTypes.INTEGER,
      shipping: DataTypes.INTEGER,
      tax: DataTypes.INTEGER,
      total: DataTypes.INTEGER,
      refunded: DataTypes.INTEGER,
      shipping_address: DataTypes.JSONB,
      cart_id: DataTypes.TEXT,
      synthetic: DataTypes.BOOLEAN,
      payment_id: DataTypes.UUID,
      payment_provider: DataTypes.TEXT,
      reserved_until: DataTypes.DATE,
      cancel_reason: DataTypes.TEXT,
      created_at: DataTypes.DATE,
      updated_at: DataTypes.DATE,
    },
    { schema: "orders", tableName: "orders", timestamps: false },
  );
  return { main };
}
