import { expect, it } from "@jest/globals";
import { molecart } from "../helpers/cli.ts";

it("an older Node than the shop's is told in a sentence, with the next step", async () => {
  const versions = `{ value: { ...process.versions, node: "20.20.2" } }`;
  const older = `data:text/javascript,Object.defineProperty(process, "versions", ${versions})`;
  const { code, stdout, stderr } = await molecart(["--version"], {}, ["--import", older]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr.split("\n")).toEqual([
    "molecart needs Node 24 or newer, and this is 20.20.2.",
    expect.stringContaining("npm run -s molecart"),
    "",
  ]);
});
