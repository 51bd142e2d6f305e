import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "@jest/globals";
import { SECRETS } from "../helpers/env.ts";

const PROGRAM = `
  import { ServiceBroker } from "moleculer";
  import { brokerOptions } from "./lib/broker.ts";
  import { loadConfig } from "./lib/config.ts";
  const own = { databaseUrl: "postgres://nobody@127.0.0.1:1/none", secrets: ${JSON.stringify(SECRETS)} };
  const broker = new ServiceBroker(brokerOptions(loadConfig({ LOG_LEVEL: "info", LOG_FORMAT: "json" }, own)));
  const { logger } = broker;
  broker.getLogger("registry").info("What a node is made of");
  broker.getLogger("orders").info("What it does");
  logger.warn("With data", { orderId: 7, password: "hunter2", nested: { token: "hunter2" } });
  logger.warn("With an error", new Error("away"));
  logger.warn("With a %s", "text");
  logger.warn({ orderId: 8 }, "The other way round");
  logger.warn("Alone");
  logger.warn("Because", "of this", 2);
`;

describe("the log", () => {
  it("has the data that was given with a message, without its secrets, and none of Moleculer's chatter", async () => {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", PROGRAM], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = (await text(child.stdout)).trim().split("\n");
    expect(lines.join()).not.toContain("hunter2");
    const all = lines.map((line) => JSON.parse(line));
    // Its own service says that it stops.
    expect(all.filter(({ mod }) => mod !== "$node")).toMatchObject([
      { msg: "What it does" },
      { msg: "With data", orderId: 7, password: "[redacted]", nested: { token: "[redacted]" } },
      { msg: "With an error", err: { message: "away" } },
      { msg: "With a text" },
      { msg: "The other way round", orderId: 8 },
      { msg: "Alone" },
      { msg: "Because of this 2" },
    ]);
  });
});
