import { request } from "node:http";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { failureCode, Unavailable } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { ServiceFactory } from "../../lib/service.ts";
import inventory from "../../services/inventory/inventory.service.ts";
import type { ImportReport } from "../../services/products/products.contract.ts";
import { adminToken, eventually } from "../helpers/client.ts";
import { CSV, importsOf, linesOf, NDJSON, newMark } from "../helpers/imports.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/** Run before inventory.setMany, once. */
let beforeSetMany: (() => Promise<void>) | undefined;
const watched: ServiceFactory = (broker) => ({
  ...inventory(broker),
  hooks: {
    before: {
      async setMany() {
        const run = beforeSetMany;
        beforeSetMany = undefined;
        await run?.();
      },
    },
  },
});

let shop: Shop;
let admin: string;
beforeAll(async () => {
  shop = await startShop({ replace: { inventory: watched } });
  admin = await adminToken(shop);
});
afterAll(() => shop.stop());

const { upload, kept } = importsOf(() => ({ shop, admin }));

/** Imports a stream as the gateway would, and gives what the action answers. */
function importStream(
  stream: Readable,
  media_type: typeof NDJSON | typeof CSV = NDJSON,
): Promise<ImportReport> {
  const user = { id: newId(), role: "admin", session_id: newId() };
  return shop.broker.call<ImportReport, object>(
    "products.import",
    { media_type },
    { stream, meta: { user } },
  );
}

describe("an import beside others, or without what it needs", () => {
  test("two imports of the same SKUs at once make each of them once", async () => {
    const mark = newMark();
    const lines = Array.from({ length: 900 }, (_, n) => ({
      sku: `${mark}${n}`,
      name: "Cup",
      price: 1,
      stock_quantity: 1,
    }));
    const answers = await Promise.all([upload(linesOf(...lines)), upload(linesOf(...lines.toReversed()))]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    const sum = (field: string) => answers.reduce((total, answer) => total + Number(answer.at(field)), 0);
    expect([sum("created"), sum("updated"), sum("rejected_total")]).toEqual([900, 900, 0]);
    expect(await kept(mark)).toHaveLength(900);
  });

  test("reads no faster than it writes", async () => {
    const mark = newMark();
    const LINES = 2000;
    let sent = 0;
    const source = Readable.from(
      (function* () {
        while (sent < LINES)
          yield Buffer.from(linesOf({ sku: `${mark}${++sent}`, name: "Cup", price: 1, stock_quantity: 1 }));
      })(),
      { objectMode: false, highWaterMark: 1024 },
    );
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const { promise: reached, resolve: arrive } = Promise.withResolvers<void>();
    beforeSetMany = () => {
      arrive();
      return gate;
    };
    const running = importStream(source);
    await reached;
    expect(sent).toBeLessThan(600);
    open();
    expect(await running).toMatchObject({ created: LINES, rejected_total: 0 });
  });

  test("goes on without inventory, and says which lines have no stock", async () => {
    const mark = newMark();
    beforeSetMany = () => Promise.reject(new Unavailable({ retry_after: 1 }));
    const answer = await upload(
      linesOf(
        { sku: `${mark}1`, name: "Cup", price: 1, stock_quantity: 3 },
        { sku: `${mark}2`, name: "Cup", price: 1 },
      ),
    );
    expect(answer.body).toMatchObject({
      created: 2,
      rejected: [{ line: 1, code: "SERVICE_UNAVAILABLE", error: expect.stringContaining("stock") }],
      rejected_total: 1,
    });
    expect((await kept(mark)).map(({ stock_quantity }) => stock_quantity)).toEqual([0, 0]);
    await upload(linesOf({ sku: `${mark}1`, name: "Cup", price: 1, stock_quantity: 3 }));
    expect((await kept(mark)).map(({ stock_quantity }) => stock_quantity)).toEqual([3, 0]);
  });
});

describe("a stream that breaks off", () => {
  test("is answered with what was taken over, and that is true", async () => {
    const mark = newMark();
    const source = new Readable({ read() {} });
    source.push("nonsense\n");
    for (let n = 1; n <= 700; n++) source.push(linesOf({ sku: `${mark}${n}`, name: "Cup", price: 1 }));
    source.push("nonsense\n");
    // Cut in the middle of a price: what is there of the line could be taken for a whole one in CSV.
    source.push(`{"sku":"${mark}701","name":"Cup","price":19.9`);
    const failing = importStream(source).catch((error: unknown) => error);
    await eventually(async () => (await kept(mark)).length > 0);
    source.destroy(new Error("socket hang up"));
    const error = await failing;
    expect(failureCode(error)).toBe("MALFORMED_REQUEST");
    expect(String(error)).toContain("Taken over up to line 501: 500 created, 0 updated, 1 rejected.");
    expect(await kept(mark)).toHaveLength(500);
  });

  test("takes no half line over when the client is gone", async () => {
    const mark = newMark();
    const { port } = new URL(shop.url);
    const headers = { authorization: `Bearer ${admin}`, "content-type": CSV };
    const client = request({ port, method: "POST", path: "/api/products/import", headers });
    client.on("error", () => undefined);
    client.write("sku,name,price\n");
    for (let n = 1; n <= 500; n++) client.write(`${mark}${String(n).padStart(3, "0")},Cup,1\n`);
    client.write(`${mark}501,Cup,19.9`);
    await eventually(async () => (await kept(mark)).length === 500);
    const gone = new Promise((resolve) => client.on("close", resolve));
    client.destroy();
    await gone;
    // Whatever it would still do, it has done before this is answered.
    await upload(linesOf({ sku: `${mark}other`, name: "Cup", price: 1 }));
    expect((await kept(mark)).map(({ sku }) => sku).filter((sku) => sku.startsWith(`${mark}50`))).toEqual([
      `${mark}500`,
    ]);
  });

  test("is let go of where it is refused halfway, for the gateway to read the rest", async () => {
    const source = Readable.from([Buffer.from("sku,title\n"), Buffer.from("A,x\n".repeat(50_000))], {
      objectMode: false,
    });
    await expect(importStream(source, CSV)).rejects.toMatchObject({ type: "VALIDATION_FAILED" });
    expect([source.destroyed, source.listenerCount("readable")]).toEqual([false, 0]);
  });

  test("a stream is what it needs", async () => {
    const user = { id: newId(), role: "admin", session_id: newId() };
    const call = shop.broker.call("products.import", { media_type: NDJSON }, { meta: { user } });
    await expect(call).rejects.toMatchObject({ type: "MALFORMED_REQUEST" });
  });
});
