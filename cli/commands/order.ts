import { type Command, Option } from "commander";
import type { FlowOptions } from "../actions/flow.ts";
import type { OrderListOptions } from "../actions/order.ts";
import type { CancelOptions, PayOptions, RefundOptions } from "../actions/order-change.ts";
import type { PlaceOptions } from "../actions/order-place.ts";
import type { WatchOptions } from "../actions/order-watch.ts";
import {
  amount,
  asksFirst,
  type ChangeOptions,
  type CommonOptions,
  changesThings,
  examples,
  idempotencyKey,
  prose,
  several,
  talksToShop,
  whole,
} from "../lib/options.ts";
import { run } from "../lib/run.ts";

const STATUSES = ["pending", "confirmed", "processing", "shipped", "delivered", "cancelled", "refunded"];
const ORDER = ["<order>", "its id, or its number if it is among the last 1,000"] as const;

export function orderCommand(command: Command): void {
  place(command);
  reading(command);
  changing(command);
  flow(command);
}

function place(command: Command): void {
  changesThings(command.command("place").description("place an order; without --item you are led through it"))
    .option("--item <product[:quantity]>", "a product's id or SKU; may stand several times", several)
    .option("--address <text>", "where it goes (default: your default address)")
    .option(
      "--pay <method>",
      "a payment method like pm_card_visa; without one the order waits for its payment",
    )
    .option(
      "--key <key>",
      "the Idempotency-Key: the same again makes no second order (default: a new one)",
      idempotencyKey,
    )
    .option("--synthetic", "mark the order as made by a machine")
    .addHelpText(
      "after",
      examples(
        "order place",
        'order place --item 42:2 --address "1 Mill Lane" --pay pm_card_visa',
        "order place --item 42 --dry-run",
      ),
    )
    .action(async (options: PlaceOptions) => {
      await run(options, async (io) => (await import("../actions/order-place.ts")).placeOrder(options, io));
    });
}

function reading(command: Command): void {
  talksToShop(command.command("list").description("orders, newest first: all of them for an admin"))
    .addOption(new Option("--status <status>", "only these").choices(STATUSES))
    .option("--mine", "only your own")
    .option("--user <user>", "only this user's: an id or email")
    .option("--limit <n>", "how many", whole(1, 100), 20)
    .option("--page <n>", "from 1", whole(1), 1)
    .addHelpText(
      "after",
      examples("order list --status pending", "order list --json | jq '.orders[].number'"),
    )
    .action(async (options: OrderListOptions) => {
      await run(options, async (io) => (await import("../actions/order.ts")).listOrders(options, io));
    });

  talksToShop(
    command
      .command("show")
      .description("an order with its history")
      .argument(...ORDER),
  )
    .addHelpText("after", examples("order show MC-000042", "order show MC-000042 --json | jq .payment"))
    .action(async (order: string, options: CommonOptions) => {
      await run(options, async (io) => (await import("../actions/order.ts")).showOrder(order, options, io));
    });

  talksToShop(
    command
      .command("watch")
      .description("an order's steps as they happen")
      .argument(...ORDER),
  )
    .addOption(
      new Option("--until <status>", "end when it gets there; fail if it can't any more").choices(STATUSES),
    )
    .addHelpText("after", examples("order watch MC-000042", "order watch MC-000042 --until confirmed --json"))
    .action(async (order: string, options: WatchOptions) => {
      await run(options, async (io) =>
        (await import("../actions/order-watch.ts")).watchOrder(order, options, io),
      );
    });
}

function changing(command: Command): void {
  changesThings(
    command
      .command("pay")
      .description("pay an order that waits for its payment")
      .argument(...ORDER),
  )
    .option("--method <method>", "the payment method", "pm_card_visa")
    .option("--key <key>", "the Idempotency-Key (default: a new one)", idempotencyKey)
    .addHelpText("after", examples("order pay MC-000042 --method pm_card_visa"))
    .action(async (order: string, options: PayOptions) => {
      await run(options, async (io) =>
        (await import("../actions/order-change.ts")).payOrder(order, options, io),
      );
    });

  for (const [name, status, summary] of [
    ["ship", "shipped", "note that an order has left"],
    ["deliver", "delivered", "note that an order has arrived"],
  ] as const) {
    changesThings(
      command
        .command(name)
        .description(summary)
        .argument(...ORDER),
    )
      .addHelpText("after", examples(`order ${name} MC-000042`))
      .action(async (order: string, options: ChangeOptions) => {
        await run(options, async (io) =>
          (await import("../actions/order-change.ts")).moveOrder(order, status, options, io),
        );
      });
  }

  asksFirst(
    command
      .command("cancel")
      .description("cancel an order that has not shipped: the money and the stock go back")
      .argument(...ORDER),
  )
    .option("--reason <text>", "kept in its history")
    .addHelpText("after", examples("order cancel MC-000042 --reason 'changed my mind' --yes"))
    .action(async (order: string, options: CancelOptions) => {
      await run(options, async (io) =>
        (await import("../actions/order-change.ts")).cancelOrder(order, options, io),
      );
    });

  asksFirst(
    command
      .command("refund")
      .description("give money back, all that is left or a part")
      .argument(...ORDER),
  )
    .option("--amount <amount>", "like 5.00 (default: all that is left)", amount)
    .option("--reason <text>", "kept with the refund", "refunded by an operator")
    .option("--key <key>", "the Idempotency-Key (default: a new one)", idempotencyKey)
    .addHelpText("after", examples("order refund MC-000042 --amount 5 --reason 'damaged in transit'"))
    .action(async (order: string, options: RefundOptions) => {
      await run(options, async (io) =>
        (await import("../actions/order-change.ts")).refundOrder(order, options, io),
      );
    });
}

function flow(command: Command): void {
  talksToShop(
    command
      .command("flow")
      .description(
        "send synthetic customers who browse, search, fill carts, leave, pay, are declined, cancel",
      ),
  )
    .option("--count <n>", "how many visits", whole(1, 10_000_000), 100)
    .option("--concurrency <n>", "how many at once", whole(1, 500), 8)
    .option(
      "--mix <kinds>",
      "how often each kind of visit comes",
      "browse=40,abandon=20,pay=30,decline=5,cancel=5",
    )
    .option("--seed <seed>", "the same visits for the same seed and catalogue", "1")
    .addHelpText(
      "after",
      examples(
        "order flow --count 500 --concurrency 20",
        "order flow --mix pay=1 --count 50",
        "order flow --count 200 --json | jq -c 'select(.type == \"summary\")'",
      ),
    )
    .addHelpText(
      "after",
      prose(
        "The orders are marked as synthetic. Exits with 1 if anything failed that a customer would notice.",
      ),
    )
    .action(async (options: FlowOptions) => {
      await run(options, async (io) => (await import("../actions/flow.ts")).orderFlow(options, io));
    });
}
