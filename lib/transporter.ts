import { setTimeout as delay } from "node:timers/promises";
import { Errors, type Packet, Transporters } from "moleculer";
import {
  type ConnectionOptions,
  connect,
  createInbox,
  Events,
  type Msg,
  type NatsConnection,
  type PublishOptions,
} from "nats";
import type { NatsConfig } from "./config.ts";
import { guestPacket, type Seal } from "./seal.ts";
import { untilReachable } from "./stores/reachable.ts";

/** Says on a reply subject that nobody was there to take a request. */
const NO_RESPONDERS = 503;
/** Answers kept for the way back while the connection is down. */
const MAX_HELD = 10_000;
/** ms between two looks whether the nodes that owe us an answer are still there. */
const LOOK_EVERY = 500;
/** ms that a stopping node gives its last messages to leave. */
const FAREWELL = 1_000;
/** ms between two complaints about strangers. */
const COMPLAIN_EVERY = 60_000;

/** How many went over NATS since the node began. */
export interface Packets {
  sent: number;
  received: number;
}

/** How the configuration says to connect: servers, who we are, TLS; for ever, and quick to see a dead connection. */
export function natsOptions(config: NatsConfig): ConnectionOptions {
  const urls = config.NATS_URL.map((url) => new URL(url.includes("://") ? url : `nats://${url}`));
  const named = urls.find(({ username }) => username !== "");
  const user = config.NATS_USER || decodeURIComponent(named?.username ?? "");
  const pass = config.NATS_PASSWORD || decodeURIComponent(named?.password ?? "");
  const tls = {
    ...(config.NATS_TLS_CA ? { caFile: config.NATS_TLS_CA } : {}),
    ...(config.NATS_TLS_CERT ? { certFile: config.NATS_TLS_CERT } : {}),
    ...(config.NATS_TLS_KEY ? { keyFile: config.NATS_TLS_KEY } : {}),
  };
  const isSecure = Object.keys(tls).length > 0 || urls.some(({ protocol }) => protocol === "tls:");
  return {
    servers: urls.map(({ hostname, port }) => `${hostname}:${port || "4222"}`),
    ...(config.NODE_ID ? { name: config.NODE_ID } : {}),
    ...(config.NATS_TOKEN ? { token: config.NATS_TOKEN } : {}),
    // A URL of a user without a password is how NATS spells a token.
    ...(user && !pass && !config.NATS_TOKEN ? { token: user } : {}),
    ...(user && pass ? { user, pass } : {}),
    ...(isSecure ? { tls } : {}),
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    reconnectJitter: 100,
    timeout: 2_000,
    pingInterval: 2_000,
    maxPingOut: 2,
  };
}

/**
 * Moleculer's NATS transporter, which knows more of what became of a request:
 *
 * - Requests carry a reply subject. When the node they are for has no connection any more, NATS says so at once ("no
 *   responders"): the request was not delivered, so it may go to another node, and the node counts as gone from then on.
 *   Moleculer alone would choose it for its share of the calls until its heartbeats are missed. Who owes us an answer is
 *   asked in the same way, so that a call whose node died fails within a second.
 * - While the connection is down, requests are refused instead of vanishing in a buffer; answers are held and sent when
 *   it is back. After that all nodes tell each other of themselves at once.
 *
 * It knows who belongs to the cluster: packets are sealed, and what comes without a seal is a guest's (lib/seal.ts).
 *
 * And what is sent in one turn of the event loop leaves together, in one write to the socket: for a busy node, half of the
 * cost of a packet.
 */
export class NatsTransporter extends Transporters.NATS {
  readonly packets: Packets = { sent: 0, received: 0 };
  readonly #inbox: string;
  readonly #options: ConnectionOptions;
  #looking: NodeJS.Timeout | undefined;
  /** The requests that were unanswered at the last look. */
  #owed: string[] = [];
  #held: [topic: string, data: Buffer][] = [];
  #outbox: [topic: string, data: Buffer, options: PublishOptions][] = [];
  readonly #seal: Seal;
  #complainAt = 0;

  constructor(options: ConnectionOptions, seal: Seal) {
    super({ ...options });
    this.#inbox = createInbox(options.inboxPrefix);
    this.#options = options;
    this.#seal = seal;
  }

  /** A round trip to the server. @throws if the connection is down */
  async ping(): Promise<void> {
    if (!this.connected) throw new Error("The connection to NATS is down.");
    await this.#nats.flush();
  }

  get #nats(): NatsConnection {
    return this.client;
  }

  /** Waits for the server like for every other one at a start, and says what it waits for. */
  override async connect(): Promise<void> {
    const { broker } = this;
    const options = this.#options;
    if (options.waitOnFirstConnect) {
      await untilReachable(broker, "nats", async () => {
        const trial = await connect({ ...options, waitOnFirstConnect: false, reconnect: false });
        await trial.close();
      });
    }
    await super.connect();
  }

  override async onConnected(wasReconnect?: boolean): Promise<void> {
    if (!wasReconnect) {
      this.#nats.subscribe(`${this.#inbox}.>`, { callback: (_error, message) => this.#undelivered(message) });
      this.#looking = setInterval(() => this.#look(), LOOK_EVERY);
      this.#looking.unref();
      this.#watch().catch((error: unknown) => this.logger.error("NATS", { error: String(error) }));
    }
    await super.onConnected(wasReconnect);
    if (!this.connected) return;
    // By now those who asked have had the time to reconnect as well.
    const held = this.#held;
    this.#held = [];
    for (const [topic, data] of held) await this.send(topic, data);
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.#nats.status()) {
      if (type === Events.Disconnect && this.connected) {
        this.connected = false;
        this.logger.warn("The connection to NATS is lost.");
      } else if (type === Events.Reconnect) {
        this.logger.info("The connection to NATS is back.");
        this.onConnected(true).catch((error: unknown) => this.logger.error("NATS", { error: String(error) }));
      }
    }
  }

  override async prepublish(packet: Packet.Packet<Packet.PacketPayload>): Promise<void> {
    const { type, target, payload } = packet;
    if (!this.connected && type === "RES") {
      if (this.#held.length < MAX_HELD)
        this.#held.push([this.getTopicName(type, target), this.serialize(packet)]);
      return;
    }
    if (!this.connected && type === "REQ" && "id" in payload) this.#refuse(String(payload.id));
    else await super.prepublish(packet);
  }

  override receive(kind: string, packet: Buffer): Promise<void> | void {
    this.packets.received++;
    const { data, isOurs } = this.#seal.open(kind, packet);
    if (isOurs || !this.#seal.checks) return super.receive(kind, data);
    const left = guestPacket(kind, data);
    if (left) return super.receive(kind, left);
    this.#complain(kind, data);
  }

  /** A node with another secret, most likely. */
  #complain(kind: string, data: Buffer): void {
    const now = performance.now();
    if (now < this.#complainAt) return;
    this.#complainAt = now + COMPLAIN_EVERY;
    const [, sender] = /"sender":"([\w:.-]{1,80})"/.exec(data.toString()) ?? [];
    this.logger.warn(
      "A packet without this cluster's seal is dropped: does its node have our CLUSTER_SECRET?",
      {
        kind,
        sender,
      },
    );
  }

  override async send(
    topic: string,
    packed: Buffer,
    meta?: { packet?: Packet.Packet<Packet.PacketPayload> },
  ) {
    if (!this.client) return;
    this.packets.sent++;
    const data = this.#seal.close(this.#kindOf(topic), packed);
    const packet = meta?.packet;
    const reply =
      packet?.type === "REQ" && "id" in packet.payload
        ? `request.${packet.payload.id}`
        : packet?.type === "PING" && packet.target
          ? `node.${packet.target}`
          : undefined;
    this.#post(topic, data, reply ? { reply: `${this.#inbox}.${reply}` } : {});
  }

  /** @throws NatsError if the connection is closed, or doesn't take a message of this length */
  #post(topic: string, data: Buffer, options: PublishOptions): void {
    const longest = this.#nats.info?.max_payload ?? Number.POSITIVE_INFINITY;
    if (this.#nats.isClosed() || data.length > longest) this.#nats.publish(topic, data, options);
    else if (this.#outbox.push([topic, data, options]) === 1) setImmediate(() => this.#empty());
  }

  /** Hands all that waits to the client, which writes at the end of what runs now. */
  #empty(): void {
    const outbox = this.#outbox;
    this.#outbox = [];
    try {
      for (const message of outbox) this.client?.publish(...message);
    } catch (error) {
      // It was closed meanwhile: nobody waits for what is left.
      this.logger.debug("Not sent", { error: String(error) });
    }
  }

  /** `REQ` of `MOL-shop.REQ.orders-1`, and of the balanced `MOL-shop.REQB.orders.get`. */
  #kindOf(topic: string): string {
    const [kind = ""] = topic.slice(this.prefix.length + 1).split(".", 1);
    return kind === "REQB" || kind === "EVENTB" ? kind.slice(0, -1) : kind;
  }

  /** Pings each node that owed us an answer at the last look, and still does: what it says is of no interest. */
  #look(): void {
    const owed = this.transit.pendingRequests;
    const nodes = new Set<string>();
    for (const id of this.#owed) {
      const nodeID = owed.get(id)?.nodeID;
      if (nodeID) nodes.add(nodeID);
    }
    this.#owed = [...owed.keys()];
    if (!this.connected) return;
    for (const nodeID of nodes) this.transit.sendPing(nodeID).catch(() => undefined);
  }

  /** Nobody took a message: the node that it was for is not connected. */
  #undelivered({ subject, headers }: Msg): void {
    if (headers?.code !== NO_RESPONDERS) return;
    const [kind, ...rest] = subject.slice(this.#inbox.length + 1).split(".");
    const id = rest.join(".");
    const nodeID = kind === "node" ? id : this.#refuse(id);
    if (nodeID) this.transit.discoverer.remoteNodeDisconnected(nodeID, true);
  }

  /** Tells the caller that nobody ran its request. @returns the node that it was for */
  #refuse(id: string): string | undefined {
    const request = this.transit.pendingRequests.get(id);
    if (!request) return undefined;
    const { nodeID, ctx } = request;
    this.transit.removePendingRequest(id);
    request.reject(new Errors.ServiceNotAvailableError({ action: ctx.action?.name ?? "", nodeID }));
    return nodeID;
  }

  override async disconnect(): Promise<void> {
    clearInterval(this.#looking);
    if (!this.client) return;
    this.#empty();
    // A flush waits for as long as the server is away.
    if (this.connected) await Promise.race([this.#nats.flush(), delay(FAREWELL, undefined, { ref: false })]);
    await this.#nats.close();
    this.client = null;
  }
}
