import { newId } from "../../lib/ids.ts";
import { toDecimal, toMinor } from "../../lib/money.ts";
import type { ShippingAddress } from "../../services/orders/orders.contract.ts";
import type { Product } from "../../services/products/products.contract.ts";
import { usersContract } from "../../services/users/users.contract.ts";
import { type OrderRequest, sendOrder } from "../lib/checkout.ts";
import type { Client } from "../lib/client.ts";
import { Cancelled, EXIT, Misuse } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import type { ChangeOptions } from "../lib/options.ts";
import { clip, money, table } from "../lib/output.ts";
import { type Session, withSession } from "../lib/session.ts";
import { addressLine, NAME_WIDTH, printOrder } from "./order.ts";
import { findProduct, ProductPage } from "./products.ts";

export interface PlaceOptions extends ChangeOptions {
  item?: string[];
  address?: string;
  pay?: string;
  key?: string;
  synthetic?: boolean;
}

/** What is to be ordered, by flags or by the wizard. */
export interface Draft {
  lines: { product: Product; quantity: number }[];
  address: ShippingAddress;
  /** Undefined: the order waits for its payment. */
  payment: string | undefined;
}

/** Places an order, of the items given or of those picked in the wizard. @returns the exit code */
export async function placeOrder(options: PlaceOptions, io: Io): Promise<number> {
  const wizard = !options.item;
  if (wizard && (!io.canAsk || !io.canDraw || options.json)) {
    throw new Misuse(
      "Nothing is to be ordered.",
      "Name products: molecart order place --item 42:2 --pay pm_card_visa",
    );
  }
  const wanted = (options.item ?? []).map(readItem);
  return await withSession(options, io, async (session) => {
    const draft = wizard
      ? await runWizard(session, options, io)
      : await draftOf(session.client, wanted, options);
    const body = requestOf(draft, options);
    if (options.dryRun) {
      if (options.json) io.printJson({ dry_run: true, request: body, subtotal: subtotalOf(draft) });
      else for (const line of draftLines(draft)) io.print(line);
      return EXIT.ok;
    }
    const { order } = await sendOrder(session.client, options.key ?? newId(), body, io.signal);
    printOrder(order, options, io);
    if (order.status === "pending" && !options.json) {
      io.say(`It waits for its payment: molecart order pay ${order.number}`);
    }
    return EXIT.ok;
  });
}

/** `42`, `42:2`, `HK-COF-0001:2` @throws Misuse */
function readItem(text: string): { product: string; quantity: number } {
  const [, product, quantity = "1"] = /^([A-Za-z0-9][A-Za-z0-9._-]*)(?::([1-9]\d{0,4}))?$/.exec(text) ?? [];
  if (product === undefined) throw new Misuse(`${text} is no item like 42, 42:2 or HK-COF-0001:2.`);
  return { product, quantity: Number(quantity) };
}

async function draftOf(
  client: Client,
  wanted: readonly { product: string; quantity: number }[],
  options: PlaceOptions,
): Promise<Draft> {
  const lines: Draft["lines"] = [];
  for (const { product, quantity } of wanted) {
    lines.push({ product: await findProduct(client, product), quantity });
  }
  const address = options.address ?? (await defaultAddress(client));
  if (address === undefined || (typeof address === "string" && address.trim() === ""))
    throw new Misuse("Where should it go?", 'Say it: --address "12 Analytical Row, London"');
  return { lines, address, payment: options.pay };
}

async function defaultAddress(client: Client): Promise<ShippingAddress | undefined> {
  const { result } = usersContract.actions.profile;
  const { addresses } = await client.request("GET", "/api/users/profile", result);
  const address = addresses.find((one) => one.is_default);
  if (!address) return undefined;
  const { id: _id, is_default: _default, ...rest } = address;
  return rest;
}

async function runWizard(session: Session, options: PlaceOptions, io: Io): Promise<Draft> {
  const { client } = session;
  const { askScreen } = await import("../ui/screen.ts");
  const address = options.address ?? (await defaultAddress(client));
  const search = async (words: string) => {
    const query = { search: words, limit: 8, in_stock: true };
    return (await client.request("GET", "/api/products", ProductPage, { query })).products;
  };
  const load = async () => (await import("../ui/order-wizard.ts")).OrderWizard;
  const props = { search, address: address === undefined ? "" : addressLine(address), payment: options.pay };
  const draft = await askScreen<typeof props, Draft | undefined>(io, load, props);
  if (!draft) throw new Cancelled("Cancelled: nothing was ordered.");
  // An address of the book that was left as it is goes as it is, not as one text.
  const isKept = address !== undefined && draft.address === addressLine(address);
  return isKept ? { ...draft, address } : draft;
}

function requestOf({ lines, address, payment }: Draft, { synthetic }: PlaceOptions): OrderRequest {
  return {
    items: lines.map(({ product, quantity }) => ({ product_id: product.id, quantity })),
    shipping_address: address,
    ...(payment === undefined ? {} : { payment_method: payment }),
    ...(synthetic ? { synthetic } : {}),
  };
}

/** Decimal, like the prices it is made of; the shop's own figure counts. */
export function subtotalOf({ lines }: Pick<Draft, "lines">): number {
  return toDecimal(lines.reduce((sum, { product, quantity }) => sum + toMinor(product.price) * quantity, 0));
}

function draftLines(draft: Draft): string[] {
  const currency = draft.lines[0]?.product.currency ?? "";
  const rows = draft.lines.map(({ product, quantity }) => [
    quantity,
    clip(product.name, NAME_WIDTH),
    money(product.price, product.currency),
  ]);
  return [
    "Would order, at today's prices:",
    ...table(["", "item", "price"], rows),
    `subtotal ${money(subtotalOf(draft), currency)}, to ${addressLine(draft.address)}, ${draft.payment ?? "to be paid later"}`,
  ];
}
