import { EnvError, makeValidator } from "envalid";
import { Check } from "typebox/value";
import { MAX_ORDER_TOTAL, type MinorUnits, toDecimal, toMinor } from "./money.ts";
import { Currency, Email } from "./schema.ts";
import { GUEST_PREFIX } from "./seal.ts";
import { isServiceName, SERVICE_NAMES } from "./service-names.ts";

/** How one variable is read and checked; what an {@link EnvError} says follows the variable's name. */

export const list = makeValidator<string[]>((input) =>
  input
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== ""),
);

export const services = makeValidator<string[]>((input) => {
  const names = input.split(",").map((part) => part.trim());
  const given = names.filter((name) => name !== "");
  if (given.length === 0) throw new EnvError("names no service");
  for (const name of given) {
    if (!isServiceName(name))
      throw new EnvError(`has no service ${name}: there are ${SERVICE_NAMES.join(", ")}`);
  }
  return given;
});

export const integer = (min: number, max: number) =>
  makeValidator<number>((input) => {
    const value = /^\d+$/.test(input.trim()) ? Number(input) : Number.NaN;
    if (!(value >= min && value <= max)) throw new EnvError(`must be a whole number from ${min} to ${max}`);
    return value;
  });

/** Digits and a point, and nothing behind them: `7,5` is not 7. */
const DECIMAL = /^\d{1,12}(\.\d+)?$/;

/** @param places at most, behind the point */
export const decimal = (min: number, max: number, places = 15) =>
  makeValidator<number>((input) => {
    const text = input.trim();
    const value = DECIMAL.test(text) ? Number(text) : Number.NaN;
    const isFine = (text.split(".")[1] ?? "").length <= places;
    if (!(value >= min && value <= max) || !isFine) {
      const limit = places < 15 ? `, with ${places} decimal places at most` : "";
      throw new EnvError(`must be a number from ${min} to ${max}${limit}`);
    }
    return value;
  });

/** A decimal amount (4.90) kept as minor units. */
export const amount = makeValidator<MinorUnits>((input) => {
  const value = /^\d{1,12}(\.\d{1,2})?$/.test(input.trim()) ? toMinor(Number(input)) : Number.NaN;
  if (!(value <= MAX_ORDER_TOTAL))
    throw new EnvError(`must be an amount like 4.90, up to ${toDecimal(MAX_ORDER_TOTAL)}`);
  return value;
});

/** More than anything here lives, and still a date. */
const MAX_DAYS = 36_500;

/** `15m`, `3600`, `12h`: seconds, from 1. */
export const seconds = makeValidator<number>((input) => {
  const match = /^(\d+)\s*(s|m|h|d)?$/.exec(input.trim());
  if (!match) throw new EnvError("must be a duration like 900, 15m or 12h");
  const unit = { s: 1, m: 60, h: 3600, d: 86_400 }[match[2] ?? "s"] ?? 1;
  const value = Number(match[1]) * unit;
  if (value < 1 || value > MAX_DAYS * 86_400) throw new EnvError(`must be from 1s to ${MAX_DAYS}d`);
  return value;
});

export const currency = makeValidator<string>((input) => {
  if (!Check(Currency(), input)) throw new EnvError("must be a currency's three capital letters, like EUR");
  return input;
});

export const email = makeValidator<string>((input) => {
  if (!Check(Email(), input)) throw new EnvError("must be an address like admin@shop.example");
  return input;
});

/** As long as every user's. */
export const password = makeValidator<string>((input) => {
  if (input.length < 8 || input.length > 128) throw new EnvError("must have 8 to 128 characters");
  return input;
});

/** An address of one of these protocols (`redis:`). @param like what one looks like */
export const address = (protocols: readonly string[], like: string) =>
  makeValidator<string>((input) => {
    if (!URL.canParse(input) || !protocols.includes(new URL(input).protocol))
      throw new EnvError(`must be like ${like}`);
    return input;
  });

export const postgresUrl = address(
  ["postgres:", "postgresql:"],
  "postgres://user:password@host:5432/molecart",
);

/** Servers of NATS; one without a protocol is `nats:`. */
export const natsUrls = makeValidator<string[]>((input) => {
  const servers = input
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  for (const server of servers) {
    const url = server.includes("://") ? server : `nats://${server}`;
    const { protocol = "", hostname = "" } = URL.canParse(url) ? new URL(url) : {};
    if (!["nats:", "tls:"].includes(protocol) || hostname === "")
      throw new EnvError("must be servers like nats://host:4222 or tls://host:4222, separated by commas");
  }
  return servers;
});

/** `on`, `off`, or a factor on every limit. 0 means off. */
export const rateLimit = makeValidator<number>((input) => {
  if (input === "on") return 1;
  if (input === "off") return 0;
  const value = Number(input);
  if (!Number.isFinite(value) || value < 0) throw new EnvError("must be on, off or a factor like 2");
  return value;
});

export const secret = makeValidator<string>((input) => {
  if (input.length < 32) throw new EnvError("must have at least 32 characters");
  return input;
});

/** Several while one is replaced by another. */
export const secrets = makeValidator<string[]>((input) => {
  const values = input.split(",").map((part) => part.trim());
  for (const value of values)
    if (value.length < 32)
      throw new EnvError("must have at least 32 characters; several are separated by commas");
  return values;
});

export const nodeId = makeValidator<string>((input) => {
  if (input.startsWith(GUEST_PREFIX)) throw new EnvError(`must not begin with ${GUEST_PREFIX}`);
  return input;
});

/** What is wrong with names that stand in NATS' subjects. */
export function notInSubjects(names: Record<"NAMESPACE" | "NODE_ID", string>): string[] {
  return (["NAMESPACE", "NODE_ID"] as const)
    .filter((name) => names[name] !== "" && !/^[^\s*>.]+(\.[^\s*>.]+)*$/.test(names[name]))
    .map((name) => `${name} must not have blanks, *, > or empty parts between dots`);
}

/** With several hosts, as for a replica set, it is no URL that a parser would take. */
export const mongoUrl = makeValidator<string>((input) => {
  if (!/^mongodb(\+srv)?:\/\/[^/]+(\/.*)?$/.test(input))
    throw new EnvError("must be like mongodb://host:27017/molecart");
  return input;
});

/** A mail server. Only what a URL says for sure: no path, no options, and a user with every password. */
export const smtpUrl = makeValidator<string>((input) => {
  const { protocol, hostname, username, password, pathname, search, hash } = URL.canParse(input)
    ? new URL(input)
    : new URL("none:");
  const isFine =
    ["smtp:", "smtps:"].includes(protocol) &&
    hostname !== "" &&
    /^\/?$/.test(pathname) &&
    search === "" &&
    hash === "" &&
    (username !== "" || password === "") &&
    isEncoded(username) &&
    isEncoded(password);
  if (!isFine)
    throw new EnvError("must be like smtps://user:password@host:465, user and password percent-encoded");
  return input;
});

/** `shop@shop.example`, or `The Shop <shop@shop.example>`; undefined if it is neither. */
export function mailbox(text: string): { name: string; address: string } | undefined {
  const match = /^(?:"?([^"<>\p{Cc}]*?)"?\s*<([^<>]+)>|(\S+))$/u.exec(text.trim());
  const address = match?.[2] ?? match?.[3] ?? "";
  return Check(Email(), address) ? { name: match?.[1] ?? "", address } : undefined;
}

export const mailFrom = makeValidator<string>((input) => {
  if (!mailbox(input)) throw new EnvError("must be an address, like The Shop <shop@shop.example>");
  return input;
});

export const origins = makeValidator<string[]>((input) => {
  const values = input
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  for (const value of values) {
    if (!URL.canParse(value) || new URL(value).origin !== value) {
      throw new EnvError(`${value} is not an origin like https://shop.example.com`);
    }
  }
  return values;
});

/** `name=value,name=value`, as OpenTelemetry writes headers. */
export const pairs = makeValidator<Record<string, string>>((input) => {
  const entries = input.split(",").map((part) => {
    const equals = part.indexOf("=");
    if (equals < 1) throw new EnvError("must be like name=value,name=value");
    const [name, value] = [part.slice(0, equals).trim(), part.slice(equals + 1).trim()];
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || !isEncoded(value))
      throw new EnvError("must be names and values of headers, percent-encoded");
    return [name, decodeURIComponent(value)];
  });
  return Object.fromEntries(entries);
});

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
