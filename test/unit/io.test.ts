import { PassThrough } from "node:stream";
import { expect, it } from "@jest/globals";
import { createIo } from "../../cli/lib/io.ts";

it("nothing that a terminal would obey comes out of what is printed and said, and JSON stays as it is", () => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const io = createIo({ env: {}, stdin: new PassThrough(), stdout, stderr }, new AbortController().signal);
  const name = "Lamp \u001b]0;owned\u0007\u001b[31m\u009b2J\rX 中 é";
  io.print(`1 piece of ${name}\n\tnext`);
  io.printRows([name]);
  io.say(`The shop refused: SKU ${name} is already in use.`);
  io.printLine({ name });
  const shown = "Lamp  ]0;owned [31m 2J X 中 é";
  const [text = "", row, json = "", ...none] = String(stdout.read()).split(/\n(?!\t)/);
  expect([text, row]).toEqual([`1 piece of ${shown}\n\tnext`, shown]);
  expect(JSON.parse(json)).toEqual({ name });
  expect(none).toEqual([""]);
  expect(String(stderr.read())).toBe(`The shop refused: SKU ${shown} is already in use.\n`);
});
