import { spawn } from "node:child_process";
import { EXIT } from "../lib/errors.ts";
import type { Io } from "../lib/io.ts";
import { openShop, type ShopOptions } from "../lib/session.ts";

/** What opens an address, by platform. Its argument never goes through a shell. */
const OPENERS: Partial<Record<NodeJS.Platform, string>> = { darwin: "open", linux: "xdg-open" };

/** Prints where the API's description is and, where somebody sits, has the browser open it. @returns the exit code */
export async function openDocs(options: ShopOptions & { json?: boolean }, io: Io): Promise<number> {
  const { url } = await openShop(options, io);
  const address = new URL("/api/docs", url).href;
  if (options.json) {
    io.printJson({ url: address });
    return EXIT.ok;
  }
  io.print(address);
  const opener = OPENERS[process.platform];
  if (io.canAsk && io.canDraw && opener) {
    const child = spawn(opener, [address], { stdio: "ignore", detached: true });
    // There may be no browser: the address is printed already.
    child.once("error", () => undefined);
    child.unref();
  }
  return EXIT.ok;
}
