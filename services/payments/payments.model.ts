import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  type Model,
  type Sequelize,
} from "sequelize";
import type { Payment, Refund } from "./payments.contract.ts";

/** A row of payments.payments, as its readers need it. Amounts are integer minor units. */
export interface PaymentModel
  extends Model<InferAttributes<PaymentModel>, InferCreationAttributes<PaymentModel>> {
  id: string;
  key: string;
  order_id: string;
  user_id: string;
  amount: number;
  currency: string;
  provider: string;
  status: Payment["status"];
  provider_ref: string | null;
  failure_code: string | null;
  refunded: number;
  refunding: number;
  requests: number;
  cancelled: boolean;
  created_at: CreationOptional<Date>;
  updated_at: CreationOptional<Date>;
}

/** A row of payments.refunds. */
export interface RefundModel
  extends Model<InferAttributes<RefundModel>, InferCreationAttributes<RefundModel>> {
  id: string;
  payment_id: string;
  key: string;
  amount: number;
  reason: string;
  status: Refund["status"];
  provider_ref: string | null;
  requested_by: string | null;
  requests: number;
  created_at: CreationOptional<Date>;
  updated_at: CreationOptional<Date>;
}

export type PaymentRow = InferAttributes<PaymentModel>;
export type RefundRow = InferAttributes<RefundModel>;

/** The models are for reading: every write is a statement with its condition, in the stores. */
export function defineModels(sequelize: Sequelize) {
  const main = sequelize.define<PaymentModel>(
    "Payment",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      key: DataTypes.TEXT,
      order_id: DataTypes.UUID,
      user_id: DataTypes.UUID,
      amount: DataTypes.INTEGER,
      currency: DataTypes.TEXT,
      provider: DataTypes.TEXT,
      status: DataTypes.TEXT,
      provider_ref: DataTypes.TEXT,
      failure_code: DataTypes.TEXT,
      refunded: DataTypes.INTEGER,
      refunding: DataTypes.INTEGER,
      requests: DataTypes.INTEGER,
      cancelled: DataTypes.BOOLEAN,
      created_at: DataTypes.DATE,
      updated_at: DataTypes.DATE,
    },
    { schema: "payments", tableName: "payments", timestamps: false },
  );
  const refunds = sequelize.define<RefundModel>(
    "Refund",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      payment_id: DataTypes.UUID,
      key: DataTypes.TEXT,
      amount: DataTypes.INTEGER,
      reason: DataTypes.TEXT,
      status: DataTypes.TEXT,
      provider_ref: DataTypes.TEXT,
      requested_by: DataTypes.UUID,
      requests: DataTypes.INTEGER,
      created_at: DataTypes.DATE,
      updated_at: DataTypes.DATE,
    },
    { schema: "payments", tableName: "refunds", timestamps: false },
  );
  return { main, refunds };
}
