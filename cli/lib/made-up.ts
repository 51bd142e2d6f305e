import type { ImportLine } from "../../services/products/products.contract.ts";
import { createRandom } from "./random.ts";

const MATERIALS = [
  "Oak",
  "Linen",
  "Steel",
  "Walnut",
  "Ceramic",
  "Copper",
  "Cotton",
  "Bamboo",
  "Glass",
  "Leather",
  "Wool",
  "Slate",
];
const STYLES = [
  "Classic",
  "Compact",
  "Modern",
  "Rustic",
  "Foldable",
  "Large",
  "Slim",
  "Handmade",
  "Everyday",
  "Nordic",
];
const THINGS = [
  "Lamp",
  "Kettle",
  "Chair",
  "Notebook",
  "Backpack",
  "Mug",
  "Cutting Board",
  "Blanket",
  "Vase",
  "Headphones",
  "Desk Organiser",
  "Water Bottle",
  "Wall Clock",
  "Tea Set",
  "Picture Frame",
  "Apron",
];
const FIRST = ["Ada", "Grace", "Alan", "Katherine", "Linus", "Barbara", "Edsger", "Hedy", "Tim", "Radia"];
const LAST = [
  "Lovelace",
  "Hopper",
  "Turing",
  "Johnson",
  "Torvalds",
  "Liskov",
  "Dijkstra",
  "Lamarr",
  "Lee",
  "Perlman",
];

/** One word, so that a search for it finds the product: `SEED7N000042`. @param index from 0 */
export const seededSku = (seed: number, index: number) => `SEED${seed}N${String(index + 1).padStart(6, "0")}`;

/** @param index from 0 */
export const seededEmail = (seed: number, index: number) => `seed-${seed}-${index + 1}@example.com`;

/** A product, always the same for its seed and index; there is some of each. */
export function madeUpProduct(seed: number, index: number): ImportLine {
  const random = createRandom(`product:${seed}:${index}`);
  const thing = random.pick(THINGS);
  const material = random.pick(MATERIALS);
  const name = `${random.pick(STYLES)} ${material} ${thing} ${index + 1}`;
  return {
    sku: seededSku(seed, index),
    name,
    description: `A ${thing.toLowerCase()} of ${material.toLowerCase()}, made up for a demonstration.`,
    // Between 2.50 and 250, cheap ones more often.
    price: Math.round(250 * 100 ** random.next()) / 100,
    stock_quantity: random.int(20, 500),
  };
}

export function madeUpUser(seed: number, index: number) {
  const random = createRandom(`user:${seed}:${index}`);
  return { email: seededEmail(seed, index), first_name: random.pick(FIRST), last_name: random.pick(LAST) };
}
