import { ValidationFailed, type Violation } from "../../lib/errors.ts";

const MAX_EMAIL = 254;

/** The one spelling of an email that accounts are stored and found by. */
export function normaliseEmail(email: string): string {
  return email.normalize("NFC").trim().toLowerCase();
}

/** The normalised email of a new account. @throws ValidationFailed if normalising made it too long */
export function newEmail(email: string): string {
  const normalised = normaliseEmail(email);
  if ([...normalised].length > MAX_EMAIL)
    throw new ValidationFailed({ violations: [{ path: "/email", message: "is too long" }] });
  return normalised;
}

/** A text without blanks around it and with single blanks inside. */
function tidy(text: string): string {
  return text.trim().replace(/\s+/g, " ");
}

export interface NameInput {
  first_name?: string;
  last_name?: string;
  name?: string;
}

export interface Names {
  first_name: string;
  last_name: string;
}

/**
 * The names that were given: `name` is split at its last space (a single word leaves last_name empty), and the two
 * names count before its parts. Nothing given, nothing returned.
 */
export function givenNames({ first_name, last_name, name }: NameInput): Partial<Names> {
  return {
    ...(name === undefined ? {} : splitName(name)),
    ...(first_name === undefined ? {} : { first_name: tidy(first_name) }),
    ...(last_name === undefined ? {} : { last_name: tidy(last_name) }),
  };
}

/** Both names of a new account. @throws ValidationFailed */
export function requiredNames(input: NameInput): Names {
  const { first_name, last_name } = givenNames(input);
  if (first_name !== undefined && last_name !== undefined) return { first_name, last_name };
  const message = "is required, or name in place of both";
  const violations: Violation[] = [];
  if (first_name === undefined) violations.push({ path: "/first_name", message });
  if (last_name === undefined) violations.push({ path: "/last_name", message });
  throw new ValidationFailed({ violations });
}

function splitName(name: string): Names {
  const whole = tidy(name);
  const space = whole.lastIndexOf(" ");
  if (space === -1) return { first_name: whole, last_name: "" };
  return { first_name: whole.slice(0, space), last_name: whole.slice(space + 1) };
}
