import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { eventually, send } from "../helpers/client.ts";
import { freePort } from "../helpers/node-process.ts";

/** The shop as a user or a process manager starts it: what they can signal is npm, not the shop. */
describe("npm start", () => {
  let dataDir = "";
  let url = "";
  let npm: ChildProcess;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "molecart-npm-"));
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    npm = spawn("npm", ["start"], {
      cwd: resolve(import.meta.dirname, "../.."),
      env: { ...process.env, NODE_ENV: "", DATA_DIR: dataDir, PORT: String(port), LOG_LEVEL: "error" },
      // A group of its own, as a terminal gives one to each command.
      detached: true,
      stdio: "ignore",
    });
    await eventually(async () => {
      const answer = await send({ url }, "GET", "/health/ready").catch(() => undefined);
      return answer?.status === 200;
    }, 60_000);
  }, 70_000);
  afterEach(async () => {
    if (npm.exitCode === null && npm.signalCode === null) process.kill(-Number(npm.pid), "SIGKILL");
    await eventually(async () => !(await hasPostgres()));
    await rm(dataDir, { recursive: true });
  });

  const hasPostgres = () =>
    access(join(dataDir, "postgres/postmaster.pid")).then(
      () => true,
      () => false,
    );

  it.each([
    ["a SIGTERM that npm alone is sent", () => npm.kill("SIGTERM")],
    ["a Ctrl-C, which npm and the shop are sent", () => process.kill(-Number(npm.pid), "SIGINT")],
  ])("stops the shop and its Postgres by %s", async (_, signal) => {
    expect(await hasPostgres()).toBe(true);
    const ended = once(npm, "exit");
    signal();
    await ended;
    await expect(send({ url }, "GET", "/health/live")).rejects.toThrow();
    expect(await hasPostgres()).toBe(false);
  });
});
