import { ServiceBroker } from "moleculer";
import { brokerOptions } from "../../lib/broker.ts";
import { loadConfig } from "../../lib/config.ts";
import { contract } from "../../lib/contract.ts";
import { newId } from "../../lib/ids.ts";
import { defineService } from "../../lib/service.ts";
import type { Documents } from "../../lib/stores/documents.ts";
import { documents } from "../../mixins/documents.ts";
import { Mailer } from "../../services/notifications/mailer.ts";
import {
  INDEXES,
  isInApp,
  type NotificationDocument,
  type OutboxDocument,
} from "../../services/notifications/notifications.model.ts";
import { dispatch, type Outbox } from "../../services/notifications/outbox.ts";
import { smtpTransport, type Transport } from "../../services/notifications/smtp.ts";
import { SECRETS, TEST_ENV } from "./env.ts";

/** An outbox whose mails are sent when a test says so, by as many nodes as it wants, with a clock that it moves on. */
export class TestOutbox {
  readonly documents: Documents<NotificationDocument>;
  readonly logged: unknown[] = [];
  /** What became of each attempt. */
  readonly counted: string[] = [];
  /** ms since 1970. */
  clock = 0;
  readonly #broker: ServiceBroker;
  readonly #transports: Transport[] = [];

  private constructor(broker: ServiceBroker, own: Documents<NotificationDocument>) {
    this.#broker = broker;
    this.documents = own;
  }

  static async start(env: Record<string, string> = {}): Promise<TestOutbox> {
    const config = loadConfig({ ...TEST_ENV, ...env }, { databaseUrl: "", secrets: SECRETS });
    const broker = new ServiceBroker(brokerOptions(config));
    const held: { documents?: Documents<NotificationDocument> } = {};
    const service = defineService(contract("mails", {}))({
      mixins: [documents<NotificationDocument>("mails", { indexes: INDEXES })],
      actions: {},
      started() {
        held.documents = this.documents;
      },
    });
    broker.createService(service(broker));
    await broker.start();
    if (!held.documents) throw new Error("The service did not start.");
    return new TestOutbox(broker, held.documents);
  }

  /** Before each test. */
  async empty(): Promise<void> {
    this.closeTransports();
    await this.documents.removeMany({});
    this.logged.length = 0;
    this.counted.length = 0;
    this.clock = Date.now() + 1000;
  }

  closeTransports(): void {
    for (const transport of this.#transports.splice(0)) transport.close();
  }

  async stop(): Promise<void> {
    this.closeTransports();
    await this.#broker.stop();
  }

  transportTo(
    SMTP_URL: string,
    {
      from: MAIL_FROM = "The Shop <shop@shop.example>",
      ...limits
    }: { from?: string; limit?: number; timeout?: number } = {},
  ): Transport {
    const transport = smtpTransport({ SMTP_URL, MAIL_FROM }, limits);
    this.#transports.push(transport);
    return transport;
  }

  /** What each node of the service has. */
  mailer(transport: Transport): Mailer {
    const log = (...line: unknown[]) => this.logged.push(line);
    return new Mailer({
      documents: this.documents,
      transport,
      metrics: {
        count: (_name, labels) => this.counted.push(String(Object(labels).outcome)),
        observe: () => undefined,
      },
      logger: { info: log, warn: log },
      now: () => this.clock,
    });
  }

  /** As the service has it, with nobody who sends at once. */
  get asleep(): Outbox {
    return { documents: this.documents, mailer: { wake: () => undefined } };
  }

  /** Queues a mail. @returns its id */
  async given(fields: Partial<Pick<OutboxDocument, "to" | "subject" | "body">> = {}): Promise<string> {
    const id = `${newId()}:email`;
    const mail = { channel: "email", to: `${newId()}@example.com`, subject: "Hello", body: "Hi" } as const;
    await dispatch(this.asleep, id, { ...mail, ...fields });
    return id;
  }

  async stateOf(id: string): Promise<OutboxDocument> {
    const document = await this.documents.get(id);
    if (!document || isInApp(document)) throw new Error(`There is no mail ${id}.`);
    return document;
  }
}
