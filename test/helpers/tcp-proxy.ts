import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** Stands between the nodes and a server, on a port of its own, and breaks the connection on demand. */
export interface TcpProxy {
  port: number;
  /** How many there are through it. */
  connections: () => number;
  /** Ends all connections, without a goodbye, and refuses new ones. */
  cut: () => Promise<void>;
  /** Ends all connections, and takes new ones at once. */
  reset: () => void;
  /** Passes nothing on any more, and says nothing: as when a cable is pulled. */
  freeze: () => void;
  /** The same for the connections there are: new ones work, as after a failover that nobody was told of. */
  lose: () => void;
  /** Passes on the next piece that a client sends with this text in it, and ends that connection before the answer. */
  cutAt: (text: string) => Promise<void>;
  /** Holds up everything by so many ms, each way; 0: not any more. */
  slow: (ms: number) => void;
  /** All is well again. What was frozen flows on, what was cut may connect again; what was lost stays lost. */
  restore: () => Promise<void>;
  close: () => Promise<void>;
}

/** @param target the port that connections are passed on to, on this machine */
export async function startProxy(target: number): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const lost = new Set<Socket>();
  let isFrozen = false;
  let delay = 0;

  let trap: { text: string; sprung: () => void } | undefined;

  /** Passes each piece on after the delay, in their order even where the delay has just changed. */
  const pass = (from: Socket, to: Socket) => {
    let last = 0;
    from.on("data", (chunk: Buffer) => {
      const now = performance.now();
      const due = Math.max(last, now + delay);
      last = due;
      if (due <= now) to.write(chunk);
      else setTimeout(() => to.writable && to.write(chunk), due - now);
    });
  };
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const end = () => {
      client.destroy();
      upstream.destroy();
      pairs.delete(pair);
      for (const socket of pair) lost.delete(socket);
    };
    client.on("data", (chunk: Buffer) => {
      if (!trap || !chunk.includes(trap.text)) return;
      const { sprung } = trap;
      trap = undefined;
      // The piece itself still goes to the server, by the listener below.
      client.resetAndDestroy();
      sprung();
    });
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.setNoDelay(true).on("error", end).on("close", end);
      pass(from, to);
      if (isFrozen) from.pause();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("The proxy has no port.");
  const { port } = address;
  const each = (work: (socket: Socket) => void) => {
    for (const pair of pairs) pair.forEach(work);
  };
  const reset = () => each((socket) => socket.resetAndDestroy());
  const cut = async () => {
    const closed = server.listening ? once(server, "close") : Promise.resolve();
    server.close();
    reset();
    await closed;
  };
  return {
    port,
    connections: () => pairs.size,
    cut,
    reset,
    freeze() {
      isFrozen = true;
      each((socket) => socket.pause());
    },
    lose() {
      each((socket) => lost.add(socket.pause()));
    },
    cutAt: (text) =>
      new Promise((resolve) => {
        trap = { text, sprung: resolve };
      }),
    slow(ms) {
      delay = ms;
    },
    async restore() {
      isFrozen = false;
      delay = 0;
      each((socket) => {
        if (!lost.has(socket)) socket.resume();
      });
      if (server.listening) return;
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    },
    close: cut,
  };
}
