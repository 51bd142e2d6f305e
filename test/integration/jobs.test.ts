import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { sequelizeOf } from "../../lib/stores/connect.ts";
import { Database } from "../../lib/stores/database.ts";
import { Jobs, type NewJob } from "../../lib/stores/jobs.ts";
import { createDatabase } from "../helpers/shop.ts";

let url: string;
let db: Database;
let jobs: Jobs;
const open = () => new Jobs({ url, pollSeconds: 30, timeout: 10_000, onError: () => undefined });
beforeAll(async () => {
  url = await createDatabase();
  db = new Database(sequelizeOf(url, { DATABASE_POOL: 2, DATABASE_TIMEOUT: 10_000 }));
  jobs = open();
  await jobs.queue({
    name: "parcels",
    deadLetter: "parcels-dead",
    retryLimit: 7,
    retryDelay: 3,
    retryBackoff: true,
    retryDelayMax: 60,
    expireInSeconds: 45,
    deleteAfterSeconds: 1_234,
    retentionSeconds: 98_765,
  });
});
afterAll(async () => {
  await jobs?.stop();
  await db?.sequelize.close();
});

const put = (...some: NewJob[]) => db.transaction((tx) => jobs.put(tx, some));
const data = { weight: 3, note: "Mind the 'quotes' and the \\ in it" };

/** The job's row without what differs from job to job; what depends on when it was made, as s since then. */
async function rowOf(id: string): Promise<object | undefined> {
  return await db.one(
    `SELECT to_jsonb(job) - '{id,created_on,start_after,keep_until}'::text[] AS rest,
       round(extract(epoch FROM start_after - created_on)) AS starts, extract(epoch FROM keep_until - start_after) AS kept
     FROM pgboss.job WHERE id = $1`,
    [id],
  );
}

describe("jobs that are put in", () => {
  const [now, later] = ["01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c11", "01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c12"];

  it("are those that pg-boss itself would make, due at once or later", async () => {
    const startAfter = new Date(Date.now() + 60_000);
    await put({ id: now, queue: "parcels", data }, { id: later, queue: "parcels", data, startAfter });
    const [ofNow, ofLater] = [
      await jobs.boss.send("parcels", data),
      await jobs.boss.send("parcels", data, { startAfter }),
    ];
    expect(await rowOf(now)).toEqual(await rowOf(String(ofNow)));
    expect(await rowOf(later)).toEqual(await rowOf(String(ofLater)));
    expect(await rowOf(now)).toMatchObject({ starts: "0", kept: "98765.000000" });
  });

  it("go with their transaction", async () => {
    const id = "01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c13";
    const failed = db.transaction(async (tx) => {
      await jobs.put(tx, [{ id, queue: "parcels", data }]);
      throw new Error("changed my mind");
    });
    await expect(failed).rejects.toThrow("changed my mind");
    expect(await rowOf(id)).toBeUndefined();
  });

  it("are refused for a queue that isn't there", async () => {
    await expect(put({ queue: "letters", data })).rejects.toThrow('null value in column "name"');
  });
});

describe("jobs of a batch", () => {
  it("are handled side by side, and eight at once at most: a slow handler isn't given a hundred", async () => {
    await jobs.queue({ name: "letters", expireInSeconds: 45, retentionSeconds: 98_765 });
    await put(...Array.from({ length: 30 }, () => ({ queue: "letters", data })));
    let [under, most, done] = [0, 0, 0];
    const full = Promise.withResolvers<void>();
    const all = Promise.withResolvers<void>();
    await jobs.work("letters", { batch: 30 }, async () => {
      most = Math.max(most, ++under);
      if (under === 8) full.resolve();
      await full.promise;
      under--;
      if (++done === 30) all.resolve();
    });
    await all.promise;
    expect(most).toBe(8);
  });
});

describe("jobs that were handled", () => {
  const [first, second, third] = [
    "01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c21",
    "01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c22",
    "01936f6e-2f7a-7cc3-98a4-8d2f1f0a9c23",
  ];
  const ids = [first, second, third];

  /** Has a node handle the three jobs of a new queue as one batch, and settle them. @returns the states of those left */
  async function handled(queue: string, handle: (id: string) => Promise<void>): Promise<object> {
    const own = open();
    await own.queue({ name: queue, retryLimit: 3, retryDelay: 60, retentionSeconds: 98_765 });
    await put(...ids.map((id) => ({ id, queue, data: { id } })));
    const all = Promise.withResolvers<void>();
    let count = 0;
    await own.work<{ id: string }>(queue, { batch: ids.length }, async ({ id }) => {
      if (++count === ids.length) all.resolve();
      await handle(id);
    });
    await all.promise;
    await own.quiesce();
    await own.stop();
    const rows = await db.rows<{ id: string; state: string }>(
      "DELETE FROM pgboss.job WHERE name = $1 RETURNING id, state",
      [queue],
    );
    return Object.fromEntries(rows.map(({ id, state }) => [id, state]));
  }

  it("are gone, so that a queue holds what is undone; one that failed waits for its retry", async () => {
    const left = await handled("gone", async (id) => {
      if (id === second) throw new Error("not now");
    });
    expect(left).toEqual({ [second]: "retry" });
  });

  it("stay where another node was given them meanwhile: theirs is the attempt that counts", async () => {
    const left = await handled("stolen", async (id) => {
      if (id === first) await db.rows("UPDATE pgboss.job SET retry_count = 1 WHERE id = $1", [id]);
    });
    expect(left).toEqual({ [first]: "active" });
  });

  it("are not handled again where they can't be taken away", async () => {
    await db.rows(`CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF OLD.name = 'stuck' AND OLD.state = 'active' THEN RAISE 'stays'; END IF; RETURN OLD; END $$`);
    await db.rows("CREATE TRIGGER stay BEFORE DELETE ON pgboss.job FOR EACH ROW EXECUTE FUNCTION stay()");
    const left = await handled("stuck", async () => undefined);
    expect(left).toEqual({ [first]: "completed", [second]: "completed", [third]: "completed" });
  });
});
