import type { TSchema } from "typebox";
import { isObject, type Json, type JsonObject } from "./openapi-schemas.ts";

/** Where a body made from the schema alone would say nothing, or would say one thing twice. */
const CHOSEN: Readonly<Record<string, Json>> = {
  "auth.register": {
    email: "ada@example.com",
    password: "correct horse battery",
    first_name: "Ada",
    last_name: "Lovelace",
  },
  "auth.login": { email: "ada@example.com", password: "correct horse battery" },
  "auth.forgotPassword": { email: "ada@example.com" },
  "users.updateProfile": { first_name: "Ada", last_name: "Lovelace" },
  "users.updateAddress": { city: "London", is_default: true },
  "users.update": { is_active: false },
  "products.create": { name: "Coffee maker", price: 29.99, sku: "HK-COF-0001", stock_quantity: 10 },
  "products.update": { price: 24.99 },
  "products.setStock": { quantity: 50 },
  "products.changeStock": { change: 10 },
  "products.createCategory": { name: "Kitchen" },
  "products.updateCategory": { name: "Kitchen and dining" },
  "orders.cancel": { reason: "Ordered twice" },
  "orders.setStatus": { status: "processing" },
  "analytics.record": { type: "product_view", properties: { product_id: 1 } },
};

/** A body to try an action with. */
export function exampleOf(action: string, body: TSchema): Json {
  return CHOSEN[action] ?? sample(JSON.parse(JSON.stringify(body)));
}

/** A value that passes the schema, from its `examples`. Of optional properties only those that have one. */
function sample(schema: JsonObject): Json {
  const { examples, enum: values, anyOf, properties, items, minimum, type } = schema;
  if (Array.isArray(examples)) return examples[0] ?? null;
  if ("const" in schema) return schema.const ?? null;
  if (Array.isArray(values)) return values[0] ?? null;
  if (Array.isArray(anyOf)) return isObject(anyOf[0]) ? sample(anyOf[0]) : null;
  if (isObject(properties)) return sampleObject(properties, schema.required);
  if (type === "array") return isObject(items) ? [sample(items)] : [];
  if (type === "integer" || type === "number") return typeof minimum === "number" ? Math.max(minimum, 1) : 1;
  if (type === "boolean") return true;
  return type === "string" ? "string" : {};
}

function sampleObject(properties: JsonObject, required: Json | undefined): JsonObject {
  const wanted = new Set(Array.isArray(required) ? required : []);
  const sampled: JsonObject = {};
  for (const [name, property] of Object.entries(properties)) {
    if (isObject(property) && (wanted.has(name) || "examples" in property)) sampled[name] = sample(property);
  }
  return sampled;
}
