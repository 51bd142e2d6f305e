import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "@jest/globals";
import { withDirectory } from "../cli/support.ts";
import { freePort, startNode } from "../helpers/node-process.ts";

/** Nodes that can't start: each ends, and says which variable is to be looked at, without a stack to bury it. */

const STACK = /^\s+at |\\n\s+at /m;

/** A node that needs no store for its start. */
const GATEWAY = { DATABASE_URL: "postgres://127.0.0.1:1/none", SERVICES: "gateway" };

it("at an address that isn't this machine's", async () => {
  const starting = startNode({ ...GATEWAY, HOST: "192.0.2.1", HEALTH_PORT: "" });
  const said = await starting.then(() => "", String);
  expect(said).toMatch(/can't listen at HOST 192\.0\.2\.1, PORT \d+: .*EADDRNOTAVAIL.* Set another/);
  expect(said).not.toMatch(STACK);
});

it("with a port for probes that is taken", async () => {
  const taken = String(await freePort());
  const node = await startNode({ ...GATEWAY, METRICS_PORT: taken });
  try {
    const starting = startNode({ ...GATEWAY, METRICS_PORT: taken });
    await expect(starting).rejects.toThrow(
      `Can't listen at HOST 127.0.0.1, port ${taken} (HEALTH_PORT, METRICS_PORT)`,
    );
  } finally {
    await node.kill("SIGKILL");
  }
});

it("where data can't be kept", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "file");
    await writeFile(file, "");
    const said = await startNode({ DATA_DIR: file }).then(() => "", String);
    expect(said).toContain(`DATA_DIR ${file} can't be written: check whose it is`);
    expect(said).not.toMatch(STACK);
    await writeFile(join(directory, "secrets.json"), '{"JWT_SECRET": ');
    await expect(startNode({ DATA_DIR: directory })).rejects.toThrow(
      "secrets.json is incomplete: restore it",
    );
  });
});
