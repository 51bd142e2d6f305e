import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { newId } from "../../lib/ids.ts";
import { Jobs } from "../../lib/stores/jobs.ts";
import { verifyShop } from "../../services/gateway/verify.ts";
import { runSql } from "../helpers/inventory.ts";
import { type Shop, startShop } from "../helpers/shop.ts";

/** Which undelivered events break I5: those that are due, not those that wait for their next try. */

let shop: Shop;
beforeAll(async () => {
  shop = await startShop();
});
afterAll(async () => await shop?.stop());

/** An event for notifications in pg-boss's table, as a publisher wrote it ten minutes ago. @param due s from now */
async function givenJob(state: "retry" | "active", due: number): Promise<string> {
  const id = newId();
  const envelope = {
    event_id: newId(),
    event: "order.confirmed",
    occurred_at: new Date().toISOString(),
    data: { order_id: newId() },
  };
  await runSql(
    shop,
    `INSERT INTO pgboss.job (id, name, data, state, retry_count, retry_limit, created_on, start_after, started_on)
     VALUES ($1, 'events-notifications', $2, $3::pgboss.job_state, 7, 120, now() - interval '10 minutes',
       now() + make_interval(secs => $4), CASE WHEN $3 = 'active' THEN now() END)`,
    [id, JSON.stringify({ action: "notifications.onOrder", envelope }), state, due],
  );
  return id;
}

describe("I5", () => {
  it("is broken by an event that has been due for a minute, and by none that waits for its next try", async () => {
    const overdue = await givenJob("active", -90);
    await givenJob("retry", 25);
    await givenJob("active", -10);
    const report = await verifyShop({ broker: shop.broker, name: "test" }, 10);
    const broken = report.invariants.filter(({ ok }) => !ok);
    expect(broken.map(({ id, violations }) => [id, violations.map(({ row }) => row.id)])).toEqual([
      ["I5", [overdue]],
    ]);
    expect(report.notes).toEqual(["Late events that are still tried: 2."]);
  });
});

describe("a queue that an older version made", () => {
  it("follows its definition from the next start on", async () => {
    const start = async (retryDelayMax: number) => {
      const jobs = new Jobs({
        url: shop.databaseUrl,
        pollSeconds: 30,
        timeout: 30_000,
        onError: () => undefined,
      });
      await jobs.queue({ name: "follows", retryBackoff: true, retryDelay: 1, retryDelayMax });
      await jobs.stop();
    };
    await start(300);
    await start(30);
    const rows = await runSql(shop, "SELECT retry_delay_max FROM pgboss.queue WHERE name = 'follows'");
    expect(rows).toEqual([{ retry_delay_max: 30 }]);
  });
});
