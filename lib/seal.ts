import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import { personMeta } from "./meta.ts";

/** Stands between a packet, which is JSON on one line, and its seal. */
const MARK = "\n#";
/** Bytes of a seal: HMAC-SHA-256 in base64url, and the mark before it. */
const LENGTH = MARK.length + 43;

/**
 * Tells the packets of the cluster's own nodes from those of a stranger who reached NATS: a node of the shop ends each
 * packet with a MAC under `CLUSTER_SECRET`, over what kind of packet it is and all that it says.
 */
export class Seal {
  readonly #keys: readonly KeyObject[];

  /** @param secrets the first one seals, each opens; none (a guest, or a cluster without one): every packet is taken as it is */
  constructor(secrets: readonly string[]) {
    this.#keys = secrets.map((secret) => createSecretKey(Buffer.from(secret)));
  }

  /** Whether what isn't sealed comes from somebody else. */
  get checks(): boolean {
    return this.#keys.length > 0;
  }

  /** @param kind what Moleculer calls the packet: `REQ`, `RES`, … */
  close(kind: string, data: Buffer): Buffer {
    const [key] = this.#keys;
    return key ? Buffer.concat([data, Buffer.from(MARK + macOf(key, kind, data))]) : data;
  }

  /** The packet without its seal, and whether that was one of this cluster's. */
  open(kind: string, sealed: Buffer): { data: Buffer; isOurs: boolean } {
    const end = sealed.length - LENGTH;
    if (end < 0 || sealed.toString("latin1", end, end + MARK.length) !== MARK)
      return { data: sealed, isOurs: false };
    const data = sealed.subarray(0, end);
    const given = sealed.subarray(end + MARK.length);
    const isOurs = this.#keys.some((key) => timingSafeEqual(Buffer.from(macOf(key, kind, data)), given));
    return { data, isOurs };
  }
}

function macOf(key: KeyObject, kind: string, data: Buffer): string {
  return createHmac("sha256", key).update(`${kind}\n`).update(data).digest("base64url");
}

/** How the names of guest nodes begin, and no other node's: a guest can't pass for a node of the shop. */
export const GUEST_PREFIX = "@repl.";
/** It becomes part of NATS subjects. The first of two parts is the guest's NATS user (docker/nats-operators.conf). */
const GUEST = /^@repl(?:\.[\w-]{1,64}){1,2}$/;
const REQUEST_ID = /^[\w-]{1,64}$/;

export function isGuest(nodeID: string | null): boolean {
  return nodeID?.startsWith(GUEST_PREFIX) ?? false;
}

/** What keeps a guest among the nodes that others know, or asks for no more than a sign of life. */
const HARMLESS = new Set(["DISCOVER", "DISCONNECT", "HEARTBEAT", "PING", "PONG"]);

/**
 * What is left of a packet without a seal. A guest may be seen, see the others, and ask: it offers no services, gets no
 * requests and no events, sends none, and answers nothing. Of what it says beside a request's params, only what any
 * client of the REST API may say is kept; whose request it is, its token says.
 * @returns undefined if nothing is
 */
export function guestPacket(kind: string, data: Buffer): Buffer | undefined {
  const payload = parse(data);
  if (!payload || typeof payload.sender !== "string" || !GUEST.test(payload.sender)) return undefined;
  if (HARMLESS.has(kind)) return data;
  if (kind === "INFO")
    return Buffer.from(JSON.stringify({ ...payload, services: [], config: {}, metadata: {} }));
  return kind === "REQ" ? Buffer.from(JSON.stringify(guestRequest(payload))) : undefined;
}

function guestRequest(payload: Record<string, unknown>): object {
  const { ver, sender, id, action, params, meta, requestID, timeout, stream, seq } = payload;
  const isObjects = "headers" in payload && Object(payload.headers).$streamObjectMode === true;
  return {
    ...{ ver, sender, id, action, params, stream, seq },
    ...{ meta: personMeta(meta), headers: isObjects ? { $streamObjectMode: true } : {} },
    ...{ caller: null, level: 1, tracing: false, parentID: null },
    ...(typeof requestID === "string" && REQUEST_ID.test(requestID) ? { requestID } : {}),
    ...(typeof timeout === "number" ? { timeout } : {}),
  };
}

function parse(data: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(data.toString());
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
