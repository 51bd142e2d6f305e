import type { EventData, OrderEventName } from "../../lib/events.ts";
import { type MinorUnits, toDecimal } from "../../lib/money.ts";

export interface Text {
  title: string;
  body: string;
}

/** By currency: making one takes as long as the rest of a message. */
const formats = new Map<string, Intl.NumberFormat>();

/** 2999, "EUR" → "€29.99" */
export function money(amount: MinorUnits, currency: string): string {
  let format = formats.get(currency);
  if (!format) {
    // Two places whatever the currency: that is what the shop's minor units are.
    const digits = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
    format = new Intl.NumberFormat("en", { style: "currency", currency, ...digits });
    formats.set(currency, format);
  }
  return format.format(toDecimal(amount));
}

interface OrderText {
  title: (order: string) => string;
  body: (order: string, amount: string) => string;
  /** Whether it goes out as a mail, too. */
  mail: boolean;
}

const ORDER_TEXTS: Record<OrderEventName, OrderText> = {
  "order.placed": {
    title: (order) => `Order ${order} is waiting for its payment`,
    body: (order, amount) =>
      `We have set everything in your order ${order} over ${amount} aside for you. Pay for it soon to keep it.`,
    mail: false,
  },
  "order.confirmed": {
    title: (order) => `Order ${order} is confirmed`,
    body: (order, amount) =>
      `Thank you! Your order ${order} over ${amount} is paid and confirmed. We will tell you when it ships.`,
    mail: true,
  },
  "order.processing": {
    title: (order) => `Order ${order} is being packed`,
    body: (order, amount) => `We are packing your order ${order} over ${amount}.`,
    mail: false,
  },
  "order.shipped": {
    title: (order) => `Order ${order} is on its way`,
    body: (order, amount) => `Good news: your order ${order} over ${amount} has left our warehouse.`,
    mail: true,
  },
  "order.delivered": {
    title: (order) => `Order ${order} was delivered`,
    body: (order, amount) => `Your order ${order} over ${amount} has arrived. Enjoy it!`,
    mail: false,
  },
  "order.cancelled": {
    title: (order) => `Order ${order} was cancelled`,
    body: (order, amount) =>
      `Your order ${order} over ${amount} was cancelled. If it was paid, the money is on its way back to you.`,
    mail: true,
  },
  "order.refunded": {
    title: (order) => `Order ${order} was refunded`,
    body: (order, amount) => `Your order ${order} over ${amount} was refunded.`,
    mail: true,
  },
};

/** What a customer is told of their order, and whether by mail, too. */
export function orderText(
  event: OrderEventName,
  { number, total, currency }: EventData<OrderEventName>,
): Text & { mail: boolean } {
  const { title, body, mail } = ORDER_TEXTS[event];
  return { title: title(number), body: body(number, money(total, currency)), mail };
}

/** @param number the order's, if it is known here: the event doesn't carry it */
export function refundText(
  { amount, refunded_total, currency }: EventData<"payment.refunded">,
  number: string | null,
): Text {
  const order = number === null ? "your order" : `your order ${number}`;
  const back = money(amount, currency);
  const inAll = refunded_total > amount ? ` That makes ${money(refunded_total, currency)} in all.` : "";
  return { title: `${back} refunded`, body: `We have sent you ${back} of ${order} back.${inAll}` };
}

export function welcomeText({ first_name }: EventData<"user.registered">): Text {
  return {
    title: "Welcome to Molecart",
    body: `Hello ${first_name},\n\nyour account is ready. We are glad to have you.`,
  };
}

export function stockLowText({ product_id, available, threshold }: EventData<"stock.low">): Text {
  return {
    title: available === 0 ? `Product ${product_id} is sold out` : `Product ${product_id} runs low`,
    body: `Left of product ${product_id}: ${available}. The threshold is ${threshold}.`,
  };
}
