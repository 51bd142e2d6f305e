import type { ServiceBroker } from "moleculer";
import pg from "pg";
import { shared } from "./shared.ts";

const TIMEOUT = 1000;

/**
 * Asks a Postgres whether it answers, on a connection of its own: a pool that is merely busy must not make a healthy
 * node look dead. A connection that failed once is thrown away.
 */
export class Pinger {
  readonly #url: string;
  #connection: Promise<pg.Client> | undefined;
  #asking: Promise<void> | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#url,
      connectionTimeoutMillis: TIMEOUT,
      query_timeout: TIMEOUT,
      application_name: "molecart-health",
    });
    client.on("error", () => this.#drop(client));
    await client.connect();
    return client;
  }

  #drop(client?: pg.Client): void {
    this.#connection = undefined;
    client?.end().catch(() => undefined);
  }

  /** Rejects within about a second if the database can't be used. Those who ask at once share one question. */
  async ping(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  async #ask(): Promise<void> {
    this.#connection ??= this.#connect();
    let client: pg.Client | undefined;
    try {
      client = await this.#connection;
      await client.query("SELECT 1");
    } catch (error) {
      this.#drop(client);
      throw error;
    }
  }

  async close(): Promise<void> {
    const client = await this.#connection?.catch(() => undefined);
    this.#connection = undefined;
    await client?.end().catch(() => undefined);
  }
}

/** The node's one pinger of this database. */
export function pingerOf(broker: ServiceBroker, url: string): Pinger {
  return shared(broker, `ping ${url}`, () => {
    const store = new Pinger(url);
    return { store, close: () => store.close() };
  });
}
