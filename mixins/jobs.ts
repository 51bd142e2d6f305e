import { setTimeout as delay } from "node:timers/promises";
import type { ServiceBroker } from "moleculer";
import { type EventData, type EventName, eventIdOf } from "../lib/events.ts";
import { addCheck } from "../lib/health.ts";
import { beforeStop } from "../lib/lifecycle.ts";
import { metricsOf } from "../lib/metrics.ts";
import { configOf } from "../lib/runtime.ts";
import type { Mixin } from "../lib/service.ts";
import { silenceAfter } from "../lib/stores/connect.ts";
import type { Tx } from "../lib/stores/database.ts";
import { deadEventQueue, eventQueue } from "../lib/stores/event-jobs.ts";
import { queueSamples } from "../lib/stores/job-figures.ts";
import { Jobs, type NewJob, type QueueDefinition } from "../lib/stores/jobs.ts";
import { shared } from "../lib/stores/shared.ts";
import { contracts } from "../services/contracts.ts";
import type { Publisher } from "./jobs.contract.ts";

/** ms between two lines of the log about the same: while a database is away, each queue tells of it at every look. */
const TELL_EVERY = 10_000;

/** What stands in a subscriber's queue. */
interface Delivery {
  action: string;
  envelope: { event_id: string; event: EventName; occurred_at: string; data: object };
}

const SUBSCRIBERS = contracts.filter((contract) => Object.keys(contract.subscribes).length > 0);

/** Who subscribes to any durable event. */
export const subscriberNames = SUBSCRIBERS.map(({ name }) => name);

/** Every subscriber has its queue in each publisher's database, so that publishing is part of the publisher's transaction. */
const EVENT_QUEUES: QueueDefinition[] = SUBSCRIBERS.map(({ name }) => ({
  name: eventQueue(name),
  deadLetter: deadEventQueue(name),
  // For an hour. The pauses grow to half a minute at most: so soon after a subscriber is back it knows what it missed.
  retryLimit: 120,
  retryDelay: 1,
  retryBackoff: true,
  retryDelayMax: 30,
  expireInSeconds: 30,
  deleteAfterSeconds: 3600,
  retentionSeconds: 30 * 86_400,
}));

export interface JobsThis {
  readonly jobs: Jobs;
  /**
   * Publishes a durable event in the caller's transaction. It is delivered to each subscriber's action until that
   * acknowledges: at least once, in no order. @returns the event's id
   */
  readonly publish: <E extends EventName>(tx: Tx, event: E, data: EventData<E>) => Promise<string>;
}

function envelopeFor<E extends EventName>(event: E, data: EventData<E>): Delivery["envelope"] {
  return { event_id: eventIdOf(event, data), event, occurred_at: new Date().toISOString(), data };
}

/** The jobs that bring an event to its subscribers, for a statement of the publisher that puts them in itself. */
export function eventJobs<E extends EventName>(event: E, data: EventData<E>): NewJob[] {
  return deliveriesOf(envelopeFor(event, data));
}

function deliveriesOf(envelope: Delivery["envelope"]): NewJob[] {
  return SUBSCRIBERS.flatMap(({ name: subscriber, subscribes }) => {
    const action = subscribes[envelope.event];
    if (action === undefined) return [];
    const data: Delivery = { action: `${subscriber}.${action}`, envelope };
    return [{ queue: eventQueue(subscriber), data }];
  });
}

/** Logs what goes wrong in pg-boss's own work. It adds to a message which queue was looked at. */
function errorLog(broker: ServiceBroker): (error: { message: string }) => void {
  let told = { what: "", at: 0 };
  return ({ message }) => {
    const [what = ""] = message.split(" (Queue: ", 1);
    const now = performance.now();
    if (what === told.what && now - told.at < TELL_EVERY) return;
    told = { what, at: now };
    broker.logger.warn("Jobs", { error: what });
  };
}

/**
 * Gives an SQL service durable jobs and events, in its own database. After `sql` in the list of mixins. Its contract has
 * `jobActions`, its actions `jobHandlers`.
 */
export function jobs(name: Publisher, queues: readonly QueueDefinition[] = []): Mixin<JobsThis> {
  return {
    build(broker) {
      const config = configOf(broker);
      const metrics = metricsOf(broker);
      const url = config.databaseUrl(name);
      return {
        created() {
          const own = shared(broker, `jobs ${url}`, () => {
            const store = new Jobs({
              url,
              pollSeconds: config.JOBS_POLL,
              timeout: silenceAfter(config),
              onError: errorLog(broker),
            });
            beforeStop(broker, async () => {
              await Promise.race([
                store.quiesce(),
                delay(config.SHUTDOWN_TIMEOUT, undefined, { ref: false }),
              ]);
            });
            return { store, close: () => store.stop() };
          });
          const publish = async <E extends EventName>(
            tx: Tx,
            event: E,
            data: EventData<E>,
          ): Promise<string> => {
            const envelope = envelopeFor(event, data);
            await own.put(tx, deliveriesOf(envelope));
            return envelope.event_id;
          };
          Object.assign(this, { jobs: own, publish });
          addCheck(broker, name, "jobs", "postgres", () => own.ping());
          const database = config.databaseNameOf(name);
          metrics.collect(`queues ${database}`, () => queueSamples(this.db, database));
        },
        async started() {
          const own: Jobs = this.jobs;
          for (const queue of [...EVENT_QUEUES, ...queues]) await own.queue(queue);
          for (const subscriber of SUBSCRIBERS) {
            await own.work<Delivery>(
              eventQueue(subscriber.name),
              { batch: 100, pollSeconds: 0.5 },
              async ({ action, envelope }) => {
                const count = (outcome: "ok" | "failed") =>
                  metrics.count("molecart_event_deliveries_total", { subscriber: subscriber.name, outcome });
                try {
                  // The one place where an action's name is data: `subscribes` of the contracts was checked by the compiler.
                  await broker.call(action, envelope, { caller: name });
                } catch (error) {
                  count("failed");
                  throw error;
                }
                count("ok");
              },
            );
          }
        },
      };
    },
  };
}
