import { randomUUID } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import { Server as NetServer } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { HeadersTooLarge, MalformedRequest, RequestTooSlow, type ShopError } from "../../lib/errors.ts";
import { GatewayAnswer } from "./answer.ts";
import { failureResponse } from "./failure-response.ts";
import { SECURITY_HEADERS } from "./headers.ts";
import { hasBody } from "./request.ts";
import { VisitingRequest } from "./visit.ts";

/** How long a client may take, in ms. */
export interface Timeouts {
  /** For the head of a request. */
  headers: number;
  /** For its body, unless an action reads it as a stream. */
  body: number;
  /** For the rest of a body that was answered before it had all come. */
  leftover: number;
  /** Between two pieces of a stream. */
  streamIdle: number;
  /** Between two requests on a connection; above the 60 s that load balancers commonly keep theirs. */
  keepAlive: number;
  /**
   * At shutdown: how long connections may still bring requests, to be told that this was the last one. A client that
   * pauses for longer and sends just then gets no answer.
   */
  farewell: number;
}

export const TIMEOUTS: Timeouts = {
  headers: 10_000,
  body: 15_000,
  leftover: 5_000,
  streamIdle: 60_000,
  keepAlive: 65_000,
  farewell: 1_000,
};

/** ms between two looks at who is still connected. */
const LOOK_EVERY = 25;

/** ms: the less a turn of the event loop takes, the fewer come in it. */
const SHORT_TURN = 0.3;

/** Where a server listens, for somebody on this machine; undefined before it does. */
export function urlOf(server: Pick<Server, "address">): string | undefined {
  const at = server.address();
  if (!at || typeof at === "string") return undefined;
  const host = ["::", "0.0.0.0"].includes(at.address) ? "127.0.0.1" : at.address;
  return `http://${host.includes(":") ? `[${host}]` : host}:${at.port}`;
}

/** Node's own `requestTimeout` knows no routes and would end a long import: bodies are timed here instead. */
export class HttpServer {
  readonly server: Server<typeof VisitingRequest, typeof GatewayAnswer>;
  readonly #timeouts: Timeouts;
  readonly #underWay = new Set<ServerResponse>();
  readonly #bodyTimers = new WeakMap<IncomingMessage, NodeJS.Timeout>();
  #draining = false;

  constructor(listener: RequestListener<typeof VisitingRequest, typeof GatewayAnswer>, timeouts: Timeouts) {
    this.#timeouts = timeouts;
    this.server = createServer(
      {
        IncomingMessage: VisitingRequest,
        ServerResponse: GatewayAnswer,
        headersTimeout: timeouts.headers,
        requestTimeout: 0,
        // Node's own refusal has no body: the front refuses it.
        requireHostHeader: false,
        keepAliveTimeout: timeouts.keepAlive,
        // A request without a body needs no stream: a tenth of what node itself does for a GET.
        optimizeEmptyRequests: true,
        // How often node looks for late heads; its default of 30 s would make 10 s mean 40.
        connectionsCheckingInterval: Math.min(1000, timeouts.headers),
      },
      listener,
    );
    // What else than 100-continue is expected may be ignored; node's own 417 has no body.
    this.server.on("checkExpectation", listener);
    this.server.on("clientError", (error, socket) => this.#refuse(error, socket));
  }

  /**
   * Watches one request until its answer has been sent.
   * @param onSlow answers when the body takes too long
   * @param onEnd runs when the answer is out, or can't be sent any more
   */
  track(req: IncomingMessage, res: ServerResponse, onSlow: () => void, onEnd: () => void): void {
    this.#underWay.add(res);
    if (this.#draining) res.setHeader("Connection", "close");
    if (hasBody(req)) this.#timeBody(req, this.#timeouts.body, onSlow);
    res.on("close", () => {
      this.#underWay.delete(res);
      onEnd();
      clearTimeout(this.#bodyTimers.get(req));
      // The answer is out and the rest of the body is read into nothing, so that the client comes to see the answer.
      if (!req.complete && !req.destroyed) {
        req.resume();
        this.#timeBody(req, this.#timeouts.leftover, () => req.socket.destroy());
      }
    });
  }

  #timeBody(req: IncomingMessage, ms: number, onSlow: () => void): void {
    const timer = setTimeout(onSlow, ms).unref();
    this.#bodyTimers.set(req, timer);
    const clear = () => clearTimeout(timer);
    req.once("end", clear).once("close", clear);
  }

  /** An action reads the body as a stream: it may take as long as pieces keep coming. */
  allowStream(req: IncomingMessage): void {
    clearTimeout(this.#bodyTimers.get(req));
    // Node destroys a socket that times out, and sets its own timeout again after the answer.
    req.socket.setTimeout(this.#timeouts.streamIdle);
  }

  /** What node's parser refuses never becomes a request: it is answered here, on the bare socket. */
  #refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
    const isAnswering = [...this.#underWay].some((res) => res.socket === socket && res.headersSent);
    if (error.code === "ECONNRESET" || !socket.writable || isAnswering) {
      socket.destroy();
      return;
    }
    const requestId = randomUUID();
    const { status, body } = failureResponse(failureOf(error), requestId);
    const json = JSON.stringify(body);
    const head = {
      ...SECURITY_HEADERS,
      "X-Request-Id": requestId,
      "Content-Type": "application/json; charset=utf-8",
      "Content-Length": Buffer.byteLength(json),
      Connection: "close",
    };
    const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${json}`);
    setTimeout(() => socket.destroy(), this.#timeouts.leftover).unref();
  }

  /**
   * Tells those who are connected to come no more, then lets nobody new in, and waits for the answers under way.
   * @param ms after which what is left is cut off
   */
  async drain(ms: number): Promise<void> {
    this.#draining = true;
    for (const res of this.#underWay) if (!res.headersSent) res.setHeader("Connection", "close");
    const { farewell } = this.#timeouts;
    await this.#untilAllLeft(performance.now() + farewell);
    await this.#untilNobodyWaits(performance.now() + farewell);
    // Only the door: those who came last may not have brought their request yet.
    NetServer.prototype.close.call(this.server);
    this.server.closeIdleConnections();
    await this.#untilAllLeft(performance.now() + farewell, performance.now() + ms);
    this.server.close();
    this.server.closeAllConnections();
  }

  /** Until nobody is connected, or `deadline`; while answers are under way, `answersBy`. */
  async #untilAllLeft(deadline: number, answersBy = deadline): Promise<void> {
    const until = () => (this.#underWay.size > 0 ? answersBy : deadline);
    while (performance.now() < until() && (await this.#connections()) > 0) await delay(LOOK_EVERY);
  }

  /**
   * Until a turn of the event loop that let nobody in and was short, or `deadline`: who has connected and waits to be
   * let in when the door closes is reset, and node lets in one a turn.
   */
  async #untilNobodyWaits(deadline: number): Promise<void> {
    let isQuiet = false;
    const someone = () => {
      isQuiet = false;
    };
    this.server.on("connection", someone);
    // To the end of this turn; what follows are whole ones.
    await turn();
    for (let began = performance.now(), now = began; !isQuiet && now < deadline; began = now) {
      isQuiet = true;
      await turn();
      now = performance.now();
      isQuiet &&= now - began < SHORT_TURN;
    }
    this.server.off("connection", someone);
  }

  #connections(): Promise<number> {
    return new Promise((resolve) => {
      this.server.getConnections((error, count) => resolve(error ? 0 : count));
    });
  }
}

function failureOf({ code }: NodeJS.ErrnoException): ShopError {
  if (code === "HPE_HEADER_OVERFLOW") return new HeadersTooLarge({});
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new RequestTooSlow({});
  return new MalformedRequest({ reason: "This is not a valid HTTP request." });
}
