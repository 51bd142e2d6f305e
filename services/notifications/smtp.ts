import { createTransport } from "nodemailer";
import type { Config } from "../../lib/config.ts";
import { mailbox } from "../../lib/config-values.ts";
import { idOf } from "../../lib/ids.ts";
import type { OutboxDocument } from "./notifications.model.ts";

/** Connections to the mail server, and so mails under way at once, of one node. */
export const CONNECTIONS = 4;

interface Limits {
  /** ms for all of one mail. Less than a mail's lease (mailer.ts), so that nobody else sends it meanwhile. */
  limit?: number;
  /** ms to connect, to be greeted, and of silence. */
  timeout?: number;
}

export type OutgoingMail = Pick<OutboxDocument, "_id" | "to" | "subject" | "body" | "created_at">;

/** What takes mails out of the shop. */
export interface Transport {
  /** @throws what {@link faultOf} tells apart */
  send(mail: OutgoingMail): Promise<void>;
  /** Ends what is still under way. */
  close(): void;
}

/** Why a mail was not taken. */
export interface Fault {
  /** For an operator: `EENVELOPE 550`. Never what the server wrote, which may repeat an address. */
  code: string;
  /**
   * `refused`: this mail, for good. `later`: this mail, for now. `away`: the server takes nothing at present, or nothing from
   * us, so that the next mail would fare no better.
   */
  kind: "refused" | "later" | "away";
}

/** A mail server, over a few connections that stay open between mails. */
export function smtpTransport(
  { SMTP_URL, MAIL_FROM }: Pick<Config, "SMTP_URL" | "MAIL_FROM">,
  { limit = 60_000, timeout = 10_000 }: Limits = {},
): Transport {
  const { protocol, hostname, port, username, password } = new URL(SMTP_URL);
  const from = mailbox(MAIL_FROM);
  if (!from) throw new Error("MAIL_FROM is no address");
  const secure = protocol === "smtps:";
  const auth = { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
  const pool = createTransport({
    pool: true,
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? (secure ? 465 : 587) : Number(port),
    secure,
    ...(auth.user === "" ? {} : { auth }),
    // A password goes only to a server that has shown who it is. Without one, STARTTLS is taken where it is offered, whatever
    // the certificate: whoever could forge that could as well leave the offer out.
    requireTLS: auth.user !== "",
    tls: { rejectUnauthorized: secure || auth.user !== "" },
    maxConnections: CONNECTIONS,
    maxRequeues: 1,
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    dnsTimeout: timeout,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const domain = from.address.slice(from.address.lastIndexOf("@") + 1);
  return {
    async send({ _id, to, subject, body, created_at }) {
      await pool.sendMail({
        from,
        // Not as a text, which might be read as several.
        to: { name: "", address: to },
        subject,
        text: body,
        date: new Date(created_at),
        // The same each time: a mail that comes twice can be told from two mails.
        messageId: `<${idOf(`mail ${_id}`)}@${domain}>`,
        headers: { "Auto-Submitted": "auto-generated" },
        signal: AbortSignal.timeout(limit),
      });
    },
    close: () => pool.close({ force: true }),
  };
}

/** What a failed attempt means. */
export function faultOf(error: unknown): Fault {
  const { code: given, responseCode, command } = Object(error);
  const name = /^[A-Z_]{2,20}$/.test(String(given)) ? String(given) : "EUNKNOWN";
  const isAnswer = Number.isInteger(responseCode) && responseCode >= 400 && responseCode < 600;
  const code = isAnswer ? `${name} ${responseCode}` : name;
  // Of this mail alone are its recipient and its content; the sender is the shop's own, and wrong for all mails.
  const isOfMail = (name === "EENVELOPE" || name === "EMESSAGE") && command !== "MAIL FROM";
  if (!isOfMail || responseCode === 421) return { code, kind: "away" };
  // 503: the session is out of step, which says nothing of the mail.
  return { code, kind: isAnswer && (responseCode < 500 || responseCode === 503) ? "later" : "refused" };
}
