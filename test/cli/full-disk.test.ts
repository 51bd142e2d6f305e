import { execFile } from "node:child_process";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "@jest/globals";
import { createArchive } from "../../cli/backup/archive-writer.ts";
import { withDirectory } from "./support.ts";

const run = promisify(execFile);

/** Makes an archive of what zstd can't make smaller, and gives it up. */
const ARCHIVE = `
  import { randomBytes } from "node:crypto";
  import { createArchive } from "./cli/backup/archive-writer.ts";
  const archive = await createArchive(process.argv[1]);
  try {
    for (let n = 0; n < 20; n++)
      await archive.section("rows" + n, async (write) => await write(randomBytes(5_000_000)));
  } catch ({ name, message }) {
    console.log(name + ": " + message);
  }
  await archive.abort();
`;

it("a backup that the disk has no room for is refused in a sentence, and nothing is left of it", async () => {
  await withDirectory(async (path) => {
    const file = join(path, "full.tar.zst");
    // A limit of a file's size stands for a full disk.
    const { stdout } = await run(
      "sh",
      ["-c", 'ulimit -f 200; exec "$@"', "sh", process.execPath].concat([
        ...["--input-type=module", "-e", ARCHIVE, file],
      ]),
    );
    expect(stdout).toBe(`CliError: ${file} can't be written (EFBIG).\n`);
    expect(await readdir(path)).toEqual([]);
  });
}, 20_000);

it("a backup named like a directory is refused before anything is read", async () => {
  await withDirectory(async (path) => {
    await mkdir(join(path, "backups"));
    await expect(createArchive(join(path, "backups"))).rejects.toMatchObject({
      message: `${join(path, "backups")} can't be written (EISDIR).`,
    });
    expect(await readdir(path)).toEqual(["backups"]);
  });
});

const onLinux = process.platform === "linux" ? it : it.skip;

onLinux.each(["--help", "completion bash"])("%s > /dev/full fails in a sentence", async (args) => {
  const command = `"${process.execPath}" cli/bin.js ${args} 2>&1 >/dev/full; echo $?`;
  const { stdout } = await run("sh", ["-c", command], { env: { PATH: process.env.PATH } });
  expect(stdout).toBe(
    "Standard output can't be written (ENOSPC).\nMake room there, or send it elsewhere.\n1\n",
  );
});
