import type { IncomingMessage } from "node:http";
import type { Config } from "../../lib/config.ts";
import type { GatewayAnswer } from "./answer.ts";
import { isSecure } from "./client-ip.ts";

/** What a JSON API tells a browser: this is data, keep out of documents, keep nothing. */
export const SECURITY_HEADERS = {
  "X-Content-Type-Options": "nosniff",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
  "X-Frame-Options": "DENY",
  // Prices and stock are of the moment, and the rest is somebody's.
  "Cache-Control": "no-store",
} as const;

const SECURITY = Object.entries(SECURITY_HEADERS);
const HSTS = "max-age=15552000";

const EXPOSED = "X-Request-Id, X-Cart-Token, Retry-After, Idempotent-Replayed";
const ALLOWED = "Authorization, Content-Type, Idempotency-Key, X-Cart-Token, X-Request-Id";
/** s a browser may remember a preflight. */
const PREFLIGHT_AGE = "600";

/** Gives an answer what every answer carries, before anything can fail: errors, 404s and preflights too. */
export function commonHeaders(
  config: Config,
): (req: IncomingMessage, res: GatewayAnswer, requestId: string) => void {
  const origins = new Set(config.CORS_ORIGINS);
  return (req, res, requestId) => {
    const common: [name: string, value: string][] = [["X-Request-Id", requestId], ...SECURITY];
    if (isSecure(req, config.TRUST_PROXY)) common.push(["Strict-Transport-Security", HSTS]);
    if (origins.size > 0) {
      // Also where no origin is named: a cache must not give one origin's answer to another.
      common.push(["Vary", "Origin"]);
      const { origin } = req.headers;
      // Exact: a prefix or a regular expression lets https://shop.example.com.evil.org pass.
      if (origin !== undefined && origins.has(origin))
        common.push(["Access-Control-Allow-Origin", origin], ["Access-Control-Expose-Headers", EXPOSED]);
    }
    res.common = common;
  };
}

/** Answers OPTIONS for an address that takes `methods`; a preflight of an allowed origin gets what CORS needs. */
export function answerOptions(req: IncomingMessage, res: GatewayAnswer, methods: readonly string[]): void {
  const allow = methods.join(", ");
  res.setHeader("Allow", allow);
  const isAllowedOrigin = res.common.some(([name]) => name === "Access-Control-Allow-Origin");
  if (isAllowedOrigin && req.headers["access-control-request-method"]) {
    res.setHeader("Access-Control-Allow-Methods", allow);
    res.setHeader("Access-Control-Allow-Headers", ALLOWED);
    res.setHeader("Access-Control-Max-Age", PREFLIGHT_AGE);
  }
  res.writeHead(204).end();
}
