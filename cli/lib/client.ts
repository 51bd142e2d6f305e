import type { Static, TSchema } from "typebox";
import { Check } from "typebox/value";
import { Cancelled, CliError, codeOf, messageOf, ShopRefused, ShopUnreachable } from "./errors.ts";

/** ms: a shop that is there says so at once. With the start of the command it makes under 3 s. */
const REACH_TIMEOUT = 2000;
const DEFAULT_TIMEOUT = 20_000;

export interface RequestOptions {
  /** Sent as JSON; undefined and null are left out. */
  query?: Record<string, string | number | boolean | null | undefined>;
  body?: object;
  /** Sent as it comes, instead of a body. */
  stream?: { type: string; content: AsyncIterable<Uint8Array> };
  /** In place of the client's own. */
  token?: string;
  headers?: Record<string, string>;
  /** Statuses that are answers as well: a health check's 503. */
  accept?: readonly number[];
  /** ms; default 20,000 */
  timeout?: number;
}

/** A shop's REST API, as the contracts declare it. */
export interface Client {
  readonly url: string;
  /**
   * Sends a request and checks the answer against its schema.
   * @throws ShopRefused for an error answer, ShopUnreachable if there is none, Cancelled at Ctrl-C
   */
  request<S extends TSchema>(
    method: string,
    path: string,
    result: S,
    options?: RequestOptions,
  ): Promise<Static<S>>;
  /** Sends a request and gives the bare answer. @throws ShopUnreachable, Cancelled */
  send(method: string, path: string, options?: RequestOptions): Promise<Response>;
  /** Asks for a sign of life. @throws ShopUnreachable within about 2 s */
  reach(): Promise<void>;
}

export interface ClientOptions {
  /** An access token that is good now. */
  token?: () => Promise<string>;
  /** Ends what is under way. */
  signal?: AbortSignal;
  /** ms a request waits, where nothing else is said; default 20,000 */
  timeout?: number;
}

export function createClient(url: string, { token, signal, timeout }: ClientOptions = {}): Client {
  const send = async (method: string, path: string, options: RequestOptions = {}) => {
    const bearer = options.token ?? (await token?.());
    return await sendRequest(url, method, path, { timeout, ...options, token: bearer }, signal);
  };
  return {
    url,
    send,
    async reach() {
      const response = await sendRequest(url, "GET", "/health/live", { timeout: REACH_TIMEOUT }, signal);
      const answer = await readJson(url, response);
      if (!("status" in answer) || answer.status !== "alive") {
        throw new ShopUnreachable(url, "something else answers there");
      }
    },
    async request(method, path, result, options = {}) {
      const response = await send(method, path, options);
      const answer = response.status === 204 ? null : await readJson(url, response);
      if (!response.ok && !options.accept?.includes(response.status)) throw refusal(response, answer ?? {});
      if (!Check(result, answer)) {
        throw new CliError(
          `${method} ${path} answered in a shape that this version of molecart doesn't know.`,
          { next: "Use the molecart of the shop's own version." },
        );
      }
      return answer;
    },
  };
}

async function sendRequest(
  url: string,
  method: string,
  path: string,
  { query, body, stream, token, headers, timeout = DEFAULT_TIMEOUT }: RequestOptions,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const address = new URL(path, url);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null) address.searchParams.set(name, String(value));
  }
  const limit = AbortSignal.timeout(timeout);
  try {
    return await fetch(address, {
      method,
      headers: {
        accept: "application/json",
        ...(body ? { "content-type": "application/json" } : {}),
        ...(stream ? { "content-type": stream.type } : {}),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(stream ? { body: ReadableStream.from(stream.content), duplex: "half" } : {}),
      // A shop doesn't redirect; whoever does gets no token to carry on.
      redirect: "error",
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw cancelled(method);
    throw new ShopUnreachable(url, reasonOf(error, timeout));
  }
}

function cancelled(method: string): Cancelled {
  return method === "GET"
    ? new Cancelled()
    : new Cancelled("Cancelled before the shop had answered: it may have done what was asked.");
}

function reasonOf(error: unknown, timeout: number): string {
  if (typeof error !== "object" || error === null) return "unknown";
  if ("name" in error && error.name === "TimeoutError") return `no answer within ${timeout / 1000} s`;
  const cause = "cause" in error ? error.cause : undefined;
  const code = codeOf(cause);
  if (code === "ECONNREFUSED") return "the connection was refused";
  if (code === "ENOTFOUND") return "there is no such host";
  if (typeof code === "string") return code;
  return messageOf(cause ?? error);
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

function refusal(response: Response, answer: object): ShopRefused {
  const { error, code, request_id }: Record<string, unknown> = { ...answer };
  const wait = Number(response.headers.get("retry-after") ?? Number.NaN);
  return new ShopRefused(
    response.status,
    String(code ?? "unknown"),
    String(error ?? "no reason given"),
    String(request_id),
    Number.isFinite(wait) ? wait : undefined,
  );
}
