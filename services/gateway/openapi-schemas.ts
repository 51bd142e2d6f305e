import type { TSchema } from "typebox";
import * as shared from "../../lib/schema.ts";
import * as analytics from "../analytics/analytics.contract.ts";
import * as auth from "../auth/auth.contract.ts";
import * as cart from "../cart/cart.contract.ts";
import * as inventory from "../inventory/inventory.contract.ts";
import * as notifications from "../notifications/notifications.contract.ts";
import * as orders from "../orders/orders.contract.ts";
import * as payments from "../payments/payments.contract.ts";
import * as products from "../products/products.contract.ts";
import * as users from "../users/users.contract.ts";
import { ERROR_CODES } from "./failure-response.ts";
import * as gateway from "./gateway.contract.ts";

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

const SCHEMA_NAME = /^[A-Z]/;
const MAPS = new Set(["properties", "patternProperties"]);

/** What the contracts export under a name is one component of the document, wherever it recurs. */
const NAMED = new Map<string, string>(
  [shared, users, auth, products, inventory, cart, orders, payments, notifications, analytics, gateway]
    .flatMap((module) => Object.entries(module))
    .filter(([name, value]) => SCHEMA_NAME.test(name) && typeof value === "object" && isComponent(value))
    .map(([name, value]) => [JSON.stringify(value), name]),
);

/** Objects, enumerations and the like; not the one-word types. */
function isComponent(value: object): boolean {
  return ["properties", "enum", "anyOf", "$defs"].some((key) => key in value);
}

const ERROR: JsonObject = {
  type: "object",
  required: ["error", "code", "request_id"],
  properties: {
    error: { type: "string", description: "A sentence for people." },
    code: {
      type: "string",
      enum: [...ERROR_CODES],
      description: "What a program goes by: it never changes.",
    },
    details: { description: "What exactly, where that helps: refused values with their path, shortages." },
    request_id: { type: "string", description: "As in the X-Request-Id header." },
    trace_id: { type: "string", description: "Where the shop is traced: 32 hex digits." },
  },
};

/** Collects the components that the schemas it is given refer to. */
export class Components {
  readonly schemas: { [name: string]: JsonObject } = { Error: ERROR };

  /** A contract's schema as OpenAPI 3.1 has it: JSON Schema, with what recurs as `$ref`. */
  refer(schema: TSchema): JsonObject {
    return this.#rewrite(JSON.parse(JSON.stringify(schema)));
  }

  #rewrite(node: JsonObject): JsonObject {
    const name = NAMED.get(JSON.stringify(node));
    if (name === undefined) return this.#inside(node);
    if (!(name in this.schemas)) {
      // Before its inside is looked at, which may refer to it.
      this.schemas[name] = {};
      this.schemas[name] = this.#inside(unrolled(node));
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  #inside(node: JsonObject): JsonObject {
    if (typeof node.$ref === "string" && !node.$ref.startsWith("#")) {
      return { $ref: `#/components/schemas/${node.$ref}` };
    }
    const rewritten: JsonObject = {};
    for (const [key, value] of Object.entries(node)) {
      if (key === "examples" || key === "enum") rewritten[key] = value;
      else if (MAPS.has(key) && isObject(value)) rewritten[key] = this.#map(value);
      else if (key !== "$id") rewritten[key] = this.#value(value);
    }
    // TypeBox leaves the type of an enumeration to its values; tools like to read it.
    if (Array.isArray(node.enum) && node.enum.every((value) => typeof value === "string")) {
      return { type: "string", ...rewritten };
    }
    return rewritten;
  }

  /** Names that a contract chose, each with its schema: `type` among them is a property, no keyword. */
  #map(schemas: JsonObject): JsonObject {
    return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, this.#value(schema)]));
  }

  #value(value: Json): Json {
    if (Array.isArray(value)) return value.map((one) => this.#value(one));
    return typeof value === "object" && value !== null ? this.#rewrite(value) : value;
  }
}

/** A cyclic schema names itself: `{ $defs: { Category }, $ref: "Category" }` → the definition. */
function unrolled(node: JsonObject): JsonObject {
  const { $defs, $ref } = node;
  if (typeof $ref !== "string" || !isObject($defs)) return node;
  const definition = $defs[$ref];
  return isObject(definition) ? definition : node;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
