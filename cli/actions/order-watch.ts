import { ORDER_TRANSITIONS, type OrderStatus } from "../../services/orders/order-state.ts";
import { Order, ordersContract, type SagaView } from "../../services/orders/orders.contract.ts";
import type { Client } from "../lib/client.ts";
import { CliError, EXIT, NoAnswer, ShopRefused } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { CommonOptions } from "../lib/options.ts";
import { money } from "../lib/output.ts";
import { waited } from "../lib/patience.ts";
import { withSession } from "../lib/session.ts";
import { findOrder, historyLine } from "./order.ts";

export interface WatchOptions extends CommonOptions {
  until?: string;
}

/** s between two looks. */
const EVERY = 1;

/** An order as it is seen at one look. */
export interface Sight {
  order: Order;
  /** While its saga is under way and we are an admin. */
  saga: SagaView | undefined;
}

/** Shows an order's steps until it is at its end, where `--until` says, or Ctrl-C. @returns the exit code */
export async function watchOrder(named: string, options: WatchOptions, io: Io): Promise<number> {
  return await withSession(options, io, async (session) => {
    const { client } = session;
    let order = await findOrder(session, named);
    const screen = io.canDraw && !options.json ? await openOrderScreen(io) : undefined;
    let seen: Sight | undefined;
    try {
      for (;;) {
        const now = { order, saga: await sagaOf(client, order) };
        if (screen) screen.show({ sight: now });
        else tell(seen, now, options, io);
        seen = now;
        const end = endOf(order.status, options.until);
        if (end !== undefined) return end;
        do {
          if (!(await waited(EVERY, io.signal))) return EXIT.ok;
          order = await lookAgain(client, order);
        } while (isSame(seen.order, order) && seen.saga === undefined);
      }
    } finally {
      if (seen) screen?.show({ sight: seen, isOver: true });
      await screen?.end();
    }
  });
}

async function openOrderScreen(io: Io) {
  const { openScreen } = await import("../ui/screen.ts");
  const load = async () => (await import("../ui/order-screen.ts")).OrderScreen;
  return await openScreen<{ sight: Sight | undefined; isOver?: boolean }>(io, load, { sight: undefined });
}

/** A shop that is away for a moment is no reason to look away. */
async function lookAgain(client: Client, order: Order): Promise<Order> {
  try {
    return await client.request("GET", `/api/orders/${order.id}`, Order);
  } catch (error) {
    const passes = error instanceof NoAnswer || (error instanceof ShopRefused && error.status >= 429);
    if (!passes) throw error;
    return order;
  }
}

const isSame = (a: Order, b: Order) => a.updated_at === b.updated_at && a.history.length === b.history.length;

/** Only an order that waits for something has a saga to show. */
async function sagaOf(client: Client, { id, status }: Order): Promise<SagaView | undefined> {
  if (status !== "pending") return undefined;
  try {
    const { result } = ordersContract.actions.sagas;
    const { sagas } = await client.request("GET", "/api/admin/sagas", result, { query: { limit: 100 } });
    return sagas.find((saga) => saga.order_id === id);
  } catch (error) {
    // A customer sees the history alone.
    if (error instanceof CliError) return undefined;
    throw error;
  }
}

/** The exit code once there is nothing more to wait for; undefined before. */
function endOf(status: OrderStatus, until: string | undefined): number | undefined {
  if (status === until) return EXIT.ok;
  if (ORDER_TRANSITIONS[status].length === 0) return until === undefined ? EXIT.ok : EXIT.failed;
  // Refunds may follow, but nothing has to.
  return status === "delivered" && until === undefined ? EXIT.ok : undefined;
}

/** Tells what is new since the last look. */
function tell(before: Sight | undefined, now: Sight, options: WatchOptions, io: Io): void {
  const { order, saga } = now;
  if (!before && !options.json) io.print(`${order.number}  ${money(order.total_amount, order.currency)}`);
  for (const entry of order.history.slice(before?.order.history.length ?? 0)) {
    if (options.json) io.printLine({ type: "history", order_id: order.id, number: order.number, ...entry });
    else io.print(historyLine(entry));
  }
  if (!saga || (saga.state === before?.saga?.state && saga.step === before.saga.step)) return;
  if (options.json) io.printLine({ type: "saga", ...saga });
  else io.print(sagaLine(saga));
}

export function sagaLine({ kind, state, step, attempts, last_error }: SagaView): string {
  return [
    `${kind} ${state}`,
    ...(step === null ? [] : [`at ${step}`]),
    ...(attempts > 0 ? [`${attempts} tries`] : []),
    ...(last_error === null ? [] : [last_error]),
  ].join(", ");
}
