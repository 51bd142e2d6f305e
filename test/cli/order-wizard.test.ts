import { afterEach, describe, expect, it } from "@jest/globals";
import { cleanup, render } from "ink-testing-library";
import { createElement as h } from "react";
import type { Draft } from "../../cli/actions/order-place.ts";
import { OrderWizard } from "../../cli/ui/order-wizard.ts";
import type { Product } from "../../services/products/products.contract.ts";
import { eventually } from "../helpers/client.ts";
import { plain } from "./support.ts";

afterEach(cleanup);

const AT = "2026-11-20T10:00:00.000Z";
const NOTHING_ELSE = {
  description: "",
  category: null,
  category_id: null,
  images: [],
  created_at: AT,
  updated_at: AT,
};
const LAMP: Product = {
  id: 1,
  sku: "LAMP",
  name: "Oak lamp",
  price: 12.5,
  currency: "EUR",
  stock_quantity: 2,
  ...NOTHING_ELSE,
};
const MUG: Product = {
  id: 2,
  sku: "MUG",
  name: "Ceramic mug",
  price: 4.1,
  currency: "EUR",
  stock_quantity: 9,
  ...NOTHING_ELSE,
};

describe("the wizard of order place", () => {
  const KEYS = {
    up: "\u001b[A",
    down: "\u001b[B",
    right: "\u001b[C",
    left: "\u001b[D",
    enter: "\r",
    tab: "\t",
    backspace: "\u007f",
  };

  function open(address = "", catalogue = [LAMP, MUG]) {
    const asked: string[] = [];
    const ended: (Draft | undefined)[] = [];
    const screen = render(
      h(OrderWizard, {
        search: async (words) => {
          asked.push(words);
          return catalogue.filter(({ name }) => name.toLowerCase().includes(words));
        },
        address,
        payment: undefined,
        done: (draft) => ended.push(draft),
        rest: 0,
      }),
    );
    const shows = (text: string) => eventually(async () => plain(screen.lastFrame()).includes(text));
    const press = (keys: string) => screen.stdin.write(keys);
    return { asked, ended, shows, press, frame: () => plain(screen.lastFrame()) };
  }

  it("leads from the search to the draft", async () => {
    const { asked, ended, shows, press, frame } = open();
    await shows("Oak lamp");
    press("mux");
    await shows("nothing found");
    press(KEYS.backspace);
    await shows("❯      Ceramic mug");
    expect(asked).toEqual(["", "mux", "mu"]);
    press(KEYS.enter);
    await shows("❯   1× Ceramic mug");
    press(KEYS.right);
    await shows("Cart: 2 pieces, 8.20 EUR");
    press(KEYS.tab);
    await shows("To: ▏");
    press(KEYS.enter);
    await shows("Where should it go?");
    press("12 Row");
    await shows("To: 12 Row▏");
    press(KEYS.enter);
    await shows("❯      Visa: succeeds");
    press(KEYS.down);
    await shows("❯      Mastercard");
    press(KEYS.enter);
    await shows("paid by pm_card_mastercard");
    expect(frame()).toContain("  2 × Ceramic mug");
    expect(ended).toEqual([]);
    press(KEYS.enter);
    expect(ended).toEqual([
      { lines: [{ product: MUG, quantity: 2 }], address: "12 Row", payment: "pm_card_mastercard" },
    ]);
  });

  it("lets nobody pick more than there is, nor go on with nothing", async () => {
    const { ended, shows, press } = open("12 Row");
    await shows("Oak lamp");
    press(KEYS.tab);
    await shows("Pick a product first.");
    press(KEYS.enter);
    await shows("❯   1× Oak lamp");
    press(KEYS.enter);
    await shows("❯   2× Oak lamp");
    press(KEYS.enter);
    await shows("There are only 2 of it.");
    press(KEYS.left);
    await shows("❯   1× Oak lamp");
    press(KEYS.left);
    await shows("nothing picked yet");
    expect(ended).toEqual([]);
  });

  it("takes keys that come several in one text, as far as their step", async () => {
    const { ended, shows, press, frame } = open("12 Row");
    await shows("Oak lamp");
    press("mugs!");
    await shows("nothing found");
    press(KEYS.backspace.repeat(2));
    await shows("❯      Ceramic mug");
    press(KEYS.enter.repeat(3));
    await shows("❯   3× Ceramic mug");
    press(KEYS.tab.repeat(5));
    await shows("To: 12 Row▏");
    // What is pasted is text, line breaks and all: it goes on to nothing.
    press(" 7\rLondon\r");
    await shows("To: 12 Row 7 London ▏");
    press(KEYS.enter.repeat(5));
    await shows("❯      Visa: succeeds");
    expect([ended, frame()]).toEqual([[], expect.stringContaining("Cart: 3 pieces, 12.30 EUR")]);
  });

  it("tells what each line comes to, and fits a low terminal", async () => {
    const catalogue = Array.from({ length: 30 }, (_, index) => ({
      ...MUG,
      id: index + 1,
      name: `Mug ${index + 1}`,
    }));
    const { shows, press, frame } = open("12 Row", catalogue);
    await shows("Mug 1 ");
    for (const { id } of catalogue) {
      press(KEYS.enter.repeat(2));
      await shows(`Cart: ${2 * id} pieces`);
      press(KEYS.down);
      await shows(`❯ ${id === 30 ? "  2×" : "    "} Mug ${Math.min(30, id + 1)} `);
    }
    press(KEYS.tab);
    await shows("To: 12 Row");
    press(KEYS.enter);
    await shows("Visa");
    press(KEYS.enter);
    await shows("and 16 more products");
    expect(frame()).toMatch(/ 2 × Mug 14 +8\.20 EUR\n {8}and 16 more products\n {2}to 12 Row\n/);
    expect(frame().split("\n").length).toBeLessThan(24);
  });

  it("ends with nothing at Ctrl-C", async () => {
    const { ended, shows, press } = open();
    await shows("Oak lamp");
    press("\u0003");
    expect(ended).toEqual([undefined]);
  });
});
