import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { contracts } from "../../services/contracts.ts";
import { adminToken, givenProduct, send } from "../helpers/client.ts";
import { runSql } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

let shop: Shop;
let admin: string;
beforeAll(async () => {
  shop = await startShop();
  admin = await adminToken(shop);
});
afterAll(() => shop.stop());

const name = async (id: number) => (await send(shop, "GET", `/api/products/${id}`)).at("name");
const listedName = async (id: number) =>
  (await send(shop, "GET", `/api/products?ids=${id}`)).at("products", 0, "name");
/** Changes a product where no service sees it. */
const rename = (id: number, to: string) =>
  runSql(shop, "UPDATE products.products SET name = $2 WHERE id = $1", [id, to]);

describe("what is kept", () => {
  test("answers are kept until something is changed, and then forgotten", async () => {
    const id = await givenProduct(shop, admin, { name: "One" });
    expect([await name(id), await listedName(id)]).toEqual(["One", "One"]);
    await rename(id, "Two");
    expect([await name(id), await listedName(id)]).toEqual(["One", "One"]);
    await send(shop, "PATCH", `/api/products/${id}`, { price: 2 }, { token: admin });
    expect([await name(id), await listedName(id)]).toEqual(["Two", "Two"]);
  });

  test("another node's change is forgotten by the event: the product alone, all lists", async () => {
    const [id, other] = [
      await givenProduct(shop, admin, { name: "One" }),
      await givenProduct(shop, admin, { name: "One" }),
    ];
    for (const product of [id, other])
      expect([await name(product), await listedName(product)]).toEqual(["One", "One"]);
    await rename(id, "Two");
    await rename(other, "Two");
    await shop.broker.broadcast("products.changed", { ids: [id] });
    expect([await name(id), await listedName(id)]).toEqual(["Two", "Two"]);
    expect([await name(other), await listedName(other)]).toEqual(["One", "Two"]);
    await shop.broker.broadcast("products.changed", {});
    expect(await name(other)).toBe("Two");
  });

  test("the price a checkout pays is never a kept one", async () => {
    const id = await givenProduct(shop, admin, { price: 5 });
    expect(await shop.call("products.quote", { ids: [id] })).toMatchObject([{ unit_price: 500 }]);
    await runSql(shop, "UPDATE products.products SET price = 700 WHERE id = $1", [id]);
    expect(await shop.call("products.quote", { ids: [id] })).toMatchObject([{ unit_price: 700 }]);
  });
});

describe("what the contracts say", () => {
  const cached = contracts.flatMap((contract) =>
    Object.entries(contract.actions).flatMap(([action, spec]) =>
      spec.cache ? [{ action: `${contract.name}.${action}`, spec, cache: spec.cache }] : [],
    ),
  );

  test.each(cached)("$action: every param is part of the key", ({ spec, cache }) => {
    expect([...cache.keys].sort()).toEqual(Object.keys(spec.params.properties).sort());
  });

  test.each(cached)("$action: nothing old is kept for longer than half a minute", ({ cache }) => {
    expect(cache.ttl).toBeLessThanOrEqual(30);
  });
});
