import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "@jest/globals";

const run = promisify(execFile);

const onLinux = process.platform === "linux" ? it : it.skip;

onLinux.each(["--help", "completion bash"])("%s > /dev/full fails in a sentence", async (args) => {
  const command = `"${process.execPath}" cli/bin.js ${args} 2>&1 >/dev/full; echo $?`;
  const { stdout } = await run("sh", ["-c", command], { env: { PATH: process.env.PATH } });
  expect(stdout).toBe(
    "Standard output can't be written (ENOSPC).\nMake room there, or send it elsewhere.\n1\n",
  );
});
