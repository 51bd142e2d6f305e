import type { Static } from "typebox";
import { VerifyReport } from "../../services/gateway/gateway.contract.ts";
import { Order, type OrderStatus, ordersContract } from "../../services/orders/orders.contract.ts";
import { type Payment, paymentsContract } from "../../services/payments/payments.contract.ts";
import type { Client } from "../lib/client.ts";
import { CliError, messageOf, ShopRefused } from "../lib/errors.ts";
import { patiently, waited } from "../lib/patience.ts";
import { inParallel } from "../lib/workers.ts";
import type { KnownOrder } from "./ledger.ts";

/** How the shop stands to what the clients were told. */
export interface OrderCheck {
  /** Orders that a client was told of. */
  acknowledged: number;
  found: number;
  /** In a state that fits what was told, with nothing under way. */
  final: number;
  /** How many have no capture, one, more than one. */
  captures: { none: number; one: number; many: number };
  /** s from the request to the order's end, of the order that took longest; null without any. */
  longest_s: number | null;
  /** What is not as it was told. */
  violations: string[];
}

const VERIFY_TIMEOUT = 125_000;
const CONCURRENCY = 6;
const EVERY = 0.5;
const CAPTURED: readonly Payment["status"][] = ["captured", "partially_refunded", "refunded"];

/** Looks up every order that a client was told of. */
export async function checkOrders(
  known: readonly KnownOrder[],
  client: Client,
  signal: AbortSignal,
): Promise<OrderCheck> {
  const check: OrderCheck = {
    acknowledged: known.length,
    found: 0,
    final: 0,
    captures: { none: 0, one: 0, many: 0 },
    longest_s: null,
    violations: [],
  };
  await inParallel(known.length, CONCURRENCY, signal, async (index) => {
    const one = known[index];
    if (one) await checkOrder(one, client, check, signal);
  });
  return check;
}

async function checkOrder(known: KnownOrder, client: Client, check: OrderCheck, signal: AbortSignal) {
  const path = `/api/orders/${known.id}`;
  const { result } = paymentsContract.actions.listByOrder;
  try {
    const [order, { payments }] = await Promise.all([
      patiently(() => client.request("GET", path, Order), signal),
      patiently(() => client.request("GET", `${path}/payments`, result), signal),
    ]);
    check.found++;
    const captures = payments.filter(({ status }) => CAPTURED.includes(status)).length;
    check.captures[captures === 0 ? "none" : captures === 1 ? "one" : "many"]++;
    const wrong = judge(known, order.status, captures);
    if (wrong === undefined) check.final++;
    else check.violations.push(`${order.number}: ${wrong}`);
    const end = order.history.findLast(({ to }) => to === "confirmed" || to === "cancelled");
    if (!end || known.told === "placed") return;
    const seconds = Math.max(0, Math.round((Date.parse(end.at) - known.asked) / 100) / 10);
    check.longest_s = Math.max(check.longest_s ?? 0, seconds);
  } catch (error) {
    if (!(error instanceof ShopRefused) || error.status !== 404) throw error;
    check.violations.push(`order ${known.id}: its client was told of it, and the shop doesn't know it`);
  }
}

/** What is wrong with an order's state, given what its client was told; undefined if nothing is. */
export function judge(
  { told, mayBe }: Pick<KnownOrder, "told" | "mayBe">,
  status: Static<typeof OrderStatus>,
  captures: number,
): string | undefined {
  if (captures > 1) return `charged ${captures} times`;
  const isPaid = told === "paid" || mayBe.has("paid");
  const allowed: Static<typeof OrderStatus>[] =
    told === "cancelled"
      ? ["cancelled"]
      : [
          ...(told === "placed" ? (["pending", "cancelled"] as const) : []),
          ...(isPaid ? (["confirmed"] as const) : []),
          ...(mayBe.has("cancelled") ? (["cancelled"] as const) : []),
        ];
  if (!allowed.includes(status)) return `its client was told that it is ${told}, and it is ${status}`;
  if (status === "confirmed" && captures === 0) return "confirmed, and not paid";
  return undefined;
}

/** Waits until no order is under way any more. @returns how many still are at the deadline @param until ms since 1970 */
export async function ordersAtRest(client: Client, until: number, signal: AbortSignal): Promise<number> {
  for (;;) {
    const left = await underWay(client).catch((error: unknown) => {
      if (!(error instanceof CliError)) throw error;
      return undefined;
    });
    if (left === 0) return 0;
    if (Date.now() > until || !(await waited(EVERY, signal))) return left ?? 1;
  }
}

async function underWay(client: Client): Promise<number> {
  const { result } = ordersContract.actions.sagas;
  const states = ["running", "compensating", "parked"];
  const pages = await Promise.all(
    states.map((state) => client.request("GET", "/api/admin/sagas", result, { query: { state, limit: 1 } })),
  );
  return pages.reduce((sum, { pagination }) => sum + pagination.total, 0);
}

/** The shop's own check of its invariants; asked again while it fails, since events may still be on their way. */
export async function checkInvariants(
  client: Client,
  until: number,
  signal: AbortSignal,
): Promise<VerifyReport | { error: string }> {
  for (;;) {
    const report = await client
      .request("GET", "/api/admin/verify", VerifyReport, { timeout: VERIFY_TIMEOUT })
      .catch((error: unknown) => {
        if (!(error instanceof CliError) || signal.aborted) throw error;
        return { error: messageOf(error) };
      });
    if ("ok" in report && report.ok) return report;
    if (Date.now() > until || !(await waited(EVERY * 4, signal))) return report;
  }
}
