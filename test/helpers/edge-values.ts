import type { Json } from "./client.ts";

/** Values on both sides of a schema's edges, made from the schema. */
export interface EdgeValues {
  refused: Json[];
  accepted: Json[];
}

export interface JsonSchema {
  type?: string;
  const?: Json;
  enum?: Json[];
  anyOf?: JsonSchema[];
  examples?: Json[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  format?: string;
}

/** @param schema a TypeBox schema as JSON */
export function edgesOf(schema: JsonSchema): EdgeValues {
  if (schema.anyOf) return edgesOfAny(schema.anyOf);
  if (schema.const !== undefined) return { refused: ["no such value"], accepted: [schema.const] };
  if (schema.enum) return { refused: ["no such value", ""], accepted: schema.enum };
  switch (schema.type) {
    case "integer":
    case "number":
      return edgesOfNumber(schema);
    case "string":
      return edgesOfString(schema);
    case "boolean":
      return { refused: ["maybe", 2], accepted: [true, false] };
    case "array":
      return edgesOfArray(schema);
    default:
      return edgesOfObject(schema);
  }
}

function edgesOfNumber({ type, minimum, maximum, exclusiveMinimum }: JsonSchema): EdgeValues {
  const beyond = [
    ...(minimum === undefined ? [] : [minimum - 1]),
    ...(exclusiveMinimum === undefined ? [] : [exclusiveMinimum]),
    ...(maximum === undefined ? [] : [maximum + 1]),
    ...(type === "integer" ? [(minimum ?? 0) + 0.5] : []),
  ];
  const edges = [minimum, maximum].filter((edge) => edge !== undefined);
  return { refused: [...beyond, "one", null], accepted: edges };
}

function edgesOfString({ minLength, maxLength, pattern, format }: JsonSchema): EdgeValues {
  const matches = (text: string) => takesText({ type: "string", pattern, format }, text);
  const misfit = [" ", "';--"].filter((text) => !matches(text));
  return {
    refused: [
      ...(minLength ? ["x".repeat(minLength - 1)] : []),
      ...(maxLength === undefined ? [] : ["x".repeat(maxLength + 1)]),
      ...misfit,
      5,
      null,
    ],
    accepted: [minLength ?? 1, maxLength ?? 1].map((length) => "x".repeat(length)).filter(matches),
  };
}

function edgesOfArray({ items = {}, minItems = 0, maxItems }: JsonSchema): EdgeValues {
  const inner = edgesOf(items);
  const [item = {}] = [...(items.examples ?? []), sampleOf(items)];
  const many = (length: number): Json[] => Array.from({ length }, () => item);
  return {
    refused: [
      ...(minItems > 0 ? [many(minItems - 1)] : []),
      ...(maxItems === undefined ? [] : [many(maxItems + 1)]),
      ...inner.refused.map((value) => [value]),
      "text",
      null,
      {},
    ],
    accepted: [minItems, maxItems].filter((length) => length !== undefined).map(many),
  };
}

function edgesOfObject({ properties, required = [] }: JsonSchema): EdgeValues {
  if (!properties) return { refused: ["text", 5, null, []], accepted: [{}] };
  const whole = sampleOfObject(properties, required);
  const without = (name: string): Json =>
    Object.fromEntries(Object.entries(whole).filter(([key]) => key !== name));
  const refused = Object.entries(properties).flatMap(([name, property]) =>
    edgesOf(property).refused.map((value) => ({ ...whole, [name]: value })),
  );
  return {
    refused: [{ ...whole, surprise: 1 }, ...required.map(without), ...refused, "text", null, []],
    accepted: [whole],
  };
}

/** Refused is what no branch takes: what is of none of their types, and with one branch what that refuses. */
function edgesOfAny(branches: JsonSchema[]): EdgeValues {
  const accepted = branches.flatMap((branch) => (isNull(branch) ? [null] : edgesOf(branch).accepted));
  const [only, ...more] = branches.filter((branch) => !isNull(branch));
  if (only && more.length === 0)
    return { refused: edgesOf(only).refused.filter((value) => value !== null), accepted };
  const samples: Record<string, Json> = {
    string: "no such value",
    integer: 5,
    boolean: true,
    null: null,
    array: [],
    object: { surprise: 1 },
  };
  const takes = (branch: JsonSchema, type: string) =>
    type === "string" ? takesText(branch, "no such value") : type !== "object" && branch.type === type;
  const refused = Object.entries(samples).flatMap(([type, value]) =>
    branches.some((branch) => takes(branch, type)) ? [] : [value],
  );
  return { refused, accepted };
}

const isNull = ({ type }: JsonSchema) => type === "null";

const takesText = ({ type, pattern, format }: JsonSchema, text: string) =>
  type === "string" && format === undefined && (pattern === undefined || new RegExp(pattern, "u").test(text));

/** A value that passes, of optional properties none. */
export function sampleOf(schema: JsonSchema): Json {
  const { examples, anyOf, type, minimum = 1, minLength = 1, items = {}, minItems = 0 } = schema;
  if (examples) return examples[0] ?? null;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0] ?? null;
  if (anyOf) return sampleOf(anyOf[0] ?? {});
  if (schema.properties) return sampleOfObject(schema.properties, schema.required);
  if (type === "array") return Array.from({ length: minItems }, () => sampleOf(items));
  if (type === "integer" || type === "number") return Math.max(minimum, 1);
  if (type === "boolean") return true;
  return type === "string" ? "x".repeat(minLength) : {};
}

/** What is required, and nothing else. */
export function sampleOfObject(
  properties: Record<string, JsonSchema>,
  required: string[] = [],
): Record<string, Json> {
  return Object.fromEntries(required.map((name) => [name, sampleOf(properties[name] ?? {})]));
}
