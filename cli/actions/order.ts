import { authContract } from "../../services/auth/auth.contract.ts";
import {
  Order,
  type OrderSummary,
  ordersContract,
  type ShippingAddress,
} from "../../services/orders/orders.contract.ts";
import type { Client } from "../lib/client.ts";
import { CliError, EXIT } from "../lib/errors.ts";
import { isId } from "../lib/ids.ts";
import type { Io } from "../lib/io.ts";
import type { CommonOptions } from "../lib/options.ts";
import { clean, clip, money, plural, table } from "../lib/output.ts";
import { type PageOptions, pageLine } from "../lib/pages.ts";
import { type Session, withSession } from "../lib/session.ts";
import { findUser } from "./users.ts";

export interface OrderListOptions extends CommonOptions, PageOptions {
  status?: string;
  mine?: boolean;
  user?: string;
}

const OrderPage = ordersContract.actions.list.result;
/** Pages of 100 in which an order's number is looked for. */
const PAGES = 10;
export const NAME_WIDTH = 44;

/** @returns the exit code */
export async function listOrders(options: OrderListOptions, io: Io): Promise<number> {
  return await withSession(options, io, async (session) => {
    const { status, page, limit, user } = options;
    const path = options.mine ? "/api/orders" : await listPath(session);
    const user_id = user === undefined || isId(user) ? user : (await findUser(session.client, user)).id;
    const query = { status, page, limit, user_id };
    const answer = await session.client.request("GET", path, OrderPage, { query });
    if (options.json) io.printJson(answer);
    else {
      io.printRows(orderTable(answer.orders));
      io.say(pageLine("order", answer.pagination));
    }
    return EXIT.ok;
  });
}

function orderTable(orders: readonly OrderSummary[]): string[] {
  const rows = orders.map((order) => [
    order.number,
    order.status,
    money(order.total_amount, order.currency),
    plural(order.items.length, "item"),
    timeOf(order.created_at),
    order.synthetic ? "synthetic" : "",
  ]);
  return table(["order", "status", "total", "items", "placed (UTC)", ""], rows);
}

/** `2026-11-20 10:00:00` */
export const timeOf = (iso: string) => iso.slice(0, 19).replace("T", " ");

/** An admin sees everybody's orders. */
async function listPath({ client, user }: Session): Promise<string> {
  const role = user?.role ?? (await whoIs(client)).role;
  return role === "admin" ? "/api/orders/all" : "/api/orders";
}

async function whoIs(client: Client) {
  return (await client.request("GET", "/api/auth/verify", authContract.actions.verify.result)).user;
}

/** @param named its id, or its number if it is among the last 1,000 @throws CliError if there is none */
export async function findOrder(session: Session, named: string): Promise<Order> {
  const { client } = session;
  if (isId(named)) return await client.request("GET", `/api/orders/${named}`, Order);
  const path = await listPath(session);
  for (let page = 1; page <= PAGES; page++) {
    const answer = await client.request("GET", path, OrderPage, { query: { page, limit: 100 } });
    const found = answer.orders.find(({ number }) => number.toLowerCase() === named.toLowerCase());
    if (found) return await client.request("GET", `/api/orders/${found.id}`, Order);
    if (page >= answer.pagination.pages) break;
  }
  throw new CliError(`There is no order ${named} among the last ${PAGES * 100}.`, {
    next: "Name it by its id, or look with `molecart order list`.",
  });
}

/** @returns the exit code */
export async function showOrder(named: string, options: CommonOptions, io: Io): Promise<number> {
  return await withSession(options, io, async (session) => {
    printOrder(await findOrder(session, named), options, io);
    return EXIT.ok;
  });
}

export function printOrder(order: Order, options: CommonOptions, io: Pick<Io, "print" | "printJson">): void {
  if (options.json) io.printJson(order);
  else for (const line of orderLines(order)) io.print(line);
}

/** An order as a person reads it. */
function orderLines(order: Order): string[] {
  const { currency, payment, history } = order;
  const items = order.items.map((item) => [
    item.quantity,
    clip(item.name, NAME_WIDTH),
    item.sku,
    money(item.subtotal, currency),
  ]);
  return [
    `${order.number}  ${order.status}  ${money(order.total_amount, currency)}${order.synthetic ? "  synthetic" : ""}`,
    `id       ${order.id}`,
    `to       ${addressLine(order.shipping_address)}`,
    `payment  ${payment ? `${payment.status}, ${money(payment.amount, payment.currency)} by ${payment.provider}` : "none yet"}`,
    ...(order.refunded_amount > 0 ? [`refunded ${money(order.refunded_amount, currency)}`] : []),
    ...(order.status === "pending" && order.reserved_until
      ? [`reserved until ${timeOf(order.reserved_until)} UTC`]
      : []),
    ...(order.cancel_reason === null ? [] : [`reason   ${clean(order.cancel_reason)}`]),
    "",
    ...table(["", "item", "SKU", "subtotal"], items),
    "",
    ...history.map(historyLine),
  ];
}

export function historyLine({ at, from, to, reason, by }: Order["history"][number]): string {
  const step = from === null ? to : `${from} → ${to}`;
  return `${timeOf(at)}  ${step}${reason === null ? "" : `  (${clean(reason)})`}  by ${by}`;
}

export function addressLine(address: ShippingAddress): string {
  if (typeof address === "string") return clean(address);
  const { street_address, city, state, postal_code, country } = address;
  return clean([street_address, city, state, postal_code, country].filter(Boolean).join(", "));
}
