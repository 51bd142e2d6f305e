import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { exportProducts, listProducts, setProduct, showProduct } from "../../cli/actions/products.ts";
import { importProducts } from "../../cli/actions/products-import.ts";
import { exportStock, listStock, setStock, showStock } from "../../cli/actions/stock.ts";
import { importStock } from "../../cli/actions/stock-import.ts";
import { exportUsers, listUsers, setUser, showUser } from "../../cli/actions/users.ts";
import { adminToken, givenProduct, givenUser, send } from "../helpers/client.ts";
import { type Shop, startShop } from "../helpers/shop.ts";
import { act, adminOf, withDirectory } from "./support.ts";

let shop: Shop;
let token: string;
let env: Record<string, string>;
let count = 0;

beforeAll(async () => {
  shop = await startShop();
  token = await adminToken(shop);
  env = adminOf(shop);
});
afterAll(() => shop?.stop());

/** A product of the test's own, found by a word that no other has. */
async function given(fields: { stock_quantity?: number } = {}) {
  const word = `Gizmo${String.fromCharCode(97 + count)}${"xyz"[count % 3]}${count++}`;
  const sku = `T-${word}`;
  return {
    word,
    sku,
    id: await givenProduct(shop, token, { name: `${word} lamp`, sku, price: 12.5, ...fields }),
  };
}

async function stockOf(id: number) {
  return (await send(shop, "GET", `/api/products/${id}`)).at("stock_quantity");
}

describe("molecart products", () => {
  it("lists as a table, and as JSON what the shop answered", async () => {
    const { word, sku, id } = await given();
    const table = await act((io) => listProducts({ search: word, limit: 20, page: 1 }, io), { env });
    expect(table).toMatchObject({ code: 0, stderr: "1 product, page 1 of 1.\n" });
    expect(table.stdout.split("\n")[0]).toMatch(/^id +sku +name +price +stock$/);
    expect(table.stdout.split("\n")[1]).toMatch(new RegExp(`^ *${id} +${sku} +${word} lamp +12.50 EUR +10$`));
    const json = await act((io) => listProducts({ search: word, json: true }, io), { env });
    expect(json.stderr).toBe("");
    expect(json.json()).toMatchObject({ products: [{ id, sku }], pagination: { total: 1 } });
  });

  it("shows one by id and by SKU, and says what to do when there is none", async () => {
    const { id, sku } = await given();
    const [byId, bySku, none] = await Promise.all([
      act((io) => showProduct(String(id), { json: true }, io), { env }),
      act((io) => showProduct(sku.toLowerCase(), { json: true }, io), { env }),
      act((io) => showProduct("NO-SUCH-SKU", {}, io), { env }),
    ]);
    expect(byId.json()).toMatchObject({ id, sku });
    expect(bySku.json()).toEqual(byId.json());
    expect(none).toMatchObject({ code: 1, stdout: "" });
    expect(none.stderr).toBe(
      "There is no product with the SKU NO-SUCH-SKU.\nLook for it with `molecart products list --search`.\n",
    );
  });

  it("changes what was named and nothing else, and nothing with --dry-run", async () => {
    const { id, sku } = await given();
    const dry = await act((io) => setProduct(sku, { price: 1, dryRun: true, json: true }, io), { env });
    expect(dry.json()).toEqual({ dry_run: true, id, changes: { price: 1 } });
    expect((await send(shop, "GET", `/api/products/${id}`)).at("price")).toBe(12.5);
    const done = await act((io) => setProduct(sku, { price: 19.99, json: true }, io), { env });
    expect(done.json()).toMatchObject({ id, sku, price: 19.99 });
    expect(await act((io) => setProduct(sku, {}, io), { env })).toMatchObject({ code: 2 });
  });

  it.each(["ndjson", "csv"] as const)("exports %s that it imports again", async (format) => {
    const { word, sku, id } = await given();
    const name = `${word} "lamp", large`;
    await act((io) => setProduct(sku, { name }, io), { env });
    const exported = await act((io) => exportProducts({ format, search: word }, io), { env });
    expect(exported).toMatchObject({ code: 0, stderr: "1 product exported.\n" });
    await act((io) => setProduct(sku, { name: "changed meanwhile", price: 1 }, io), { env });
    const imported = await act((io) => importProducts("-", { format }, io), { env, input: exported.stdout });
    expect(imported).toMatchObject({ code: 0, stdout: "0 created, 1 updated, 0 rejected.\n" });
    expect((await send(shop, "GET", `/api/products/${id}`)).body).toMatchObject({ name, price: 12.5, sku });
  });

  it("exports all pages, each product once", async () => {
    const lines = Array.from(
      { length: 230 },
      (_, i) => `{"sku":"PAGED-${i}","name":"Pagedthing ${i}","price":1}`,
    );
    const input = lines.join("\n");
    const imported = await act((io) => importProducts("-", { format: "ndjson", json: true }, io), {
      env,
      input,
    });
    expect(imported.lines().at(-1)).toMatchObject({ type: "summary", created: 230, rejected_total: 0 });
    const run = await act((io) => exportProducts({ format: "ndjson", search: "Pagedthing" }, io), { env });
    const skus = run.lines().map((row) => Object(row).sku);
    expect(skus.toSorted()).toEqual(lines.map((line) => JSON.parse(line).sku).toSorted());
  });

  it("takes the good lines of an import, tells the bad ones, and fails", async () => {
    await withDirectory(async (directory) => {
      const file = join(directory, "lines.csv");
      await writeFile(file, "sku,name,price\nBAD-1,Bad one,-1\nGOOD-1,Good one,2\n");
      const dry = await act((io) => importProducts(file, { dryRun: true }, io), { env });
      expect(dry).toMatchObject({ code: 1, stdout: "1 line would be taken, 1 rejected.\n" });
      expect(dry.stderr).toMatch(/^line 2: \/price: .* \(VALIDATION_FAILED\)\n$/);
      const none = await act((io) => showProduct("GOOD-1", {}, io), { env });
      expect(none.code).toBe(1);
      const run = await act((io) => importProducts(file, {}, io), { env });
      expect(run).toMatchObject({ code: 1, stdout: "1 created, 0 updated, 1 rejected.\n" });
      expect(run.stderr).toMatch(/line 2: .*VALIDATION_FAILED/);
    });
  });

  it("says what is wrong with a file before it asks the shop", async () => {
    const runs = await Promise.all([
      act((io) => importProducts("catalogue.txt", {}, io), { env }),
      act((io) => importProducts("/nonexistent/catalogue.csv", {}, io), { env }),
      act((io) => importProducts("test", { format: "csv" }, io), { env }),
      act((io) => importStock("/nonexistent/counted.csv", {}, io), { env }),
      act((io) => importStock("test", { format: "csv" }, io), { env }),
    ]);
    expect(runs.map(({ code, stdout }) => [code, stdout])).toEqual([[2, ""], ...Array(4).fill([1, ""])]);
    expect(runs[0]?.stderr).toContain("--format");
    const next = "Name another file, or - for standard input.\n";
    expect(runs.slice(1).map(({ stderr }) => stderr)).toEqual([
      `/nonexistent/catalogue.csv can't be read: there is no such file.\n${next}`,
      `test can't be read: it is a directory.\n${next}`,
      `/nonexistent/counted.csv can't be read: there is no such file.\n${next}`,
      `test can't be read: it is a directory.\n${next}`,
    ]);
  });
});

describe("molecart stock", () => {
  it("sets, adds and takes away, and shows", async () => {
    const { id, sku } = await given();
    await act((io) => setStock(sku, "40", {}, io), { env });
    expect(await stockOf(id)).toBe(40);
    await act((io) => setStock(String(id), "+5", {}, io), { env });
    const run = await act((io) => setStock(sku, "-3", { json: true }, io), { env });
    expect(run.json()).toEqual({ product_id: id, sku, quantity: 42 });
    await act((io) => setStock(sku, "7", { dryRun: true }, io), { env });
    const shown = await act((io) => showStock(sku, { json: true }, io), { env });
    expect(shown.json()).toEqual({ product_id: id, sku, quantity: 42 });
    expect(await act((io) => setStock(sku, "many", {}, io), { env })).toMatchObject({ code: 2 });
  });

  it("lists what is out of stock", async () => {
    const [out, some] = [await given({ stock_quantity: 0 }), await given()];
    const run = await act((io) => listStock({ out: true, json: true, limit: 100 }, io), { env });
    const skus: unknown[] = Object(run.json()).stock.map((row: object) => Object(row).sku);
    expect(skus).toContain(out.sku);
    expect(skus).not.toContain(some.sku);
  });

  it("imports what it exported, line by line, and tells what it could not set", async () => {
    const { id, word } = await given();
    const exported = await act((io) => exportStock({ format: "csv", search: word }, io), { env });
    expect(exported.stdout.split("\n")[0]).toBe("product_id,sku,quantity");
    await act((io) => setStock(String(id), "99", {}, io), { env });
    const input = `${exported.stdout}2000000000,none,5\n${id},x,\n`;
    const dry = await act((io) => importStock("-", { format: "csv", dryRun: true }, io), { env, input });
    expect(dry).toMatchObject({ code: 1, stdout: "2 would be set, 1 rejected.\n" });
    expect(await stockOf(id)).toBe(99);
    const run = await act((io) => importStock("-", { format: "csv" }, io), { env, input });
    expect(run).toMatchObject({ code: 1, stdout: "1 set, 2 rejected.\n" });
    expect(run.stderr).toMatch(/line 3: .*There is no product 2000000000.*\nline 4: it needs/);
    expect(await stockOf(id)).toBe(10);
    const { email, password } = await givenUser(shop);
    const customer = { ...env, ADMIN_EMAIL: email, ADMIN_PASSWORD: password };
    const refused = await act((io) => importStock("-", { format: "csv" }, io), { env: customer, input });
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(/^The shop refused: .*\(403 .*\)\nLog in as an admin .*\n$/);
  });
});

describe("molecart users", () => {
  it("lists, shows and exports, without a secret", async () => {
    const user = await givenUser(shop);
    const list = await act((io) => listUsers({ search: user.email, json: true }, io), { env });
    expect(list.json()).toMatchObject({ users: [{ id: user.id }], pagination: { total: 1 } });
    const shown = await act((io) => showUser(user.email, { json: true }, io), { env });
    expect(shown.json()).toMatchObject({ id: user.id, role: "customer", is_active: true });
    const exported = await act((io) => exportUsers({ format: "csv" }, io), { env });
    expect(exported.stdout).toContain(`${user.id},${user.email},Ada,Lovelace,`);
    expect(exported.stdout).not.toMatch(/password|argon2/);
  });

  it("changes an account only after a yes", async () => {
    const user = await givenUser(shop);
    const unasked = await act((io) => setUser(user.email, { active: false }, io), { env });
    expect(unasked).toMatchObject({ code: 2, stdout: "" });
    expect(unasked.stderr).toContain("--yes");
    const dry = await act((io) => setUser(user.id, { role: "admin", dryRun: true }, io), { env });
    expect(dry.stdout).toBe(`Would set role admin for ${user.email}.\n`);
    const done = await act((io) => setUser(user.id, { active: false, yes: true, json: true }, io), { env });
    expect(done.json()).toMatchObject({ id: user.id, role: "customer", is_active: false });
    const login = await send(shop, "POST", "/api/auth/login", { email: user.email, password: user.password });
    expect(login.status).toBe(401);
  });

  it("is for admins: 4 without a login, 1 and what to do as a customer", async () => {
    const user = await givenUser(shop);
    const as = (email: string, password: string) =>
      act((io) => listUsers({}, io), { env: { ...env, ADMIN_EMAIL: email, ADMIN_PASSWORD: password } });
    expect(await as(user.email, "wrong-password")).toMatchObject({ code: 4, stdout: "" });
    const customer = await as(user.email, user.password);
    expect(customer).toMatchObject({ code: 1, stdout: "" });
    expect(customer.stderr).toContain("Log in as an admin with `molecart login`.");
  });
});
