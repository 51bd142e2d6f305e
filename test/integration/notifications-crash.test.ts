import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "@jest/globals";
import { withDirectory } from "../cli/support.ts";
import { adminToken, eventually, givenUser, send } from "../helpers/client.ts";
import { SECRETS, TEST_ENV } from "../helpers/env.ts";
import { startNode } from "../helpers/node-process.ts";
import { createDatabase } from "../helpers/shop.ts";
import { headerOf, startSmtp } from "../helpers/smtp.ts";

it("a mail whose node was killed between the server's yes and the note comes again, with the same Message-ID", async () => {
  const smtp = await startSmtp();
  try {
    await withDirectory(async (DATA_DIR) => {
      const env = {
        ...TEST_ENV,
        ...SECRETS,
        // With the documents in files, which outlive the node.
        NODE_ENV: "development",
        DATA_DIR,
        DATABASE_URL: await createDatabase(),
        SMTP_URL: smtp.url,
        MAIL_FROM: "shop@shop.example",
      };
      const victim = await startNode({ ...env, CRASH_AT: "notifications.mail.sent" });
      const user = await givenUser(victim);
      expect(await victim.exited).toBe("SIGKILL");
      expect(smtp.mails).toHaveLength(1);

      // The lease is over.
      const file = join(DATA_DIR, "documents", "notifications.db");
      const lines = readFileSync(file, "utf8").trim().split("\n");
      const mail = JSON.parse(lines.findLast((line) => line.includes('"status":"queued"')) ?? "{}");
      expect(mail).toMatchObject({ to: user.email, attempts: 1 });
      appendFileSync(file, `${JSON.stringify({ ...mail, due_at: mail.queued_at })}\n`);

      const node = await startNode(env);
      try {
        const token = await adminToken(node);
        const path = `/api/admin/outbox?status=sent&to=${encodeURIComponent(user.email)}`;
        const sent = await eventually(async () => {
          const [message] = Object((await send(node, "GET", path, undefined, { token })).at("messages"));
          return message;
        });
        expect(sent).toMatchObject({ attempts: 2 });
      } finally {
        await node.kill("SIGKILL");
      }
      const mine = smtp.mails.filter(({ to }) => to.includes(user.email));
      expect(mine).toHaveLength(2);
      expect(new Set(mine.map((one) => headerOf(one, "Message-ID"))).size).toBe(1);
    });
  } finally {
    await smtp.stop();
  }
});
