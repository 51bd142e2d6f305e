import { Unavailable } from "../../lib/errors.ts";
import type { EventEnvelope } from "../../lib/events.ts";
import { notificationsContract } from "../../services/notifications/notifications.contract.ts";
import { fakeService } from "./fakes.ts";
import { query } from "./query.ts";

/** A subscriber of nearly everything, which takes nothing until it is told to. */
export class FakeSubscriber {
  works = false;
  /** The ids of the events that it took, as often as they came. */
  readonly taken: string[] = [];
  /** How often it refused one. */
  refused = 0;

  async #take({ event_id }: EventEnvelope): Promise<null> {
    if (!this.works) {
      this.refused += 1;
      throw new Unavailable({ retry_after: 1 });
    }
    this.taken.push(event_id);
    return null;
  }

  readonly services = {
    notifications: fakeService(notificationsContract, {
      onUserRegistered: (ctx) => this.#take(ctx.params),
      onOrder: (ctx) => this.#take(ctx.params),
      onPaymentRefunded: (ctx) => this.#take(ctx.params),
      onStockLow: (ctx) => this.#take(ctx.params),
    }),
  };
}

/** Has events that are published from now on given up after one try (or, of course, after more). */
export async function giveUpAfter(url: string, tries: number): Promise<void> {
  await query(url, `UPDATE pgboss.queue SET retry_limit = ${tries - 1} WHERE name LIKE 'events-%'`);
}
