import { setTimeout as delay } from "node:timers/promises";
import { isNativeError } from "node:util/types";
import { type Answer, send, type TestUser } from "./client.ts";
import type { Shop } from "./shop.ts";

/** What the clients of a shop asked for and were told, kept by themselves: held against the stores in invariants.ts. */

export interface Item {
  product_id: number;
  quantity: number;
}

/** What a buyer may rely on: the order stands, nothing was bought, or neither was said. */
export type Outcome = "acknowledged" | "refused" | "unknown";

/** One order of one buyer, under one key, however often it was sent. */
export interface OrderEntry {
  key: string;
  user: TestUser;
  items: readonly Item[];
  /** What each request was told, in order: `201`, `409 INSUFFICIENT_STOCK`, `no answer: ECONNRESET`. */
  said: string[];
  outcome: Outcome;
  /** The orders it was told of: there must never be more than one. */
  orders: Set<string>;
  /** The status that was told last; undefined if none was. */
  status?: string;
  /** ms from the first request to the last answer */
  took: number;
}

export interface Buying {
  key?: string;
  payment_method?: string | undefined;
  /** Orders the buyer's cart, which holds just these items. */
  cart?: boolean;
  /** ms that the buyer repeats, under its key, what had no final answer; 0: asks once. */
  patience?: number;
}

type Gateway = Pick<Shop, "url">;

/** ms: more than the shop may take. */
const CLIENT_TIMEOUT = 25_000;
/** ms between two tries. */
const PAUSE = 250;
const IN_PROGRESS = "IDEMPOTENCY_IN_PROGRESS";

export class ClientLog {
  readonly entries: OrderEntry[] = [];
  /** What every other request was told, and how long it took in ms. */
  readonly requests: { said: string; took: number; what: string }[] = [];
  readonly #gateways: () => readonly Gateway[];
  #turn = 0;

  /** @param gateways where clients get in now; they take turns, as behind a load balancer */
  constructor(gateways: () => readonly Gateway[]) {
    this.#gateways = gateways;
  }

  /** Sends an order, once or until there is a final answer, and notes what became of it. */
  async order(
    user: TestUser,
    items: readonly Item[],
    { key = crypto.randomUUID(), payment_method = "pm_card_visa", cart = false, patience = 0 }: Buying = {},
  ): Promise<OrderEntry> {
    const entry = this.#entryOf(user, key, items);
    const body = { shipping_address: "12 Analytical Row", payment_method, ...(cart ? {} : { items }) };
    const started = performance.now();
    for (;;) {
      const answer = await this.#send("POST", "/api/orders", body, user.token, key);
      note(entry, answer);
      entry.took = performance.now() - started;
      if (isFinal(answer) || entry.took > patience) return entry;
      await delay(PAUSE);
    }
  }

  /** Asks for anything else, once, and notes what it was told. */
  async ask(method: string, path: string, user?: TestUser, body?: object): Promise<void> {
    const started = performance.now();
    const answer = await this.#send(method, path, body, user?.token);
    const isError = typeof answer !== "string" && answer.status >= 400;
    const details = isError ? JSON.stringify(answer.body) : "";
    this.requests.push({
      said: saidBy(answer),
      took: performance.now() - started,
      what: `${method} ${path} ${details}`,
    });
  }

  /** The requests beside the orders that were told anything but one of these. */
  failed(...good: string[]): string[] {
    return this.requests
      .filter(({ said }) => !good.includes(said))
      .map(({ said, what }) => `${said}: ${what}`);
  }

  count(outcome: Outcome): number {
    return this.entries.filter((entry) => entry.outcome === outcome).length;
  }

  /** @returns gives what has been noted from now on, as a log of its own */
  since(): () => ClientLog {
    const entries = this.entries.length;
    const requests = this.requests.length;
    return () => {
      const later = new ClientLog(this.#gateways);
      later.entries.push(...this.entries.slice(entries));
      later.requests.push(...this.requests.slice(requests));
      return later;
    };
  }

  /** What the clients saw, in one line. */
  toString(): string {
    const outcomes = (["acknowledged", "refused", "unknown"] as const).map(
      (outcome) => `${this.count(outcome)} ${outcome}`,
    );
    const slowest = Math.max(0, ...this.entries.map(({ took }) => took)) / 1000;
    const orders =
      this.entries.length === 0
        ? []
        : [
            `${this.entries.length} orders: ${outcomes.join(", ")}`,
            `answers ${tally(this.entries.flatMap(({ said }) => said))}`,
            `slowest ${slowest.toFixed(1)} s`,
          ];
    const others =
      this.requests.length === 0 ? [] : [`other requests ${tally(this.requests.map(({ said }) => said))}`];
    return [...orders, ...others].join("; ");
  }

  #entryOf(user: TestUser, key: string, items: readonly Item[]): OrderEntry {
    const known = this.entries.find((entry) => entry.key === key && entry.user.id === user.id);
    if (known) return known;
    const entry: OrderEntry = { key, user, items, said: [], outcome: "unknown", orders: new Set(), took: 0 };
    this.entries.push(entry);
    return entry;
  }

  /** As a load balancer does: a gateway that takes no connection is passed over. @returns why there is no answer */
  async #send(
    method: string,
    path: string,
    body: object | undefined,
    token?: string,
    key?: string,
  ): Promise<Answer | string> {
    const gateways = this.#gateways();
    const first = this.#turn++;
    const headers: Record<string, string> = key === undefined ? {} : { "Idempotency-Key": key };
    let reason = "no gateway";
    for (let tried = 0; tried < gateways.length; tried++) {
      const gateway = gateways[(first + tried) % gateways.length];
      if (!gateway) continue;
      try {
        return await send(gateway, method, path, body, {
          ...(token === undefined ? {} : { token }),
          headers,
          timeout: CLIENT_TIMEOUT,
        });
      } catch (error) {
        reason = reasonOf(error);
        if (reason !== "ECONNREFUSED") break;
      }
    }
    return `no answer: ${reason}`;
  }
}

/** `ECONNREFUSED`, or what else there is. Not by `instanceof`: Jest's realm has another `Error` than `fetch`. */
function reasonOf(error: unknown): string {
  const cause = isNativeError(error) && isNativeError(error.cause) ? error.cause : error;
  if (!isNativeError(cause)) return String(cause);
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.name;
}

function saidBy(answer: Answer | string): string {
  if (typeof answer === "string") return answer;
  return typeof answer.body.code === "string"
    ? `${answer.status} ${answer.body.code}`
    : String(answer.status);
}

function note(entry: OrderEntry, answer: Answer | string): void {
  entry.said.push(saidBy(answer));
  if (typeof answer === "string") return;
  if (answer.status === 201) {
    entry.outcome = "acknowledged";
    entry.orders.add(String(answer.at("order", "id")));
    entry.status = String(answer.at("order", "status"));
  } else if (entry.outcome === "unknown" && isFinal(answer)) entry.outcome = "refused";
}

/** An order, or a definite no. Whatever is a 5xx, or still under way, may have been done or yet be done. */
function isFinal(answer: Answer | string): boolean {
  return typeof answer !== "string" && (answer.status === 201 || isRefusal(answer));
}

function isRefusal({ status, body }: Answer): boolean {
  return status >= 400 && status < 500 && status !== 429 && body.code !== IN_PROGRESS;
}

/** `201 ×40, 503 SERVICE_UNAVAILABLE ×2` */
function tally(said: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const one of said) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([one, count]) => `${one} ×${count}`)
    .join(", ");
}

/** Writes the line that names a fault and tells what the clients saw of it. */
export function tell(fault: string, ...seen: (ClientLog | string)[]): void {
  process.stdout.write(`  ${fault}: ${seen.join("; ")}\n`);
}
