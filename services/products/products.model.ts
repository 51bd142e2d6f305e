import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  type Model,
  type Sequelize,
} from "sequelize";

/** A row of products.products. `price` in minor units of `currency`. Its columns for search are the database's own. */
export interface ProductModel
  extends Model<InferAttributes<ProductModel>, InferCreationAttributes<ProductModel>> {
  id: CreationOptional<number>;
  sku: string;
  name: string;
  description: CreationOptional<string>;
  price: number;
  currency: string;
  category_id: CreationOptional<number | null>;
  images: CreationOptional<string[]>;
  /** A projection of inventory's level: what is available as of its version. */
  stock_quantity: CreationOptional<number>;
  stock_version: CreationOptional<number>;
  withdrawn_at: CreationOptional<Date | null>;
  created_at: CreationOptional<Date>;
  updated_at: CreationOptional<Date>;
}

/** A row of products.categories. `depth` is 1 for a root. */
export interface CategoryModel
  extends Model<InferAttributes<CategoryModel>, InferCreationAttributes<CategoryModel>> {
  id: CreationOptional<number>;
  name: string;
  slug: string;
  parent_id: number | null;
  depth: number;
  updated_at: CreationOptional<Date>;
}

export function defineModels(sequelize: Sequelize) {
  const id = { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true };
  const main = sequelize.define<ProductModel>(
    "Product",
    {
      id,
      sku: DataTypes.TEXT,
      name: DataTypes.TEXT,
      description: DataTypes.TEXT,
      price: DataTypes.INTEGER,
      currency: DataTypes.TEXT,
      category_id: DataTypes.INTEGER,
      images: DataTypes.JSONB,
      stock_quantity: DataTypes.INTEGER,
      stock_version: DataTypes.BIGINT,
      withdrawn_at: DataTypes.DATE,
      created_at: DataTypes.DATE,
      updated_at: DataTypes.DATE,
    },
    { schema: "products", tableName: "products", timestamps: false },
  );
  const categories = sequelize.define<CategoryModel>(
    "Category",
    {
      id,
      name: DataTypes.TEXT,
      slug: DataTypes.TEXT,
      parent_id: DataTypes.INTEGER,
      depth: DataTypes.INTEGER,
      updated_at: DataTypes.DATE,
    },
    { schema: "products", tableName: "categories", timestamps: false },
  );
  return { main, categories };
}

export type Models = ReturnType<typeof defineModels>;
