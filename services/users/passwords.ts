import { availableParallelism } from "node:os";
import { hash, parseOptions, verify } from "@node-rs/argon2";
import { ValidationFailed } from "../../lib/errors.ts";
import { Limiter } from "./limiter.ts";

/** OWASP's argon2id: 19 MiB (in KiB), two passes, one lane. */
const PARAMETERS = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 } as const;

/** One hash for each core, at least two; a full queue is a wait of a few seconds. */
const CONCURRENCY = Math.max(2, availableParallelism());
const LIMITS = { concurrency: CONCURRENCY, queue: CONCURRENCY * 64 };

const RULES: Record<string, { pattern: RegExp; message: string }> = {
  upper: { pattern: /\p{Lu}/u, message: "must have an upper-case letter" },
  lower: { pattern: /\p{Ll}/u, message: "must have a lower-case letter" },
  digit: { pattern: /\p{Nd}/u, message: "must have a digit" },
  symbol: { pattern: /[^\p{L}\p{M}\p{N}\s]/u, message: "must have a symbol" },
};

/**
 * Checks a new password against `PASSWORD_REQUIRE`.
 * @param required names of rules: upper, lower, digit, symbol
 * @throws ValidationFailed with each rule that is broken
 */
export function checkRules(password: string, required: readonly string[]): void {
  const violations = required.flatMap((name) => {
    const rule = RULES[name];
    return rule && !rule.pattern.test(password) ? [{ path: "/password", message: rule.message }] : [];
  });
  if (violations.length > 0) throw new ValidationFailed({ violations });
}

/** A hash of nobody's password, of the same cost as a real one: what an unknown email is checked against. */
const NOBODY = `$argon2id$v=19$m=${PARAMETERS.memoryCost},t=${PARAMETERS.timeCost},p=${PARAMETERS.parallelism}$${base64(16)}$${base64(PARAMETERS.outputLen)}`;

function base64(zeroes: number): string {
  return Buffer.alloc(zeroes).toString("base64").replace(/=+$/, "");
}

/**
 * Hashes and checks passwords with argon2id. Each costs 19 MiB and tens of ms of a core, so only a few run at once.
 * Its methods throw Unavailable when too many wait.
 */
export class Passwords {
  readonly #limiter: Limiter;

  constructor(limits = LIMITS) {
    this.#limiter = new Limiter(limits);
  }

  /** The PHC string to store. */
  hash(password: string): Promise<string> {
    return this.#limiter.run(() => hash(spelling(password), PARAMETERS));
  }

  /** Takes the same time whether or not there is a hash to compare with. */
  async verify(stored: string | undefined, password: string): Promise<boolean> {
    const matches = await this.#limiter.run(() => verify(stored ?? NOBODY, spelling(password)));
    return matches && stored !== undefined;
  }
}

/** True if the hash was made with other parameters than today's. */
export function isOutdated(stored: string): boolean {
  const made = parseOptions(stored);
  return (
    made.algorithm !== PARAMETERS.algorithm ||
    made.memoryCost !== PARAMETERS.memoryCost ||
    made.timeCost !== PARAMETERS.timeCost ||
    made.parallelism !== PARAMETERS.parallelism ||
    made.outputLen !== PARAMETERS.outputLen
  );
}

/** Keyboards spell an accented letter in one or in two code points: the same password for their owner. */
function spelling(password: string): string {
  return password.normalize("NFC");
}
