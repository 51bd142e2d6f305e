import { execFile } from "node:child_process";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "@jest/globals";
import packageJson from "../../package.json" with { type: "json" };

const versions = `{ value: { ...process.versions, node: "20.20.2" } }`;
const older = `data:text/javascript,Object.defineProperty(process, "versions", ${versions})`;

it.each(["start", "dev", "molecart", "cluster", "bench"] as const)(
  "npm run %s below an older Node than the shop's is told in a sentence, with the next step",
  async (script) => {
    const env = {
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      NODE_OPTIONS: `--import ${JSON.stringify(older)}`,
    };
    const run = promisify(execFile)("sh", ["-c", packageJson.scripts[script]], { env });
    const { code, stdout, stderr } = Object(await run.catch((error: unknown) => error));
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.split("\n")).toEqual([
      "molecart needs Node 24 or newer, and this is 20.20.2.",
      expect.stringContaining("`npm ci`"),
      "",
    ]);
  },
);
