import { Box, Text } from "ink";
import { createElement as h, type ReactElement } from "react";
import { timeOf } from "../actions/order.ts";
import { type Sight, sagaLine } from "../actions/order-watch.ts";
import { clean, money } from "../lib/output.ts";

const COLORS: Partial<Record<string, string>> = {
  pending: "yellow",
  confirmed: "green",
  processing: "green",
  shipped: "cyan",
  delivered: "cyan",
  cancelled: "red",
  refunded: "magenta",
};

/** The live screen of `order watch`. @param props.isOver nothing more will come */
export function OrderScreen(props: { sight: Sight | undefined; isOver?: boolean }): ReactElement {
  const { sight, isOver = false } = props;
  if (!sight) return h(Text, null, "Looking…");
  return h(
    Box,
    { flexDirection: "column" },
    h(OrderSight, { sight }),
    ...(isOver
      ? []
      : [h(Text, { key: "gap" }, " "), h(Text, { key: "keys", dimColor: true }, "Ctrl-C ends")]),
  );
}

/** Where an order is, and how it came there. */
export function OrderSight({ sight }: { sight: Sight }): ReactElement {
  const { order, saga } = sight;
  const { number, status, total_amount, currency, payment, history, reserved_until } = order;
  const isWaiting = status === "pending" && reserved_until !== null;
  return h(
    Box,
    { flexDirection: "column" },
    h(
      Text,
      { wrap: "truncate" },
      h(Text, { bold: true }, number),
      "  ",
      h(Text, { bold: true, color: COLORS[status] }, status),
      `  ${money(total_amount, currency)}`,
      payment ? `  payment ${payment.status}` : "",
    ),
    h(Text, null, " "),
    ...history.map(({ at, from, to, reason, by }, index) =>
      h(
        Text,
        { key: `${index} ${at}`, wrap: "truncate" },
        h(Text, { dimColor: true }, timeOf(at).slice(11)),
        "  ",
        h(Text, { color: COLORS[to] }, `● ${from === null ? to : `${from} → ${to}`}`),
        h(Text, { dimColor: true }, `  ${reason === null ? "" : `${clean(reason)}, `}by ${by}`),
      ),
    ),
    ...(saga
      ? [h(Text, { key: "saga", color: "yellow", wrap: "truncate" }, `          ${sagaLine(saga)}`)]
      : []),
    ...(isWaiting
      ? [
          h(
            Text,
            { key: "wait", dimColor: true },
            `          stock reserved until ${timeOf(reserved_until).slice(11)} UTC`,
          ),
        ]
      : []),
  );
}
