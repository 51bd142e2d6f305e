import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** Stands between the nodes and a server, on a port of its own, and breaks the connection on demand. */
export interface TcpProxy {
  port: number;
  /** Ends all connections, without a goodbye, and refuses new ones. */
  cut: () => Promise<void>;
  /** Passes nothing on any more, and says nothing: as when a cable is pulled. */
  freeze: () => void;
  /** All is well again. What was frozen flows on, what was cut may connect again. */
  restore: () => Promise<void>;
  close: () => Promise<void>;
}

/** @param target the port that connections are passed on to, on this machine */
export async function startProxy(target: number): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let isFrozen = false;
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const end = () => {
      client.destroy();
      upstream.destroy();
      pairs.delete(pair);
    };
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.setNoDelay(true).on("error", end).on("close", end).pipe(to);
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
  const cut = async () => {
    const closed = server.listening ? once(server, "close") : Promise.resolve();
    server.close();
    each((socket) => socket.resetAndDestroy());
    await closed;
  };
  return {
    port,
    cut,
    freeze() {
      isFrozen = true;
      each((socket) => socket.pause());
    },
    async restore() {
      isFrozen = false;
      each((socket) => socket.resume());
      if (server.listening) return;
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    },
    close: cut,
  };
}
