import type { Logger } from "moleculer";
import { crashPoint } from "../../lib/crash.ts";
import type { Counting, Sample } from "../../lib/metrics.ts";
import type { DocumentQuery } from "../../lib/moleculer-db.ts";
import { repeat } from "../../lib/repeat.ts";
import type { Documents } from "../../lib/stores/documents.ts";
import { isInApp, type NotificationDocument, type OutboxDocument } from "./notifications.model.ts";
import { CONNECTIONS, type Fault, faultOf, type Transport } from "./smtp.ts";

/** ms between two looks for mails that are due; one that is queued here is seen at once. */
const LOOK_EVERY = 5_000;
/** ms that a mail is its sender's. Longer than one attempt may take; then the sender is gone, and another node sends it. */
const LEASE = 90_000;
/** ms before the second attempt; doubles with each. */
const FIRST_RETRY = 5_000;
const LAST_RETRY = 15 * 60_000;
/** ms after which a mail is given up. */
const GIVE_UP_AFTER = 3 * 86_400_000;
/** Mails read at a time. */
const BATCH = 50;

interface MailerParts {
  documents: Documents<NotificationDocument>;
  transport: Transport;
  metrics: Counting;
  logger: Pick<Logger, "info" | "warn">;
  /** ms since 1970. */
  now?: () => number;
}

/**
 * Sends what is queued in the outbox. Each node of the service has one: whoever moves a mail's `due_at` on has it for as long
 * as the lease. A mail whose sender died is sent again, so it may come twice, and never not at all.
 */
export class Mailer {
  readonly #parts: Required<MailerParts>;
  #running: Promise<void> | undefined;
  #again = false;
  #stopping = false;
  /** While the server is away, one round of attempts each {@link LOOK_EVERY} is enough. */
  #pausedUntil = 0;
  #isAway = false;
  #stopLooking = async () => {};

  constructor(parts: MailerParts) {
    this.#parts = { now: Date.now, ...parts };
  }

  start(): void {
    this.#stopLooking = repeat({
      work: () => this.deliver(),
      every: LOOK_EVERY,
      failed: (error) => this.#parts.logger.warn("Could not look for mails", { error: String(error) }),
    });
  }

  /** Tells that a mail was queued. */
  wake(): void {
    // What fails here is tried, and told, by the next look.
    this.deliver().catch(() => undefined);
  }

  /** Sends what is due now. @throws what the store failed with */
  deliver(): Promise<void> {
    this.#again = true;
    this.#running ??= Promise.resolve().then(() => this.#rounds());
    return this.#running;
  }

  /** Begins no more mails, and waits for those under way. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([this.#stopLooking(), this.#running?.catch(() => undefined)]);
  }

  get #mayGoOn(): boolean {
    return !this.#stopping && this.#parts.now() >= this.#pausedUntil;
  }

  async #rounds(): Promise<void> {
    try {
      while (this.#again && this.#mayGoOn) await this.#round();
    } finally {
      this.#again = false;
      this.#running = undefined;
    }
  }

  async #round(): Promise<void> {
    // Before looking: what is queued meanwhile asks for another look.
    this.#again = false;
    const due_at = { $lte: iso(this.#parts.now()) };
    const found = await this.#parts.documents.find({ query: { due_at }, sort: ["due_at"], limit: BATCH });
    if (found.length > 0) this.#again = true;
    const mails = found.filter((document) => !isInApp(document)).values();
    const senders = Array.from({ length: CONNECTIONS }, async () => {
      for (const mail of mails) if (this.#mayGoOn) await this.#attempt(mail);
    });
    for (const ended of await Promise.allSettled(senders))
      if (ended.status === "rejected") throw ended.reason;
  }

  async #attempt({ _id, due_at, attempts = 0, ...rest }: OutboxDocument): Promise<void> {
    const { documents, transport, now, metrics } = this.#parts;
    const claim = { due_at: iso(now() + LEASE), attempts: attempts + 1 };
    // Whoever else saw it due finds another time there.
    if ((await documents.setWhere({ _id, due_at, status: "queued" }, claim)) === 0) return;
    try {
      await transport.send({ _id, ...rest });
    } catch (error) {
      await this.#failed({ _id, ...rest, ...claim }, faultOf(error));
      return;
    }
    await crashPoint("notifications.mail.sent");
    // Also if the lease is over: it is sent, whoever else is about to.
    await this.#end({ _id, status: "queued" }, { status: "sent", last_error: null });
    metrics.count("molecart_mails_total", { outcome: "sent" });
    this.#tell(false, {});
  }

  async #failed(mail: OutboxDocument, { code, kind }: Fault): Promise<void> {
    const { documents, metrics, now, logger } = this.#parts;
    const { _id, due_at, attempts = 1, queued_at = mail.created_at } = mail;
    const mine = { _id, due_at, status: "queued" };
    if (kind === "away") {
      this.#pausedUntil = now() + LOOK_EVERY;
      this.#tell(true, { code });
    }
    const isGivenUp = kind === "refused" || now() - Date.parse(queued_at) >= GIVE_UP_AFTER;
    metrics.count("molecart_mails_total", { outcome: isGivenUp ? "failed" : "deferred" });
    if (isGivenUp) {
      logger.warn("A mail was given up", { id: _id, code });
      await this.#end(mine, { status: "failed", last_error: code });
      return;
    }
    const wait = Math.min(FIRST_RETRY * 2 ** (attempts - 1), LAST_RETRY);
    await documents.setWhere(mine, { due_at: iso(now() + wait), last_error: code });
  }

  async #end(which: DocumentQuery, fields: Partial<OutboxDocument>): Promise<void> {
    await this.#parts.documents.setWhere(which, fields, ["due_at"]);
  }

  /** Once when the server goes, and once when it is back. */
  #tell(isAway: boolean, why: { code?: string }): void {
    if (isAway === this.#isAway) return;
    this.#isAway = isAway;
    if (isAway) this.#parts.logger.warn("The mail server takes no mails: they wait", why);
    else this.#parts.logger.info("The mail server takes mails again");
  }
}

const iso = (ms: number) => new Date(ms).toISOString();

/** How many mails wait to be sent, and for how long. */
export async function mailSamples(documents: Documents<NotificationDocument>): Promise<Sample[]> {
  const query = { due_at: { $gt: "" } };
  const [waiting, [oldest]] = await Promise.all([
    documents.count(query),
    documents.find({ query, sort: ["queued_at"], limit: 1 }),
  ]);
  const since = oldest && !isInApp(oldest) ? Date.parse(oldest.queued_at ?? oldest.created_at) : Date.now();
  return [
    { name: "molecart_mails_waiting", labels: {}, value: waiting },
    { name: "molecart_mail_oldest_seconds", labels: {}, value: Math.max(0, Date.now() - since) / 1000 },
  ];
}
