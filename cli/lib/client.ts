import type { Static, TSchema } from "typebox";
import { Check } from "typebox/value";
import {
  Cancelled,
  CliError,
  codeOf,
  messageOf,
  ShopBrokeOff,
  ShopRefused,
  ShopUnreachable,
} from "./errors.ts";

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
   * @throws ShopRefused for an error answer, NoAnswer if there is none, Cancelled at Ctrl-C
   */
  request<S extends TSchema>(
    method: string,
    path: string,
    result: S,
    options?: RequestOptions,
  ): Promise<Static<S>>;
  /** Sends a request and gives the bare answer. @throws NoAnswer, Cancelled */
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
      const options = { timeout: REACH_TIMEOUT };
      const asked = { url, method: "GET", signal, ...options };
      const answer = await sendRequest(url, "GET", "/health/live", options, signal)
        .then((response) => readJson(response, asked))
        .catch((error: unknown) => {
          // It has not yet shown that it is a shop.
          throw error instanceof ShopBrokeOff
            ? new ShopUnreachable(url, "the connection is broken off there")
            : error;
        });
      if (!("status" in answer) || answer.status !== "alive") {
        throw new ShopUnreachable(url, "something else answers there");
      }
    },
    async request(method, path, result, options = {}) {
      const response = await send(method, path, options);
      const asked = { url, method, signal, timeout: options.timeout ?? timeout };
      const answer = response.status === 204 ? null : await readJson(response, asked);
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
    throw failure(error, { url, method, signal, timeout });
  }
}

/** A request, as what became of it is told. */
interface Asked {
  url: string;
  method: string;
  signal: AbortSignal | undefined;
  timeout: number | undefined;
}

/** Why there is no answer. */
function failure(error: unknown, { url, method, signal, timeout = DEFAULT_TIMEOUT }: Asked): CliError {
  if (signal?.aborted) return cancelled(method);
  const cause = typeof error === "object" && error !== null && "cause" in error ? error.cause : undefined;
  if (BROKEN_OFF.has(String(codeOf(cause)))) return new ShopBrokeOff(url, method !== "GET");
  return new ShopUnreachable(url, reasonOf(error, cause, timeout));
}

function cancelled(method: string): Cancelled {
  return method === "GET"
    ? new Cancelled()
    : new Cancelled("Cancelled before the shop had answered: it may have done what was asked.");
}

/** The connection was there, and ended before the answer did. */
const BROKEN_OFF = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

const REASONS: Record<string, string> = {
  ECONNREFUSED: "the connection was refused",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "its name can't be looked up now",
  EHOSTUNREACH: "no way leads to that host",
  ENETUNREACH: "no way leads to that host",
  ETIMEDOUT: "the host doesn't answer",
  UND_ERR_CONNECT_TIMEOUT: "the host doesn't answer",
  ERR_SSL_WRONG_VERSION_NUMBER: "it speaks no TLS there: try http://",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "it speaks no TLS there: try http://",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is of another host",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is not trusted here: see NODE_EXTRA_CA_CERTS",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is not trusted here: see NODE_EXTRA_CA_CERTS",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is not trusted here: see NODE_EXTRA_CA_CERTS",
};

function reasonOf(error: unknown, cause: unknown, timeout: number): string {
  if (typeof error !== "object" || error === null) return "unknown";
  if ("name" in error && error.name === "TimeoutError") return `no answer within ${timeout / 1000} s`;
  const code = codeOf(cause);
  if (typeof code !== "string") return messageOf(cause ?? error);
  return REASONS[code] ?? code;
}

async function readJson(response: Response, asked: Asked): Promise<object> {
  const text = await response.text().catch((error: unknown) => {
    throw failure(error, asked);
  });
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer === "object" && answer !== null) return answer;
  } catch {
    // Not JSON: told below.
  }
  throw new ShopUnreachable(
    asked.url,
    response.status >= 500
      ? `what stands before it answered ${response.status}`
      : "something else answers there",
  );
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
