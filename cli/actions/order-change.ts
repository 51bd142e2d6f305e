import { newId } from "../../lib/ids.ts";
import { canBecome, type OrderStatus } from "../../services/orders/order-state.ts";
import { Order } from "../../services/orders/orders.contract.ts";
import { paymentsContract } from "../../services/payments/payments.contract.ts";
import { confirm } from "../lib/ask.ts";
import { sendPayment, untilKnown } from "../lib/checkout.ts";
import { CliError, EXIT } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { ChangeOptions } from "../lib/options.ts";
import { money } from "../lib/output.ts";
import { type Session, withSession } from "../lib/session.ts";
import { findOrder, printOrder } from "./order.ts";

export interface PayOptions extends ChangeOptions {
  method: string;
  key?: string;
}
export interface CancelOptions extends ChangeOptions {
  reason?: string;
}
export interface RefundOptions extends ChangeOptions {
  amount?: number;
  reason: string;
  key?: string;
}

/** What a change does with the order it found: an order afterwards, or what it would do. */
interface Change {
  what: (order: Order) => string;
  /** Asked before it is done, if it can't be taken back. */
  question?: (order: Order) => string;
  apply: (session: Session, order: Order) => Promise<unknown>;
}

async function change(named: string, options: ChangeOptions, io: Io, step: Change): Promise<number> {
  return await withSession(options, io, async (session) => {
    const order = await findOrder(session, named);
    const what = step.what(order);
    if (options.dryRun) {
      if (options.json) io.printJson({ dry_run: true, order_id: order.id, number: order.number, what });
      else io.print(`Would ${what}.`);
      return EXIT.ok;
    }
    if (step.question) await confirm(io, step.question(order), options);
    await step.apply(session, order);
    printOrder(await session.client.request("GET", `/api/orders/${order.id}`, Order), options, io);
    return EXIT.ok;
  });
}

/** @returns the exit code */
export async function payOrder(named: string, options: PayOptions, io: Io): Promise<number> {
  return await change(named, options, io, {
    what: ({ number, total_amount, currency }) =>
      `pay ${money(total_amount, currency)} for ${number} by ${options.method}`,
    apply: ({ client }, { id }) => {
      const body = { order_id: id, payment_method: options.method };
      return sendPayment(client, options.key ?? newId(), body, io.signal);
    },
  });
}

/** The states on the way to shipped and delivered. */
const WAY: readonly OrderStatus[] = ["confirmed", "processing", "shipped", "delivered"];

/** The states that an order passes from one to another; undefined if there is no way. */
function wayTo(from: OrderStatus, to: OrderStatus): OrderStatus[] | undefined {
  const start = WAY.indexOf(from);
  const end = WAY.indexOf(to);
  if (start === -1 || end <= start) return undefined;
  const steps = WAY.slice(start, end + 1);
  return steps.every((step, index) => index === 0 || canBecome(steps[index - 1] ?? step, step))
    ? steps.slice(1)
    : undefined;
}

/** Moves an order along, through the states between. @returns the exit code */
export async function moveOrder(
  named: string,
  to: "shipped" | "delivered",
  options: ChangeOptions,
  io: Io,
): Promise<number> {
  const stepsOf = ({ number, status }: Order) => {
    const steps = wayTo(status, to);
    if (steps) return steps;
    throw new CliError(
      status === to ? `${number} is ${to} already.` : `${number} is ${status}: it can't become ${to}.`,
      {
        next:
          status === "pending"
            ? `Pay it first: molecart order pay ${number}`
            : `See it: molecart order show ${number}`,
      },
    );
  };
  return await change(named, options, io, {
    what: (order) => `set ${order.number} to ${stepsOf(order).join(", then ")}`,
    apply: async ({ client }, order) => {
      for (const status of stepsOf(order)) {
        await client.request("PUT", `/api/orders/${order.id}/status`, Order, { body: { status } });
      }
    },
  });
}

/** @returns the exit code */
export async function cancelOrder(named: string, options: CancelOptions, io: Io): Promise<number> {
  const { reason } = options;
  const what = ({ number, total_amount, currency }: Order) =>
    `cancel ${number} over ${money(total_amount, currency)}`;
  return await change(named, options, io, {
    what,
    question: (order) => `Really ${what(order)}?`,
    apply: ({ client }, { id }) =>
      client.request("POST", `/api/orders/${id}/cancel`, Order, {
        body: reason === undefined ? {} : { reason },
      }),
  });
}

/** @returns the exit code */
export async function refundOrder(named: string, options: RefundOptions, io: Io): Promise<number> {
  const { amount, reason } = options;
  const what = ({ number, currency }: Order) =>
    `refund ${amount === undefined ? "all that is left" : money(amount, currency)} of ${number}`;
  return await change(named, options, io, {
    what,
    question: (order) => `Really ${what(order)}?`,
    apply: async ({ client }, { number, payment }) => {
      if (!payment) {
        throw new CliError(`${number} has no payment to refund.`, {
          next: `See it: molecart order show ${number}`,
        });
      }
      const key = options.key ?? newId();
      const headers = { "idempotency-key": key };
      const body = { reason, ...(amount === undefined ? {} : { amount }) };
      await untilKnown(key, io.signal, () =>
        client.request("POST", `/api/payments/${payment.id}/refund`, paymentsContract.actions.refund.result, {
          body,
          headers,
        }),
      );
    },
  });
}
