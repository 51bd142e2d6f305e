import Type, { type TProperties, type TSchema, type TStringOptions } from "typebox";

/** Vocabulary shared by the contracts. Every object is closed: unknown properties are refused. */

export const Obj = <P extends TProperties>(properties: P) =>
  Type.Object(properties, { additionalProperties: false });

export const Nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);

const meanings = new Map<string, string>();

/** A text of a pattern, and what somebody is told whose text isn't: `must be …`. */
export function Matching(pattern: string, meaning: string, options: TStringOptions = {}) {
  meanings.set(pattern, meaning);
  return Type.String({ ...options, pattern });
}

/** What a {@link Matching} pattern asks for. */
export function meaningOf(pattern: string | RegExp): string | undefined {
  return meanings.get(typeof pattern === "string" ? pattern : pattern.source);
}

export const Uuid = (description?: string) =>
  Matching(
    "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
    "must be a UUID",
    {
      examples: ["01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11"],
      ...(description === undefined ? {} : { description }),
    },
  );

/** A Postgres `integer` key, as products and categories have. */
export const IntId = () => Type.Integer({ minimum: 1, maximum: 2_147_483_647, examples: [1] });

/** Text a person reads: not blank, at most `max` characters. */
export const Text = (max: number, example?: string) =>
  Matching("\\S", "must not be blank", {
    minLength: 1,
    maxLength: max,
    ...(example === undefined ? {} : { examples: [example] }),
  });

export const Email = () =>
  Matching(
    '^[^\\s@<>"(),:;\\\\\\[\\]]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$',
    "must be an email address",
    { minLength: 3, maxLength: 254, examples: ["ada@example.com"] },
  );

export const Phone = () =>
  Matching("^\\+?[0-9 ().-]{5,30}$", "must be a phone number: 5 to 30 digits, blanks and ( ) . -", {
    examples: ["+44 20 7946 0000"],
  });

/** ISO 8601, in a range that every store can keep; answers are always in UTC. */
export const Timestamp = () =>
  Type.Refine(
    Type.String({ format: "date-time", examples: ["2026-11-20T10:00:00.000Z"] }),
    isInstant,
    () => "must be a time from 1900 to 9999",
  );

function isInstant(text: string): boolean {
  const time = Date.parse(text);
  return time >= Date.UTC(1900, 0) && time < Date.UTC(10_000, 0);
}

/** Units of one product that a cart or an order holds at most. */
export const MAX_QUANTITY = 10_000;
export const Quantity = () => Type.Integer({ minimum: 1, maximum: MAX_QUANTITY, examples: [1] });

export const Currency = () =>
  Matching("^[A-Z]{3}$", "must be three capital letters, like EUR", { examples: ["EUR"] });

/** What every list takes. `per_page` is another name of `limit`. */
export const pageParams = {
  page: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000, description: "from 1" })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: "20 by default" })),
  per_page: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: "the same as limit" })),
};

export const Pagination = Obj({
  page: Type.Integer(),
  limit: Type.Integer(),
  total: Type.Integer(),
  pages: Type.Integer(),
});

export interface PageParams {
  page?: number;
  limit?: number;
  per_page?: number;
}

/** `{page: 3, limit: 20}` → the SQL window and the answer's `pagination`. */
export function pageOf(params: PageParams) {
  const page = params.page ?? 1;
  const limit = params.limit ?? params.per_page ?? 20;
  return {
    limit,
    offset: (page - 1) * limit,
    pagination: (total: number) => ({ page, limit, total, pages: Math.ceil(total / limit) }),
  };
}

export const Message = Obj({ message: Type.String() });
export const Nothing = Type.Null();
