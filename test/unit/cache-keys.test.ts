import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import Type from "typebox";
import { action, contract } from "../../lib/contract.ts";
import { Obj } from "../../lib/schema.ts";
import { defineService } from "../../lib/service.ts";

const shelf = contract("shelf", {
  find: action({
    summary: "What stands there",
    permissions: ["public"],
    params: Obj({ name: Type.Optional(Type.String()), row: Type.Optional(Type.Integer()) }),
    result: Obj({ reads: Type.Integer() }),
    cache: { keys: ["name", "row"], ttl: 10 },
  }),
});

let broker: ServiceBroker;
beforeEach(async () => {
  broker = new ServiceBroker({ logger: false, cacher: "Memory" });
  let reads = 0;
  broker.createService(
    defineService(shelf)({
      actions: {
        async find() {
          return { reads: ++reads };
        },
      },
    })(broker),
  );
  await broker.start();
});
afterEach(() => broker.stop());

const find = (params: object) => broker.call("shelf.find", params);

it("keeps an answer for the same params, in whatever order they come", async () => {
  const first = await find({ name: "tea", row: 2 });
  expect(await find({ row: 2, name: "tea" })).toBe(first);
});

it.each([
  [{ name: 'tea"|2' }, { name: "tea", row: 2 }],
  [{ name: 'tea",2' }, { name: "tea", row: 2 }],
  [{ name: "2" }, { row: 2 }],
  [{ name: "null" }, {}],
  [{ name: "" }, {}],
  [{ name: "row=2" }, { row: 2 }],
])("keeps %j and %j apart", async (one, other) => {
  expect(await find(one)).not.toEqual(await find(other));
});

it("keeps nothing for what holds an unknown param", async () => {
  const first = await find({ name: "tea" });
  expect(await find({ name: "tea", colour: "red" })).not.toEqual(first);
});
