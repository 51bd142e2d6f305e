import type { IncomingMessage } from "node:http";
import { isIP, isIPv6 } from "node:net";

/**
 * Who sent the request. Behind one trusted proxy that is the last entry of `X-Forwarded-For`, the one that proxy wrote;
 * anything before it the client may have made up. Without such a proxy the header says nothing.
 */
export function clientIp(req: IncomingMessage, trustProxy: boolean): string {
  const peer = normalize(req.socket.remoteAddress ?? "");
  if (!trustProxy) return peer;
  const last = lastOf(req.headers["x-forwarded-for"]);
  const address = last === undefined ? "" : withoutPort(last);
  return isIP(address) === 0 ? peer : normalize(address);
}

/** Whether the client speaks TLS, as the trusted proxy tells. */
export function isSecure(req: IncomingMessage, trustProxy: boolean): boolean {
  return trustProxy && lastOf(req.headers["x-forwarded-proto"])?.toLowerCase() === "https";
}

/** What limits count by: an address, or of IPv6 the /64 that one customer is given. */
export function limitKey(ip: string): string {
  // The first of the two is quick, and all that most addresses need.
  if (!ip.includes(":") || !isIPv6(ip)) return ip;
  const [head = "", tail] = ip.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const missing = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: missing }, () => "0"), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}

function lastOf(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header.at(-1) : header;
  return text?.split(",").at(-1)?.trim();
}

/** `203.0.113.7:4711` → `203.0.113.7`, `[2001:db8::1]:4711` → `2001:db8::1` */
function withoutPort(entry: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(entry)?.[1];
  if (bracketed !== undefined) return bracketed;
  return /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(entry)?.[1] ?? entry;
}

/** An IPv4 client of a dual-stack socket appears as `::ffff:192.0.2.1`. */
function normalize(ip: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1] ?? ip;
}
