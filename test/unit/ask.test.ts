import { PassThrough } from "node:stream";
import { expect, it } from "@jest/globals";
import { ask } from "../../cli/lib/ask.ts";
import { createIo } from "../../cli/lib/io.ts";

/** A terminal that notes, in order, what it was told and shown; `raw` says that it no longer echoes what is typed. */
function terminal() {
  const noted: string[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (raw: boolean) => noted.push(raw ? "raw" : "cooked"),
  });
  const stderr = Object.assign(new PassThrough(), { isTTY: true });
  stderr.on("data", (chunk: Buffer) => noted.push(chunk.toString()));
  const streams = { env: {}, stdin, stdout: new PassThrough(), stderr };
  return { io: createIo(streams, new AbortController().signal), stdin, noted };
}

it("asks for a password when the terminal no longer shows what is typed, not before", async () => {
  const { io, stdin, noted } = terminal();
  const answer = ask(io, "Password: ", { hidden: true });
  stdin.write("a-good-password\r");
  expect(await answer).toBe("a-good-password");
  expect(noted).toEqual(["raw", "Password: ", "cooked", "\n"]);
});

it("takes what is pasted behind an answer for the next one, and shows nothing of a password", async () => {
  const { io, stdin, noted } = terminal();
  const email = ask(io, "Email: ");
  stdin.write("ada@example.com\ra-good-password\r");
  expect(await email).toBe("ada@example.com");
  expect(await ask(io, "Password: ", { hidden: true })).toBe("a-good-password");
  expect(noted.join("")).toContain("ada@example.com");
  expect(noted.join("")).not.toContain("a-good");
});
