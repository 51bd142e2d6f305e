import { EnvError, makeValidator } from "envalid";
import { hasTwoPlaces, type MinorUnits, toMinor } from "./money.ts";
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
  return names
    .filter((name) => name !== "")
    .map((name) => {
      if (!isServiceName(name))
        throw new EnvError(`has no service ${name}: there are ${SERVICE_NAMES.join(", ")}`);
      return name;
    });
});

export const integer = (min: number, max: number) =>
  makeValidator<number>((input) => {
    const value = Number(input);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new EnvError(`must be a whole number from ${min} to ${max}`);
    }
    return value;
  });

/** A decimal amount (4.90) kept as minor units. */
export const amount = makeValidator<MinorUnits>((input) => {
  const value = Number(input);
  if (!Number.isFinite(value) || value < 0 || !hasTwoPlaces(value))
    throw new EnvError("must be an amount like 4.90");
  return toMinor(value);
});

export const currency = makeValidator<string>((input) => {
  if (!/^[A-Z]{3}$/.test(input)) throw new EnvError("must be a currency's three letters, like EUR");
  return input;
});

/** `15m`, `3600`, `12h`: seconds. */
export const seconds = makeValidator<number>((input) => {
  const match = /^(\d+)\s*(s|m|h|d)?$/.exec(input.trim());
  const unit = { s: 1, m: 60, h: 3600, d: 86_400 }[match?.[2] ?? "s"] ?? 1;
  const value = Number(match?.[1]) * unit;
  if (!(value > 0)) throw new EnvError("must be a duration like 900, 15m or 12h");
  return value;
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

/** With several hosts, as for a replica set, it is no URL that a parser would take. */
export const mongoUrl = makeValidator<string>((input) => {
  if (!/^mongodb(\+srv)?:\/\/[^/]+(\/.*)?$/.test(input))
    throw new EnvError("must be like mongodb://host:27017/molecart");
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
    return [part.slice(0, equals).trim(), decodeURIComponent(part.slice(equals + 1).trim())];
  });
  return Object.fromEntries(entries);
});
