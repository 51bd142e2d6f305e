import type { ParamsOf, ResultOf } from "../lib/contract.ts";
import type { Ctx } from "../lib/service.ts";
import type { Database } from "../lib/stores/database.ts";
import { deadEventQueue, lockDeadEvents, undeliveredEvents } from "../lib/stores/event-jobs.ts";
import { databaseIdentity, queueFigures } from "../lib/stores/job-figures.ts";
import type { jobActions } from "./jobs.contract.ts";
import { type JobsThis, subscriberNames } from "./jobs.ts";

type Actions = typeof jobActions;
interface Service extends JobsThis {
  readonly db: Database;
}

/** Dead letters that one transaction puts back. */
const BATCH = 500;

/** The handlers of {@link jobActions}, for a service made with `sql` and `jobs`. */
export const jobHandlers = {
  async undeliveredEvents(
    this: Service,
    ctx: Ctx<ParamsOf<Actions["undeliveredEvents"]>>,
  ): Promise<ResultOf<Actions["undeliveredEvents"]>> {
    const { limit, ...filter } = ctx.params;
    const [database, found] = await Promise.all([
      databaseIdentity(this.db),
      undeliveredEvents(this.db, subscriberNames, filter, limit),
    ]);
    return { database, ...found };
  },

  async redriveEvents(
    this: Service,
    ctx: Ctx<ParamsOf<Actions["redriveEvents"]>>,
  ): Promise<ResultOf<Actions["redriveEvents"]>> {
    const { subscriber, ids } = ctx.params;
    const redriven: string[] = [];
    for (const name of subscriberNames.filter((one) => subscriber === undefined || one === subscriber)) {
      for (;;) {
        const batch = await redriveBatch(this, deadEventQueue(name), ids);
        redriven.push(...batch);
        if (batch.length < BATCH) break;
      }
    }
    return { redriven: redriven.length, ids: ids === undefined ? [] : redriven };
  },

  async queueFigures(this: Service): Promise<ResultOf<Actions["queueFigures"]>> {
    const [database, queues] = await Promise.all([databaseIdentity(this.db), queueFigures(this.db)]);
    return { database, queues };
  },
};

/** One transaction: a dead letter is in its queue again and out of the dead ones, or nothing has happened. */
async function redriveBatch(
  { db, jobs }: Service,
  queue: string,
  ids: readonly string[] | undefined,
): Promise<string[]> {
  return await db.transaction(async (tx) => {
    const locked = await lockDeadEvents(db, tx, queue, ids, BATCH);
    await jobs.redrive(tx, queue, locked);
    return locked;
  });
}
