import { randomUUID } from "node:crypto";
import autocannon from "autocannon";

/** What one round of load came to. */
export interface Round {
  /** Good answers a second. */
  rate: number;
  /** ms that half of the good answers took at most; 0 if there were none. */
  p50: number;
  /** ms that 99 of 100 took at most. */
  p99: number;
  /** Answers other than 2xx, lost connections and timeouts. */
  errors: number;
}

/** A request as autocannon sends it. */
export type Request = autocannon.Request;

interface Load {
  url: string;
  connections: number;
  seconds: number;
  /** Makes each request; without it, `url` is read. */
  next?: () => Request;
}

/** s that a request may take. */
const TIMEOUT = 10;

/** Loads a server from this process: each connection asks as soon as it was answered. */
export async function load({ url, connections, seconds, next }: Load): Promise<Round> {
  const times: number[] = [];
  let errors = 0;
  const start = performance.now();
  const end = start + seconds * 1000;
  await new Promise<void>((resolve, reject) => {
    const running = autocannon(
      {
        url,
        connections,
        duration: seconds,
        timeout: TIMEOUT,
        sampleInt: 100,
        ...(next ? { requests: [{ setupRequest: next }] } : {}),
      },
      (error) => (error ? reject(error) : resolve()),
    );
    running.on("response", (_client, status, _bytes, time) => {
      if (performance.now() > end) return;
      if (status >= 200 && status < 300) times.push(time);
      else errors++;
    });
    running.on("reqError", () => errors++);
  });
  return roundOf(times, seconds, errors);
}

/** @param times ms of each good answer */
export function roundOf(times: number[], seconds: number, errors: number): Round {
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { rate: times.length / seconds, p50: at(0.5), p99: at(0.99), errors };
}

/** Makes paid orders of two products each, the customers in turn, each under a key of its own. */
export function checkouts(tokens: readonly string[], products: readonly number[]): () => Request {
  let count = 0;
  return () => {
    const token = tokens[count++ % tokens.length] ?? "";
    return {
      method: "POST",
      path: "/api/orders",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${token}`,
        "idempotency-key": randomUUID(),
      },
      body: JSON.stringify({
        items: twoOf(products).map((product_id) => ({ product_id, quantity: 1 })),
        payment_method: "pm_card_visa",
        shipping_address: "12 Analytical Row, London",
      }),
    };
  };
}

/** Two different ones at random, the lower first. */
export function twoOf(products: readonly number[]): [number, number] {
  const first = Math.floor(Math.random() * products.length);
  const second = (first + 1 + Math.floor(Math.random() * (products.length - 1))) % products.length;
  const a = products[first] ?? 0;
  const b = products[second] ?? 0;
  return a < b ? [a, b] : [b, a];
}
