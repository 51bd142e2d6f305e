import Type, { type Static } from "typebox";
import { action, contract, type ParamsOf, type ResultOf } from "../../lib/contract.ts";
import { BelowReserved, CategoryCycle, CategoryInUse, SkuTaken, SlugTaken } from "../../lib/errors.ts";
import { Amount, Minor } from "../../lib/money.ts";
import {
  Currency,
  IntId,
  Matching,
  Nullable,
  Obj,
  Pagination,
  pageParams,
  Text,
  Timestamp,
} from "../../lib/schema.ts";

export const Product = Obj({
  id: IntId(),
  sku: Type.String(),
  name: Type.String(),
  description: Type.String(),
  price: Type.Number({ examples: [29.99] }),
  currency: Currency(),
  category: Nullable(Type.String({ description: "the category's name" })),
  category_id: Nullable(IntId()),
  stock_quantity: Type.Integer({ minimum: 0, description: "available now: on hand less what is reserved" }),
  images: Type.Array(Type.String()),
  created_at: Timestamp(),
  updated_at: Timestamp(),
});
export type Product = Static<typeof Product>;

interface CategoryNode {
  id: number;
  name: string;
  slug: string;
  parent_id: number | null;
  children: CategoryNode[];
}
export type Category = CategoryNode;
export const Category = Type.Cyclic(
  {
    Category: Obj({
      id: IntId(),
      name: Type.String(),
      slug: Type.String(),
      parent_id: Nullable(IntId()),
      children: Type.Array(Type.Ref("Category")),
    }),
  },
  "Category",
);

const Sku = () =>
  Matching(
    "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    "must be 1 to 64 letters, digits or . _ - and begin with a letter or digit",
    { examples: ["HK-COF-0001"] },
  );
const Slug = () =>
  Matching("^[a-z0-9]+(?:-[a-z0-9]+)*$", "must be small letters and digits, with single hyphens between", {
    minLength: 1,
    maxLength: 100,
  });
const Images = () => Type.Array(Type.String({ minLength: 1, maxLength: 500 }), { maxItems: 20 });
const StockLevel = () => Type.Integer({ minimum: 0, maximum: 1_000_000_000 });

const productFields = {
  name: Text(200),
  description: Type.Optional(Type.String({ maxLength: 5000 })),
  price: Amount(),
  currency: Type.Optional(Currency()),
  category_id: Type.Optional(Nullable(IntId())),
  category: Type.Optional(
    Type.String({ maxLength: 100, description: "name or slug, instead of category_id" }),
  ),
  images: Type.Optional(Images()),
};

/** One line of an import: as `POST /products`, but `sku` names the product, and an existing one is updated. */
export const ImportLine = Obj({ ...productFields, sku: Sku(), stock_quantity: Type.Optional(StockLevel()) });
export type ImportLine = Static<typeof ImportLine>;

/** What the checkout needs of a product. Never from the client. */
export const Quote = Obj({
  product_id: IntId(),
  sku: Type.String(),
  name: Type.String(),
  unit_price: Minor(),
  currency: Currency(),
});
export type Quote = Static<typeof Quote>;

export const Facets = Obj({
  categories: Type.Array(
    Obj({ id: IntId(), name: Type.String(), slug: Type.String(), count: Type.Integer() }),
  ),
  price: Nullable(Obj({ min: Type.Number(), max: Type.Number() })),
  in_stock: Type.Integer({ description: "how many of them are in stock" }),
});
export type Facets = Static<typeof Facets>;

/** Products of which few are left, or none. */
export const LowStock = Obj({
  threshold: Type.Integer({ description: "of how many a product counts as low" }),
  count: Type.Integer(),
  products: Type.Array(
    Obj({ id: IntId(), sku: Type.String(), name: Type.String(), available: Type.Integer() }),
    { description: "the lowest 50" },
  ),
});
export type LowStock = Static<typeof LowStock>;

export const productsContract = contract("products", {
  list: action({
    summary: "Browse and search the catalogue",
    rest: ["GET /products"],
    permissions: ["public"],
    bulkhead: true,
    params: Obj({
      ...pageParams,
      category: Type.Optional(Type.String({ maxLength: 100, description: "name or slug" })),
      category_id: Type.Optional(IntId()),
      search: Type.Optional(Type.String({ maxLength: 200, description: "words; forgives a typo" })),
      ids: Type.Optional(
        Matching("^[0-9]{1,10}(,[0-9]{1,10}){0,99}$", "must be 1 to 100 ids, separated by commas", {
          examples: ["1,2,3"],
        }),
      ),
      min_price: Type.Optional(Amount()),
      max_price: Type.Optional(Amount()),
      in_stock: Type.Optional(
        Type.Boolean({ description: "true: only what is in stock; false: only what is not" }),
      ),
      sort: Type.Optional(
        Type.Enum(["newest", "price", "-price", "name", "relevance"], {
          description: "relevance by default in a search, newest otherwise",
        }),
      ),
      facets: Type.Optional(Type.Boolean({ description: "also count by category, price and stock" })),
    }),
    result: Obj({ products: Type.Array(Product), pagination: Pagination, facets: Type.Optional(Facets) }),
    cache: {
      keys: [
        "page",
        "limit",
        "per_page",
        "category",
        "category_id",
        "search",
        "ids",
        "min_price",
        "max_price",
        "in_stock",
        "sort",
        "facets",
      ],
      ttl: 10,
    },
  }),
  get: action({
    summary: "One product",
    rest: ["GET /products/:id"],
    permissions: ["public"],
    params: Obj({ id: IntId() }),
    result: Product,
    cache: { keys: ["id"], ttl: 10 },
  }),
  create: action({
    summary: "Add a product",
    rest: ["POST /products"],
    permissions: ["admin"],
    status: 201,
    params: Obj({ ...productFields, sku: Type.Optional(Sku()), stock_quantity: Type.Optional(StockLevel()) }),
    result: Product,
    errors: [SkuTaken],
  }),
  update: action({
    summary: "Change a product",
    rest: ["PUT /products/:id", "PATCH /products/:id"],
    permissions: ["admin"],
    params: Obj({
      id: IntId(),
      ...productFields,
      name: Type.Optional(Text(200)),
      price: Type.Optional(Amount()),
      sku: Type.Optional(Sku()),
    }),
    result: Product,
    errors: [SkuTaken],
  }),
  remove: action({
    summary: "Withdraw a product; old orders still show it",
    rest: ["DELETE /products/:id"],
    permissions: ["admin"],
    status: 204,
    params: Obj({ id: IntId() }),
    result: Type.Null(),
  }),
  setStock: action({
    summary: "Set how many are on hand",
    rest: ["PUT /products/:id/stock"],
    permissions: ["admin"],
    params: Obj({ id: IntId(), quantity: StockLevel() }),
    result: Product,
    errors: [BelowReserved],
  }),
  changeStock: action({
    summary: "Add to or take from what is on hand",
    rest: ["PATCH /products/:id/stock"],
    permissions: ["admin"],
    params: Obj({ id: IntId(), change: Type.Integer({ minimum: -1_000_000_000, maximum: 1_000_000_000 }) }),
    result: Product,
    errors: [BelowReserved],
  }),
  import: action({
    summary:
      "Create and update products by SKU from a stream of NDJSON or CSV, with a report per bad line. A field that a line leaves out stays as it is; of lines with the same SKU the last counts",
    rest: ["POST /products/import"],
    permissions: ["admin"],
    stream: ["application/x-ndjson", "text/csv"],
    params: Obj({ media_type: Type.Enum(["application/x-ndjson", "text/csv"]) }),
    result: Obj({
      created: Type.Integer(),
      updated: Type.Integer(),
      rejected: Type.Array(Obj({ line: Type.Integer(), code: Type.String(), error: Type.String() }), {
        description: "a line of which only the stock was refused also counts as created or updated",
      }),
      rejected_total: Type.Integer({ description: "of which `rejected` lists the first 1,000" }),
    }),
    timeout: 600_000,
  }),
  categories: action({
    summary: "The tree of categories",
    rest: ["GET /categories"],
    permissions: ["public"],
    params: Obj({}),
    result: Obj({ categories: Type.Array(Category) }),
    cache: { keys: [], ttl: 30 },
  }),
  createCategory: action({
    summary: "Add a category",
    rest: ["POST /categories"],
    permissions: ["admin"],
    status: 201,
    params: Obj({
      name: Text(100),
      slug: Type.Optional(Slug()),
      parent_id: Type.Optional(Nullable(IntId())),
    }),
    result: Category,
    errors: [SlugTaken],
  }),
  updateCategory: action({
    summary: "Rename or move a category",
    rest: ["PUT /categories/:id"],
    permissions: ["admin"],
    params: Obj({
      id: IntId(),
      name: Type.Optional(Text(100)),
      slug: Type.Optional(Slug()),
      parent_id: Type.Optional(Nullable(IntId())),
    }),
    result: Category,
    errors: [SlugTaken, CategoryCycle],
  }),
  removeCategory: action({
    summary: "Remove an empty category",
    rest: ["DELETE /categories/:id"],
    permissions: ["admin"],
    status: 204,
    params: Obj({ id: IntId() }),
    result: Type.Null(),
    errors: [CategoryInUse],
  }),
  lowStock: action({
    summary:
      "Products that run out, for live screens: by the catalogue's view of the stock, some seconds old",
    permissions: ["service"],
    params: Obj({}),
    result: LowStock,
  }),
  quote: action({
    summary:
      "Current names and prices of products that are sold; unknown and withdrawn ones, and those in another currency than orders, are left out",
    permissions: ["service"],
    params: Obj({ ids: Type.Array(IntId(), { minItems: 1, maxItems: 200 }) }),
    result: Type.Array(Quote),
    idempotent: true,
  }),
  count: action({
    summary: "How many products there are, withdrawn ones too",
    permissions: ["service"],
    params: Obj({}),
    result: Type.Integer(),
    idempotent: true,
  }),
});

export type ListParams = ParamsOf<typeof productsContract.actions.list>;
export type ProductPage = ResultOf<typeof productsContract.actions.list>;
export type ProductInput = ParamsOf<typeof productsContract.actions.create>;
export type ProductChanges = Omit<ParamsOf<typeof productsContract.actions.update>, "id">;
export type ImportReport = ResultOf<typeof productsContract.actions.import>;
export type CategoryInput = ParamsOf<typeof productsContract.actions.createCategory>;
export type CategoryChanges = Omit<ParamsOf<typeof productsContract.actions.updateCategory>, "id">;
