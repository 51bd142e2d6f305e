import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { adminToken, givenProduct, type Json, send } from "../helpers/client.ts";
import { runSql } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let admin: string;
beforeAll(async () => {
  shop = await startShop();
  admin = await adminToken(shop);
});
afterAll(() => shop.stop());

const categories = (method: string, path = "", body?: object) =>
  send(shop, method, `/api/categories${path}`, body, { token: admin });
const newName = () => `Shelf ${newId().slice(-12)}`;
const MAX_INT = 2_147_483_647;

async function given(
  fields: { name?: string; parent_id?: number | null; slug?: string } = {},
): Promise<number> {
  const answer = await categories("POST", "", { name: newName(), ...fields });
  expect([answer.status, answer.body]).toEqual([201, expect.anything()]);
  return Number(answer.at("id"));
}

/** Categories below each other, the root first. */
async function givenChain(length: number): Promise<number[]> {
  const ids: number[] = [];
  for (let depth = 0; depth < length; depth++) ids.push(await given({ parent_id: ids.at(-1) ?? null }));
  return ids;
}

interface Node {
  id: Json | undefined;
  name: Json | undefined;
  slug: Json | undefined;
  parent_id: Json | undefined;
  children: Node[];
}

function nodesOf(value: Json | undefined): Node[] {
  if (!Array.isArray(value)) throw new Error("There is no list of categories.");
  return value.map((node) => {
    if (typeof node !== "object" || node === null || Array.isArray(node))
      throw new Error("A category is no object.");
    const { id, name, slug, parent_id } = node;
    return { id, name, slug, parent_id, children: nodesOf(node.children) };
  });
}

function findIn(nodes: Node[], id: number): Node | undefined {
  for (const node of nodes) {
    const found = node.id === id ? node : findIn(node.children, id);
    if (found) return found;
  }
  return undefined;
}

async function shown(id: number): Promise<Node | undefined> {
  const answer = await send(shop, "GET", "/api/categories");
  expect(answer.status).toBe(200);
  return findIn(nodesOf(answer.at("categories")), id);
}

describe("GET /categories", () => {
  test("shows the tree to everybody, each level sorted by name, whatever its case and accents", async () => {
    const root = await given();
    const zoo = await given({ name: "zoo", parent_id: root });
    const eclair = await given({ name: "Éclair", parent_id: root });
    const apple = await given({ name: "apple", parent_id: root });
    const below = await given({ name: "Below", parent_id: eclair });
    const node = await shown(root);
    expect(node?.parent_id).toBeNull();
    expect(node?.children.map(({ id }) => id)).toEqual([apple, eclair, zoo]);
    expect(node?.children[1]?.children).toEqual([
      { id: below, name: "Below", slug: expect.any(String), parent_id: eclair, children: [] },
    ]);
  });
});

describe("POST /categories", () => {
  test("makes the slug of the name, and of a second such name another", async () => {
    const mark = newId().slice(-12);
    const answers = [];
    for (const name of [`Müsli & Crème, ${mark}!`, `musli creme ${mark}`, `MÜSLI CREME ${mark}`]) {
      answers.push(await categories("POST", "", { name }));
    }
    expect(answers.map((answer) => answer.at("slug"))).toEqual([
      `musli-creme-${mark}`,
      `musli-creme-${mark}-2`,
      `musli-creme-${mark}-3`,
    ]);
    expect(answers[0]?.body).toEqual({
      id: expect.any(Number),
      name: `Müsli & Crème, ${mark}!`,
      slug: `musli-creme-${mark}`,
      parent_id: null,
      children: [],
    });
  });

  test("finds a slug for a name without any Latin letter, and for the longest", async () => {
    expect((await categories("POST", "", { name: "土鍋" })).at("slug")).toMatch(/^category(-\d+)?$/);
    const longest = await categories("POST", "", { name: `${"a-".repeat(49)}ab` });
    expect(longest.status).toBe(201);
    expect(longest.at("slug")).toMatch(/^a(-a)+$/);
  });

  test("takes a slug, but not one in use", async () => {
    const slug = `slug-${newId().slice(-12)}`;
    expect((await categories("POST", "", { name: newName(), slug })).at("slug")).toBe(slug);
    const refused = await categories("POST", "", { name: newName(), slug });
    expect([refused.status, refused.at("code"), refused.at("details")]).toEqual([
      409,
      "SLUG_TAKEN",
      { slug },
    ]);
  });

  test("of many at once with the same name each gets its own slug", async () => {
    const name = newName();
    const answers = await Promise.all(Array.from({ length: 6 }, () => categories("POST", "", { name })));
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201, 201]);
    expect(new Set(answers.map((answer) => answer.at("slug"))).size).toBe(6);
  });

  test.each([
    ["/name", { name: "" }],
    ["/name", { name: " " }],
    ["/name", { name: "x".repeat(101) }],
    ["/name", { name: undefined }],
    ["/slug", { slug: "Not A Slug" }],
    ["/slug", { slug: "-a" }],
    ["/slug", { slug: "" }],
    ["/parent_id", { parent_id: 0 }],
    ["/parent_id", { parent_id: "1" }],
    ["/parent_id", { parent_id: MAX_INT }],
    ["/depth", { depth: 1 }],
  ])("refuses %s in %j", async (path, fields) => {
    const answer = await categories("POST", "", { name: newName(), ...fields });
    expect([answer.status, answer.at("details", "violations", 0, "path")]).toEqual([422, path]);
  });

  test("stops at eight levels", async () => {
    const chain = await givenChain(8);
    const answer = await categories("POST", "", { name: newName(), parent_id: chain.at(-1) });
    expect([answer.status, answer.at("details", "violations", 0, "path")]).toEqual([422, "/parent_id"]);
  });
});

describe("PUT /categories/:id", () => {
  test("renames, and keeps the slug; products show and are found by the new name at once", async () => {
    const mark = newId().slice(-12);
    const [old, next] = [`Old${mark}`, `Next${mark}`];
    const id = await given({ name: old });
    const product = await givenProduct(shop, admin, { category_id: id });
    const name = async () => (await send(shop, "GET", `/api/products/${product}`)).at("category");
    const found = async (search: string) =>
      (await send(shop, "GET", `/api/products?search=${search}`)).at("pagination", "total");
    expect([await name(), await found(old), await found(next)]).toEqual([old, 1, 0]);
    const answer = await categories("PUT", `/${id}`, { name: next });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ id, name: next, slug: `old${mark}`, parent_id: null, children: [] });
    expect([await name(), await found(old), await found(next)]).toEqual([next, 0, 1]);
  });

  test("moves a category with all below it, and makes it a root again", async () => {
    const [a = 0, b = 0, c = 0] = await givenChain(3);
    const target = await given();
    const moved = await categories("PUT", `/${b}`, { parent_id: target });
    expect(moved.status).toBe(200);
    expect(nodesOf([moved.body])).toMatchObject([{ id: b, parent_id: target, children: [{ id: c }] }]);
    expect((await shown(a))?.children).toEqual([]);
    expect(await shown(target)).toMatchObject({ children: [{ id: b, children: [{ id: c }] }] });
    expect((await categories("PUT", `/${b}`, { parent_id: null })).at("parent_id")).toBeNull();
    expect(
      await runSql(shop, "SELECT depth FROM products.categories WHERE id = ANY ($1) ORDER BY id", [[b, c]]),
    ).toEqual([{ depth: 1 }, { depth: 2 }]);
  });

  test("refuses a place below itself", async () => {
    const [a = 0, b = 0, c = 0] = await givenChain(3);
    for (const parent_id of [a, b, c]) {
      const answer = await categories("PUT", `/${a}`, { parent_id, name: "Changed" });
      expect([answer.status, answer.at("code")]).toEqual([409, "CATEGORY_CYCLE"]);
    }
    expect(await shown(a)).toMatchObject({ parent_id: null, children: [{ id: b, children: [{ id: c }] }] });
    expect((await shown(a))?.name).not.toBe("Changed");
  });

  test("refuses to make the tree too deep", async () => {
    const deep = await givenChain(6);
    const [branch = 0] = await givenChain(3);
    const answer = await categories("PUT", `/${branch}`, { parent_id: deep.at(-1) });
    expect([answer.status, answer.at("details", "violations", 0, "path")]).toEqual([422, "/parent_id"]);
    expect((await categories("PUT", `/${branch}`, { parent_id: deep.at(-2) })).status).toBe(200);
  });

  test("takes a slug, its own too, but nobody else's", async () => {
    const [one, other] = [`one-${newId().slice(-12)}`, `other-${newId().slice(-12)}`];
    const id = await given({ slug: one });
    await given({ slug: other });
    expect((await categories("PUT", `/${id}`, { slug: one })).status).toBe(200);
    expect((await categories("PUT", `/${id}`, { slug: other })).at("code")).toBe("SLUG_TAKEN");
    expect((await categories("PUT", `/${id}`, { slug: `${one}-b` })).at("slug")).toBe(`${one}-b`);
  });

  test.each([
    [422, { name: "" }],
    [422, { slug: "UPPER" }],
    [422, { parent_id: MAX_INT }],
    [422, { colour: "red" }],
  ])("answers %i to %j", async (status, changes) => {
    expect((await categories("PUT", `/${await given()}`, changes)).status).toBe(status);
  });

  test("answers 404 for a category that isn't there", async () => {
    expect((await categories("PUT", `/${MAX_INT}`, { name: "x" })).status).toBe(404);
  });

  test("two moves that are fine alone never make a circle together", async () => {
    for (let round = 0; round < 5; round++) {
      const [a, b] = [await given(), await given()];
      const answers = await Promise.all([
        categories("PUT", `/${a}`, { parent_id: b }),
        categories("PUT", `/${b}`, { parent_id: a }),
      ]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
      const nodes = [await shown(a), await shown(b)];
      expect(nodes.map((node) => node?.children.length).sort()).toEqual([0, 1]);
    }
  });
});

describe("DELETE /categories/:id", () => {
  test("removes an empty category", async () => {
    const id = await given();
    expect(await shown(id)).toBeDefined();
    const answer = await categories("DELETE", `/${id}`);
    expect(answer.status).toBe(204);
    expect(await shown(id)).toBeUndefined();
    expect((await categories("DELETE", `/${id}`)).status).toBe(404);
  });

  test("refuses one with products or children, and says how many", async () => {
    const id = await given();
    await given({ parent_id: id });
    await givenProduct(shop, admin, { category_id: id });
    const sold = await givenProduct(shop, admin, { category_id: id });
    const refused = await categories("DELETE", `/${id}`);
    expect([refused.status, refused.at("code"), refused.at("details")]).toEqual([
      409,
      "CATEGORY_IN_USE",
      { products: 2, children: 1 },
    ]);
    expect((await send(shop, "GET", `/api/products/${sold}`)).at("category_id")).toBe(id);
  });

  test("products that are withdrawn don't hold it", async () => {
    const id = await given();
    const product = await givenProduct(shop, admin, { category_id: id });
    await send(shop, "DELETE", `/api/products/${product}`, undefined, { token: admin });
    expect((await categories("DELETE", `/${id}`)).status).toBe(204);
  });

  test("while products move in, either the category stays or they are refused", async () => {
    for (let round = 0; round < 5; round++) {
      const category_id = await given();
      const product = await givenProduct(shop, admin);
      const [removed, moved] = await Promise.all([
        categories("DELETE", `/${category_id}`),
        send(shop, "PATCH", `/api/products/${product}`, { category_id }, { token: admin }),
      ]);
      const left = (await send(shop, "GET", `/api/products/${product}`)).at("category_id");
      expect([
        [204, 422, null],
        [409, 200, category_id],
      ]).toContainEqual([removed.status, moved.status, left]);
    }
  });
});
