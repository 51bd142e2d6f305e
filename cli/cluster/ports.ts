import { randomInt } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** A port of this machine that is free now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (typeof address !== "object" || address === null) throw new Error("The probe had no port.");
  return address.port;
}

/** Below the ports that systems give to outgoing connections, which could take one before it is listened at. */
const QUIET = { from: 20_000, to: 32_000 };

/** A port that is free now, with `more` free ones after it. */
export async function freePorts(more: number): Promise<number> {
  for (;;) {
    const first = randomInt(QUIET.from, QUIET.to - more);
    const free = await Promise.all(Array.from({ length: more + 1 }, (_, i) => isFree(first + i)));
    if (!free.includes(false)) return first;
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, "127.0.0.1");
  try {
    await once(probe, "listening");
    probe.close();
    await once(probe, "close");
    return true;
  } catch {
    return false;
  }
}

/** Waits until somebody takes connections there. @returns false if nobody did in `ms` */
export async function accepts(port: number, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return true;
    } catch {
      await delay(20);
    } finally {
      socket.destroy();
    }
  }
  return false;
}
