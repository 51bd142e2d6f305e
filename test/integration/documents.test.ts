import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { ServiceBroker } from "moleculer";
import { brokerOptions } from "../../lib/broker.ts";
import { loadConfig } from "../../lib/config.ts";
import { contract } from "../../lib/contract.ts";
import { failingChecks } from "../../lib/health.ts";
import { newId } from "../../lib/ids.ts";
import { defineService } from "../../lib/service.ts";
import type { Documents } from "../../lib/stores/documents.ts";
import { documents } from "../../mixins/documents.ts";
import { withDirectory } from "../cli/support.ts";
import { eventually } from "../helpers/client.ts";
import { SECRETS, TEST_ENV } from "../helpers/env.ts";
import { haveServers, isFerret, startServer, type TestServer } from "../helpers/servers.ts";

/** NeDB and MongoDB keep the same promises: one suite, run against each. */

interface Thing {
  _id: string;
  owner: string;
  at: number;
  read_at: string | null;
  tags?: { name: string }[];
}

const hasMongo = haveServers("mongo");
let mongo: TestServer | undefined;

beforeAll(async () => {
  if (hasMongo) mongo = await startServer("mongo");
});
afterAll(async () => await mongo?.remove());

/** A node with two services that keep documents. */
async function startNode(env: Record<string, string>) {
  const config = loadConfig({ ...TEST_ENV, ...env }, { databaseUrl: "", secrets: SECRETS });
  const broker = new ServiceBroker(brokerOptions(config));
  const collections = ["things", "others"].map((name) => {
    const held: { documents?: Documents<Thing> } = {};
    const service = defineService(contract(name, {}))({
      mixins: [documents<Thing>(name, { indexes: ["owner", "at"] })],
      actions: {},
      started() {
        held.documents = this.documents;
      },
    });
    broker.createService(service(broker));
    return held;
  });
  await broker.start();
  const [things, others] = collections.map((held) => held.documents);
  if (!things || !others) throw new Error("The services did not start.");
  return { broker, things, others };
}

type Node = Awaited<ReturnType<typeof startNode>>;

const stores: [string, () => Record<string, string>][] = [["NeDB", () => ({})]];
if (hasMongo) stores.push(["MongoDB", () => ({ MONGO_URL: mongo?.url ?? "" })]);

describe.each(stores)("documents in %s", (name, env) => {
  let node: Node;
  let things: Documents<Thing>;
  let others: Documents<Thing>;

  beforeAll(async () => {
    node = await startNode(env());
    ({ things, others } = node);
  });
  afterAll(async () => await node?.broker.stop());

  const thing = (fields: Partial<Thing> = {}): Thing => ({
    _id: newId(),
    owner: newId(),
    at: 1,
    read_at: null,
    ...fields,
  });

  it("gives back plain documents as they were written", async () => {
    const written = thing({ tags: [{ name: "größer" }, { name: "$where" }] });
    expect(await things.insertOnce(written)).toBe(true);
    expect(await things.get(written._id)).toEqual(written);
    expect(await things.find({ query: { owner: written.owner } })).toEqual([written]);
    expect(await things.get(newId())).toBeNull();
  });

  it("writes an id once, however many try at once", async () => {
    const first = thing();
    const tries = Array.from({ length: 10 }, (_, at) => things.insertOnce({ ...first, at }));
    const written = (await Promise.all(tries)).filter((one) => one);
    expect(written).toEqual([true]);
    expect(await things.count({ owner: first.owner })).toBe(1);
  });

  it("keeps the collections of two services apart", async () => {
    const one = thing();
    await things.insertOnce(one);
    expect(await others.get(one._id)).toBeNull();
    expect(await others.insertOnce(one)).toBe(true);
  });

  it("finds by conditions on any field, sorted and in pages", async () => {
    const owner = newId();
    const all = [3, 1, 2, 5, 4].map((at) => thing({ owner, at }));
    for (const one of all) await things.insertOnce(one);
    await things.insertOnce(thing({ at: 9 }));
    const ats = async (options: Parameters<Documents<Thing>["find"]>[0]) =>
      (await things.find(options)).map(({ at }) => at);
    expect(await ats({ query: { owner }, sort: ["-at"] })).toEqual([5, 4, 3, 2, 1]);
    expect(await ats({ query: { owner }, sort: ["at", "_id"], limit: 2, offset: 1 })).toEqual([2, 3]);
    expect(await ats({ query: { owner, at: { $gte: 2, $lt: 4 } }, sort: ["at"] })).toEqual([2, 3]);
    expect(await ats({ query: { owner: { $in: [owner, "nobody"] }, at: 5 } })).toEqual([5]);
    expect(await ats({ query: { owner: "nobody" } })).toEqual([]);
    expect(await things.count({ owner, at: { $gt: 3 } })).toBe(2);
    expect(await things.count({ no_such_field: "x" })).toBe(0);
  });

  it("sets fields where a condition holds, and only there", async () => {
    const [one, two] = [thing(), thing({ read_at: "2026-01-01T00:00:00.000Z" })];
    for (const document of [one, two]) await things.insertOnce(document);
    const ids = { $in: [one._id, two._id] };
    await things.setWhere({ _id: ids, read_at: null }, { read_at: "2026-02-02T00:00:00.000Z" });
    expect((await things.get(one._id))?.read_at).toBe("2026-02-02T00:00:00.000Z");
    expect((await things.get(two._id))?.read_at).toBe("2026-01-01T00:00:00.000Z");
  });

  const racy = name === "MongoDB" && isFerret ? it.skip : it;
  racy(
    "says how many it changed, so that of several who want one document one knows that it has it",
    async () => {
      const one = thing();
      await things.insertOnce(one);
      const takes = Array.from({ length: 10 }, (_, index) =>
        things.setWhere({ _id: one._id, at: 1 }, { at: index + 2 }),
      );
      expect((await Promise.all(takes)).sort()).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    },
  );

  it("takes fields away, also from their index", async () => {
    const one = thing({ at: 77 });
    await things.insertOnce(one);
    expect(await things.setWhere({ _id: one._id }, { read_at: "2026-01-01T00:00:00.000Z" }, ["at"])).toBe(1);
    expect(await things.get(one._id)).toEqual({
      _id: one._id,
      owner: one.owner,
      read_at: "2026-01-01T00:00:00.000Z",
    });
    expect(await things.count({ at: { $gt: 76, $lt: 78 } })).toBe(0);
  });

  it("removes what matches", async () => {
    const owner = newId();
    for (const at of [1, 2, 3]) await things.insertOnce(thing({ owner, at }));
    expect(await things.removeMany({ owner, at: { $lt: 3 } })).toBe(2);
    expect((await things.find({ query: { owner } })).map(({ at }) => at)).toEqual([3]);
  });

  it("is ready", async () => {
    expect(await failingChecks(node.broker)).toEqual([]);
  });
});

describe("documents in files", () => {
  const restarting = async (work: (node: Node) => Promise<void>, env: Record<string, string>) => {
    const node = await startNode({ NODE_ENV: "development", ...env });
    await work(node).finally(() => node.broker.stop());
  };

  it("are as they were written after a restart, whatever letters end a line elsewhere", async () => {
    await withDirectory(async (DATA_DIR) => {
      const name = ["\n", "\r", "\v", "\f", "\u0085", "\u2028", "\u2029"].join("a");
      const written: Thing = { _id: newId(), owner: "me", at: 1, read_at: null, tags: [{ name }] };
      await restarting(async ({ things }) => void (await things.insertOnce(written)), { DATA_DIR });
      await restarting(async ({ things }) => expect(await things.find({ query: {} })).toEqual([written]), {
        DATA_DIR,
      });
    });
  });

  it("has indexes of the documents that have the field, whatever an older version left there", async () => {
    await withDirectory(async (DATA_DIR) => {
      const file = join(DATA_DIR, "documents", "things.db");
      await mkdir(dirname(file));
      const older = [
        { fieldName: "owner", unique: false, sparse: false },
        { fieldName: "kind", unique: false },
      ];
      const document: Thing = { _id: newId(), owner: "me", at: 1, read_at: null };
      const lines = [document, ...older.map((index) => ({ $$indexCreated: index }))];
      await writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      const look = async ({ things }: Node) => {
        expect(await things.find({ query: { owner: "me" } })).toEqual([document]);
        expect(await things.count({ kind: "x" })).toBe(0);
      };
      // The second start writes the file anew.
      for (let start = 0; start < 2; start++) await restarting(look, { DATA_DIR });
      const indexes = (await readFile(file, "utf8")).split("\n").filter((line) => line.includes("$$index"));
      expect(indexes.map((line) => JSON.parse(line).$$indexCreated)).toEqual([
        { fieldName: "owner", unique: false, sparse: true },
        { fieldName: "at", unique: false, sparse: true },
      ]);
    });
  });
});

(hasMongo ? describe : describe.skip)("documents while MongoDB is away", () => {
  it("is not ready, and is again without a restart", async () => {
    const node = await startNode({ MONGO_URL: mongo?.url ?? "" });
    try {
      await mongo?.stop();
      const failing = await eventually(async () => {
        const checks = await failingChecks(node.broker);
        return checks.length === 2 && checks;
      });
      expect(failing.map(({ service, store }) => `${service} ${store}`).sort()).toEqual([
        "others documents",
        "things documents",
      ]);
      await mongo?.start();
      await eventually(async () => (await failingChecks(node.broker)).length === 0, 15_000);
      expect(await node.things.insertOnce({ _id: newId(), owner: "me", at: 1, read_at: null })).toBe(true);
    } finally {
      await node.broker.stop();
    }
  });

  it("a node that starts first waits for it", async () => {
    await mongo?.stop();
    const starting = startNode({ MONGO_URL: mongo?.url ?? "" });
    await mongo?.start();
    const node = await starting;
    expect(await node.things.count({ owner: "nobody" })).toBe(0);
    await node.broker.stop();
  });
});
