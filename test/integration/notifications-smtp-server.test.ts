import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { SMTPServerOptions } from "smtp-server";
import { withDirectory } from "../cli/support.ts";
import { TestOutbox } from "../helpers/outbox.ts";
import { decoded, headerOf, startSmtp, type TestSmtp } from "../helpers/smtp.ts";

/** What mails look like on their way, and to which servers they and the password go. */

const PASSWORD = "S3cret-of-the-mail-server";
let outbox: TestOutbox;
let smtp: TestSmtp;

beforeAll(async () => {
  outbox = await TestOutbox.start();
});
afterAll(async () => await outbox?.stop());
beforeEach(async () => {
  await outbox.empty();
  smtp = await startSmtp();
});
afterEach(async () => {
  outbox.closeTransports();
  await smtp.stop();
});

/** A certificate of `localhost` for this run, and its key. */
const certificate = () =>
  withDirectory(async (directory) => {
    const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
    const kind = ["-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    const whose = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const { status, stderr } = spawnSync("openssl", ["req", ...kind, ...whose, "-keyout", key, "-out", cert]);
    if (status !== 0) throw new Error(stderr.toString());
    return { key: readFileSync(key), cert: readFileSync(cert, "utf8") };
  });

test("have no header but their own, whatever is in a name, a subject or an address", async () => {
  const injected = await outbox.given({ subject: "Hello\r\nBcc: eve@evil.example\r\n\r\nbody" });
  const addressed = await outbox.given({ to: "ada@example.com\r\nBcc: eve@evil.example" });
  const several = await outbox.given({ to: "ada@example.com, eve@evil.example" });
  await outbox.mailer(outbox.transportTo(smtp.url)).deliver();
  expect(await outbox.stateOf(injected)).toMatchObject({ status: "sent" });
  for (const { to, text } of smtp.mails) {
    expect(to).not.toContain("eve@evil.example");
    expect(text).not.toMatch(/^bcc:/im);
  }
  expect((await outbox.stateOf(addressed)).status).not.toBe("queued");
  expect((await outbox.stateOf(several)).status).not.toBe("queued");
});

test("may be in any language", async () => {
  const [subject, body] = ["Bestellung bestätigt: 订单 ✓", "Grüße, Ωmega – 注文をありがとう"];
  await outbox.given({ subject, body });
  await outbox
    .mailer(outbox.transportTo(smtp.url, { from: '"Käse & Söhne, Köln" <shop@shop.example>' }))
    .deliver();
  const [mail = { to: [], text: "" }] = smtp.mails;
  expect(decoded(headerOf(mail, "Subject"))).toBe(subject);
  expect(decoded(headerOf(mail, "From"))).toMatch(/^"?Käse & Söhne, Köln"? <shop@shop\.example>$/);
  const [, encoded = ""] = mail.text.split("\r\n\r\n");
  const isBase64 = headerOf(mail, "Content-Transfer-Encoding") === "base64";
  const bytes = encoded.replaceAll("=\r\n", "").replaceAll("%", "=25").replaceAll("=", "%");
  expect((isBase64 ? Buffer.from(encoded, "base64").toString() : decodeURIComponent(bytes)).trim()).toBe(
    body,
  );
});

test.each<[string, SMTPServerOptions]>([
  ["offers no TLS", { disabledCommands: ["STARTTLS"] }],
  ["shows a certificate of its own making", { disabledCommands: [] }],
])("go to no server that %s when there is a password, which is told nowhere", async (_what, options) => {
  await smtp.stop();
  const asked: unknown[] = [];
  smtp = await startSmtp({
    ...options,
    allowInsecureAuth: true,
    onAuth(auth, _session, callback) {
      asked.push(auth);
      callback(null, { user: "shop" });
    },
  });
  const id = await outbox.given();
  await outbox.mailer(outbox.transportTo(smtp.url.replace("//", `//shop:${PASSWORD}@`))).deliver();
  const state = await outbox.stateOf(id);
  expect(state).toMatchObject({
    status: "queued",
    attempts: 1,
    last_error: expect.stringMatching(/^(ETLS|ESOCKET)( \d+)?$/),
  });
  expect(asked).toEqual([]);
  expect(smtp.mails).toEqual([]);
  expect(JSON.stringify([state, outbox.logged])).not.toContain(PASSWORD);
  expect(outbox.logged).toHaveLength(1);
});

const withOpenssl = spawnSync("openssl", ["version"]).status === 0 ? test : test.skip;
withOpenssl(
  "go to a server that shows who it is; a password that is wrong there is told nowhere",
  async () => {
    await smtp.stop();
    const { key, cert } = await certificate();
    const trusted = getCACertificates("default");
    setDefaultCACertificates([...trusted, cert]);
    try {
      smtp = await startSmtp({
        ...{ secure: true, key, cert, disabledCommands: [], authOptional: false },
        onAuth: ({ password }, _session, callback) =>
          password === PASSWORD ? callback(null, { user: "shop" }) : callback(new Error(`not ${password}`)),
      });
      const url = (password: string) => `smtps://shop%40shop.example:${password}@localhost:${smtp.port}`;
      const id = await outbox.given();
      await outbox.mailer(outbox.transportTo(url(`${PASSWORD}-old`))).deliver();
      const state = await outbox.stateOf(id);
      expect(state).toMatchObject({ status: "queued", attempts: 1, last_error: "EAUTH 535" });
      expect(JSON.stringify([state, outbox.logged])).not.toContain(PASSWORD);
      outbox.clock += 5001;
      await outbox.mailer(outbox.transportTo(url(PASSWORD))).deliver();
      expect(await outbox.stateOf(id)).toMatchObject({ status: "sent", attempts: 2 });
    } finally {
      setDefaultCACertificates(trusted);
    }
  },
);

test("go over TLS where that is offered, whoever's certificate it is, when there is no password", async () => {
  await smtp.stop();
  let secured = 0;
  smtp = await startSmtp({
    disabledCommands: ["AUTH"],
    onSecure(_socket, _session, callback) {
      secured++;
      callback();
    },
  });
  await outbox.given();
  await outbox.mailer(outbox.transportTo(smtp.url)).deliver();
  expect([smtp.mails.length, secured]).toEqual([1, 1]);
});

test("wait when a server takes the connection and says nothing", async () => {
  const silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(silent, "listening");
  try {
    const id = await outbox.given();
    const { port } = Object(silent.address());
    await outbox.mailer(outbox.transportTo(`smtp://127.0.0.1:${port}`, { timeout: 50 })).deliver();
    expect(await outbox.stateOf(id)).toMatchObject({
      status: "queued",
      attempts: 1,
      last_error: "ETIMEDOUT",
    });
  } finally {
    outbox.closeTransports();
    silent.close();
  }
});

test("that are never answered end with their time, and the server counts as away", async () => {
  smtp.hold.until = new Promise(() => undefined);
  const id = await outbox.given();
  await outbox.mailer(outbox.transportTo(smtp.url, { limit: 300 })).deliver();
  expect(await outbox.stateOf(id)).toMatchObject({ status: "queued", attempts: 1, last_error: "EABORT" });
});
