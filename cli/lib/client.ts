import type { Static, TSchema } from "typebox";
import { Check } from "typebox/value";
import { CliError, ShopRefused, ShopUnreachable } from "./errors.ts";

/** ms: a shop that is there says so at once. */
const REACH_TIMEOUT = 2500;
const DEFAULT_TIMEOUT = 20_000;

export interface RequestOptions {
  body?: object;
  token?: string;
  /** ms; default 20,000 */
  timeout?: number;
}

/** A shop's REST API, as the contracts declare it. */
export interface Client {
  readonly url: string;
  /**
   * Sends a request and checks the answer against its schema.
   * @throws ShopRefused for an error answer, ShopUnreachable if there is none
   */
  request<S extends TSchema>(
    method: string,
    path: string,
    result: S,
    options?: RequestOptions,
  ): Promise<Static<S>>;
  /** Asks for a sign of life. @throws ShopUnreachable within about 2.5 s */
  reach(): Promise<void>;
}

export function createClient(url: string): Client {
  return {
    url,
    async reach() {
      const response = await send(url, "GET", "/health/live", { timeout: REACH_TIMEOUT });
      const answer = await readJson(url, response);
      if (!("status" in answer) || answer.status !== "alive") {
        throw new ShopUnreachable(url, "something else answers there");
      }
    },
    async request(method, path, result, options = {}) {
      const response = await send(url, method, path, options);
      const answer = await readJson(url, response);
      if (!response.ok) throw refusal(response.status, answer);
      if (!Check(result, answer)) {
        throw new CliError(
          `${method} ${path} answered in a shape that this version of molecart doesn't know.`,
          {
            next: "Use the molecart of the shop's own version.",
          },
        );
      }
      return answer;
    },
  };
}

async function send(
  url: string,
  method: string,
  path: string,
  { body, token, timeout = DEFAULT_TIMEOUT }: RequestOptions,
): Promise<Response> {
  try {
    return await fetch(new URL(path, url), {
      method,
      headers: {
        accept: "application/json",
        ...(body ? { "content-type": "application/json" } : {}),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(timeout),
    });
  } catch (error) {
    throw new ShopUnreachable(url, reasonOf(error, timeout));
  }
}

function reasonOf(error: unknown, timeout: number): string {
  if (!(error instanceof Error)) return "unknown";
  if (error.name === "TimeoutError") return `no answer within ${timeout / 1000} s`;
  const { cause } = error;
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
  if (code === "ECONNREFUSED") return "the connection was refused";
  if (code === "ENOTFOUND") return "there is no such host";
  if (typeof code === "string") return code;
  return cause instanceof Error ? cause.message : error.message;
}

async function readJson(url: string, response: Response): Promise<object> {
  try {
    const answer: unknown = await response.json();
    if (typeof answer === "object" && answer !== null) return answer;
  } catch {
    // Not JSON: told below.
  }
  throw new ShopUnreachable(url, "something else answers there");
}

function refusal(status: number, answer: object): ShopRefused {
  const { error, code, request_id }: Record<string, unknown> = { ...answer };
  return new ShopRefused(
    status,
    String(code ?? "unknown"),
    String(error ?? "no reason given"),
    String(request_id),
  );
}
