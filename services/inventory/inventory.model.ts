import {
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  type Model,
  type Sequelize,
} from "sequelize";

/** A row of inventory.levels. Postgres's bigint comes as text. */
export interface LevelModel extends Model<InferAttributes<LevelModel>, InferCreationAttributes<LevelModel>> {
  product_id: number;
  on_hand: number;
  reserved: number;
  received: string;
  sold: string;
  version: string;
  changed_at: Date;
}

export type LevelRow = InferAttributes<LevelModel>;

/** The model is for reading: every write is a statement with its condition, in levels.ts and reservations.ts. */
export function defineModels(sequelize: Sequelize) {
  const main = sequelize.define<LevelModel>(
    "Level",
    {
      product_id: { type: DataTypes.INTEGER, primaryKey: true },
      on_hand: DataTypes.INTEGER,
      reserved: DataTypes.INTEGER,
      received: DataTypes.BIGINT,
      sold: DataTypes.BIGINT,
      version: DataTypes.BIGINT,
      changed_at: DataTypes.DATE,
    },
    { schema: "inventory", tableName: "levels", timestamps: false },
  );
  return { main };
}
