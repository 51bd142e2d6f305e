import { once } from "node:events";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

/** A mail server's "no" to the next mail that gets that far. */
interface Refusal {
  at: "from" | "rcpt" | "data";
  code: number;
  text?: string;
}

export interface ReceivedMail {
  /** The envelope's. */
  to: string[];
  /** As it came, without its attributes being decoded. */
  text: string;
}

export interface TestSmtp {
  /** `smtp://127.0.0.1:<port>` */
  url: string;
  port: number;
  mails: ReceivedMail[];
  refusals: Refusal[];
  /** How many connections there were. */
  connections: () => number;
  /** Has the answer to each mail's content wait for this. */
  hold: { until: Promise<unknown> };
  stop: () => Promise<void>;
}

/** A mail server in this process; without TLS and logins unless the options say otherwise. */
export async function startSmtp(options: SMTPServerOptions = {}, port = 0): Promise<TestSmtp> {
  const mails: ReceivedMail[] = [];
  const refusals: Refusal[] = [];
  const hold = { until: Promise.resolve() };
  let connections = 0;
  const refusalAt = (at: Refusal["at"]): Error | null => {
    const [next] = refusals;
    if (next?.at !== at) return null;
    refusals.shift();
    return Object.assign(new Error(next.text ?? "no"), { responseCode: next.code });
  };
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    logger: false,
    disableReverseLookup: true,
    closeTimeout: 100,
    onConnect(_session, callback) {
      connections++;
      callback();
    },
    onMailFrom: (_address, _session, callback) => callback(refusalAt("from")),
    onRcptTo: (_address, _session, callback) => callback(refusalAt("rcpt")),
    onData(stream, { envelope }, callback) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const refusal = refusalAt("data");
        const text = Buffer.concat(chunks).toString();
        if (!refusal) mails.push({ to: envelope.rcptTo.map(({ address }) => address), text });
        hold.until.then(() => callback(refusal));
      });
    },
    ...options,
  });
  // A client that is gone is what some tests are about.
  server.on("error", () => undefined);
  const listening = server.listen(port, "127.0.0.1");
  await once(listening, "listening");
  const { port: own } = Object(listening.address());
  return {
    url: `smtp://127.0.0.1:${own}`,
    port: Number(own),
    mails,
    refusals,
    connections: () => connections,
    hold,
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** A header's value as it came, in one line; undefined if there is none. */
export function headerOf({ text }: ReceivedMail, name: string): string | undefined {
  const head = (text.split("\r\n\r\n")[0] ?? "").replaceAll(/\r\n[ \t]+/g, " ");
  return head
    .split("\r\n")
    .find((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    ?.slice(name.length + 1)
    .trim();
}

/** RFC 2047: what stands encoded in a header, as people read it. */
export function decoded(header = ""): string {
  return header
    .replaceAll(/\?=\s+=\?/g, "?==?")
    .replaceAll(/=\?utf-8\?([qb])\?([^?]*)\?=/gi, (_all, kind: string, text: string) =>
      kind.toLowerCase() === "b"
        ? Buffer.from(text, "base64").toString()
        : decodeURIComponent(text.replaceAll("%", "=25").replaceAll("_", " ").replaceAll("=", "%")),
    );
}
