import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { expect, it } from "@jest/globals";
import { hasTerminal, openTerminal } from "../helpers/terminal.ts";

(hasTerminal ? it : it.skip)("a question that was left by Ctrl-Z is asked again after fg", async () => {
  const sent: string[] = [];
  // All of a shop that a login needs which is refused.
  const shop = createServer(async (request, response) => {
    const isLogin = request.url === "/api/auth/login";
    if (isLogin) sent.push(JSON.parse(await text(request)).password);
    const answer = isLogin ? { error: "No.", code: "INVALID_CREDENTIALS" } : { status: "alive" };
    response.writeHead(isLogin ? 401 : 200).end(JSON.stringify(answer));
  });
  // A test that failed leaves it open: Jest's worker must be able to end all the same.
  shop.listen(0, "127.0.0.1").unref();
  await once(shop, "listening");
  const url = `http://127.0.0.1:${Object(shop.address()).port}`;
  const terminal = openTerminal(`login --url ${url} --email ada@example.com`, {}, { inShell: true });
  try {
    await terminal.shows("Password of ada@example.com: ");
    terminal.press("half-\u001a");
    await terminal.shows(/Password of ada@example.com: [\s\S]*Password of ada@example.com: /);
    terminal.press("a-password\r");
    expect(await terminal.exited).toBe(4);
    expect(sent).toEqual(["half-a-password"]);
    expect(terminal.raw()).not.toMatch(/half-|a-password/);
  } finally {
    terminal.close();
    shop.close();
  }
});

(hasTerminal ? it : it.skip)("a screen left by Ctrl-Z goes on below what the shell wrote", async () => {
  const terminal = openTerminal(
    "health --watch --interval 1 --url http://127.0.0.1:1",
    {},
    { inShell: true },
  );
  try {
    await terminal.shows(/DOWN/);
    terminal.press("\u001a");
    await terminal.shows(/DOWN[\s\S]*cli\/bin.js health[\s\S]*DOWN/);
    const [stopped = "", back = ""] = terminal.raw().split("cli/bin.js health");
    // The shell has its cursor, and no line of its is taken away.
    expect(stopped.lastIndexOf("\u001b[?25h")).toBeGreaterThan(stopped.lastIndexOf("\u001b[?25l"));
    expect(back.slice(0, back.indexOf("DOWN"))).not.toContain("\u001b[1A");
    terminal.press("\u0003");
    expect(await terminal.exited).toBe(1);
  } finally {
    terminal.close();
  }
});
